"""The contract of a network, what stands around a cell: its parts, what it learns, what is measured, and the registry.

Shapes: T steps, B sequences, I inputs, O outputs, K answers per sequence, H units; time comes first.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from tasks import Batch, Task
from variants import Cell, ControlRecurrent, Recurrent, Scheme, Stream, build, count_parameters
from variants.cell import register
from variants.initialisation import initialise_readout, within

from ..trial.trial import Model

RECURRENT = "recurrent"
"""The name of the layers that every network has; their engine is that of the trial."""


class Readout(nn.Linear):
    """A linear layer whose parameters are given values by others: it draws none when it is built.

    `torch.nn.utils.skip_init` does the same by way of torch's meta device, for which torch imports sympy: .5 s.
    """

    def reset_parameters(self) -> None:
        """Leave the parameters as they are."""


class Linear(NamedTuple):
    """A linear map of a network.

    inputs, outputs: its widths. bias: whether it adds one.
    """

    inputs: int
    outputs: int
    bias: bool = True

    @property
    def parameters(self) -> int:
        """Number of trainable values."""
        return (self.inputs + self.bias) * self.outputs


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a network is built from, and therefore what its parameters are.

    layers: stacks of recurrent layers of the trial's cell and options, each with the width of its inputs. One is called
        `recurrent`.
    linear: linear maps by name.
    """

    layers: Mapping[str, int]
    linear: Mapping[str, Linear] = field(default_factory=dict)


class Setting(NamedTuple):
    """What a network is built for.

    cell: of all recurrent layers.
    task: gives the widths of inputs and answers.
    model: the options of the layers.
    """

    cell: Cell
    task: Task
    model: Model

    @property
    def output_size(self) -> int:
        """The width of what the highest recurrent layer gives, of both directions where there are two."""
        return (2 if self.model.bidirectional else 1) * self.cell.output_size(self.model.hidden_size)


class Network:
    """What stands around a cell: the declaration of a network, from which its modules are built.

    A subclass with a name is registered: `class Reader(Network, name="reader")`. It defines `parts` and `Module`, and
    `refuse` where it does not fit every task or model. Keyword arguments of `__init__` are its knobs; they become its
    typed configuration.

    Attributes:
        registry: all classes with a name, by name.
        name: under which the network is registered; for a class without a name that of the class.
        source: where the definition comes from. It becomes the last line of the docstring.
        Module: the class of its modules.

    >>> from tasks import Adding
    >>> from variants import GRU
    >>> from runs.networks import Reader
    >>> Reader().parameter_count(Setting(GRU(), Adding(lag=5), Model(hidden_size=3)))
    58
    """

    registry: ClassVar[dict[str, type[Network]]] = {}
    name: ClassVar[str] = ""
    source: ClassVar[str] = ""
    Module: ClassVar[type[NetworkModule]]

    def __init_subclass__(cls, name: str | None = None) -> None:
        super().__init_subclass__()
        if cls.__doc__ and "source" in vars(cls) and "Source:" not in cls.__doc__:
            cls.__doc__ = f"{inspect.cleandoc(cls.__doc__)}\n\nSource: {cls.source}."
        if name is not None:
            register("network", Network.registry, name, cls)
        cls.name = name or cls.__name__

    def parts(self, setting: Setting) -> Parts:
        """Return what the network is built from.

        setting: what it is built for.
        """
        raise NotImplementedError

    def refuse(self, setting: Setting) -> None:
        """Raise ValueError, naming the network, the rule and the value, where it does not fit a task or a model.

        setting: what it would be built for. Tasks with steps to come as answers refuse layers that read backwards.
        """
        refuse_foresight(setting.task, setting.model)

    def build(self, setting: Setting, scheme: Scheme, stream: Stream) -> Any:
        """Return a new module of this network.

        setting: what it is built for.
        scheme: how the parameters of the layers and of the linear maps start.
        stream: where all random numbers come from, also those of the masks of dropout and zoneout.
        """
        return self.Module(self, setting, scheme, stream)

    def parameter_count(self, setting: Setting) -> int:
        """Return the number of trainable values without building the network; widths are matched by it.

        setting: what it would be built for. What a mask on R hides does not count.
        """
        parts, model = self.parts(setting), setting.model
        cells = sum(
            count_parameters(
                setting.cell,
                width,
                model.hidden_size,
                layers=model.layers,
                bidirectional=model.bidirectional,
                layer_norm=model.layer_norm,
            )
            for width in parts.layers.values()
        )
        return cells + sum(linear.parameters for linear in parts.linear.values())


