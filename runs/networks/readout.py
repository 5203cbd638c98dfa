"""The network of a trial: a recurrent layer stack with a linear read-out."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from tasks import Batch, Task
from tasks.contract import check_task
from variants import Cell, Scheme, Stream, build, streams
from variants.initialisation import initialise_readout

from ..trial.classes import construct
from ..trial.trial import Model, Trial


class Readout(nn.Linear):
    """A linear layer whose parameters are given values by others: it draws none when it is built.

    `torch.nn.utils.skip_init` does the same by way of torch's meta device, for which torch imports sympy: .5 s.
    """

    def reset_parameters(self) -> None:
        """Leave the parameters as they are."""


class Network(nn.Module):
    """A cell's layers, and a linear read-out at the steps at which the task asks for an answer.

    cell: of all layers.
    task: gives the widths of inputs and answers.
    model: the options of the layers.
    scheme: how the parameters of the layers and of the read-out start.
    stream: where all random numbers come from, also those of the masks of dropout and zoneout.
    """

    def __init__(self, cell: Cell, task: Task, model: Model, scheme: Scheme, stream: Stream) -> None:
        super().__init__()
        self.recurrent = build(
            cell,
            task.input_size,
            model.hidden_size,
            layers=model.layers,
            bidirectional=model.bidirectional,
            engine=model.engine,
            dropout=model.dropout,
            recurrent_dropout=model.recurrent_dropout,
            zoneout=model.zoneout,
            layer_norm=model.layer_norm,
            initialisation=scheme,
            stream=stream,
        )
        self.readout = Readout(self.recurrent.output_size, task.output_size)
        initialise_readout(scheme, self.readout.weight, self.readout.bias, stream)

    def forward(self, batch: Batch) -> Tensor:
        """Return the answers to a batch, [K, B, O]."""
        outputs, _ = self.recurrent(batch.inputs, lengths=batch.lengths, final=False, reads=batch.reads)  # [K, B, H]
        return self.answers(outputs)

    def answers(self, outputs: Tensor) -> Tensor:
        """Return the answers [K, B, O] for outputs [K, B, H] of the recurrent layers."""
        return functional.linear(outputs, self.readout.weight, self.readout.bias)

    @property
    def parameter_count(self) -> int:
        """Number of trainable values; what a mask on R hides does not count."""
        return self.recurrent.parameter_count + sum(p.numel() for p in self.readout.parameters())

    @property
    def flops_per_step(self) -> int:
        """Floating-point operations of the matrix products of one forward pass, by sequence and step.

        They are two for each weight of a matrix: a product and a sum.
        """
        return sum(2 * p.numel() for p in self.parameters() if p.dim() == 2)


def refuse_foresight(task: Task, model: Model) -> None:
    """Raise ValueError where a network that reads backwards would see the answers of a task."""
    if task.causal and model.bidirectional:
        raise ValueError(
            f"{task.name}: model.bidirectional must be false, since each answer is a step to come, which a network "
            "that reads backwards has seen; got true"
        )


def untrained(trial: Trial) -> tuple[Network, Task]:
    """Return the network of a trial as it stands before training, and its task.

    trial: says which cell, task, initialisation and options; its seed gives the parameters.

    Raises ValueError where the trial cannot be built.
    """
    task = construct(trial.task, Task)
    check_task(task)
    refuse_foresight(task, trial.model)
    cell, scheme = construct(trial.variant, Cell), construct(trial.initialisation, Scheme)
    return Network(cell, task, trial.model, scheme, streams(trial.seed, "initialisation")), task