class NetworkModule(nn.Module):
    """The module of a network: its layers and linear maps, each an attribute with the name that `Network.parts` gives.

    Every linear map starts as the initialisation says of a read-out, from a random stream of its own.

    network: the declaration.
    setting: what it is built for.
    scheme: how the parameters start.
    stream: where all random numbers come from.

    Attributes:
        answering: whether `forward` gives answers [K, B, O]. Then what is minimised and measured are the task's loss
            and metrics of these. A network without answers defines `objective` and `look` instead; one with answers
            may not define them, as training would not call them.
        recurrent: the layers whose engine an outcome names.
    """

    answering: ClassVar[bool] = True
    recurrent: Recurrent | ControlRecurrent

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = [name for name in ("objective", "look") if getattr(cls, name) is not getattr(NetworkModule, name)]
        if cls.answering and own:
            raise TypeError(f"{cls.__name__}: answering must be False in a module with its own {own[0]}, got True")

    def __init__(self, network: Network, setting: Setting, scheme: Scheme, stream: Stream) -> None:
        super().__init__()
        self.network, self.task = network, setting.task
        parts, model = network.parts(setting), setting.model
        for name, width in parts.layers.items():
            layers = build(
                setting.cell,
                width,
                model.hidden_size,
                layers=model.layers,
                bidirectional=model.bidirectional,
                engine=model.engine,
                dropout=model.dropout,
                recurrent_dropout=model.recurrent_dropout,
                zoneout=model.zoneout,
                layer_norm=model.layer_norm,
                initialisation=scheme,
                stream=stream if name == RECURRENT else within(stream, name),
            )
            self.add_module(name, layers)
        for name, linear in parts.linear.items():
            readout = Readout(linear.inputs, linear.outputs, bias=linear.bias)
            bias = readout.bias if linear.bias else torch.zeros(linear.outputs)
            own = stream if name == "readout" else within(stream, name)
            initialise_readout(scheme, readout.weight, bias, own)
            self.add_module(name, readout)

    def forward(self, batch: Batch) -> Tensor:
        """Return the answers to a batch, [K, B, O]."""
        raise NotImplementedError

    def heard(self, x: Tensor, outputs: Sequence[Tensor]) -> Tensor:
        """Return what the layers hear at a step, [B, I] or more; by default the input alone.

        x: the input of the step, [B, I]. outputs: of the layers at all steps before, each [B, D].
        """
        return x

    def asked(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the answers [K, B, O] to a batch whose outputs are known.

        outputs: of the layers at all steps, [T, B, D].
        """
        raise NotImplementedError

    def attend(self, batch: Batch) -> Tensor | None:
        """Return what each answer attends to, [K, T, B], of which the sum over T is 1; None where nothing attends."""
        return None

    def objective(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return what is minimised in training: a scalar that gradients flow through.

        batch: of training sequences.
        generator: where random numbers come from, of a network that draws some; it goes on from update to update.
        """
        return self.task.loss(self(batch), batch)

    def look(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Return the metrics of held-out sequences, among them `loss`.

        batch: of any size; a network divides it where that needs less memory. The module is in evaluation mode, and no
            gradients are recorded.
        generator: where random numbers come from. It starts anew at each look, so that looks can be compared.
        """
        return self.task.metrics(self(batch), batch)

    @property
    def parameter_count(self) -> int:
        """Number of trainable values; what a mask on R hides does not count."""
        stacks = [m for m in self.children() if isinstance(m, Recurrent | ControlRecurrent)]
        linear = sum(p.numel() for m in self.children() if isinstance(m, Readout) for p in m.parameters())
        return linear + sum(m.parameter_count for m in stacks)

    @property
    def flops_per_step(self) -> int:
        """Floating-point operations of the products with matrices of one forward pass, by sequence and step.

        They are two for each number of a matrix, a product and a sum: of the matrices of weights, and of those that the
        layers remember. A network that multiplies other things adds them.
        """
        remembered = sum(m.remembered_flops for m in self.children() if isinstance(m, ControlRecurrent))
        return remembered + sum(2 * p.numel() for p in self.parameters() if p.dim() == 2)


def refuse_foresight(task: Task, model: Model) -> None:
    """Raise ValueError where a network that reads backwards would see the answers of a task."""
    if task.causal and model.bidirectional:
        raise ValueError(
            f"{task.name}: model.bidirectional must be false, since each answer is a step to come, which a network "
            "that reads backwards has seen; got true"
        )
