"""The reader: recurrent layers with a linear read-out."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from tasks import Batch
from variants import select_steps

from .network import RECURRENT, Linear, Network, NetworkModule, Parts, Readout, Setting


class ReaderModule(NetworkModule):
    """A cell's layers, and a linear read-out at the steps at which the task asks for an answer."""

    readout: Readout

    def forward(self, batch: Batch) -> Tensor:
        """Return the answers to a batch, [K, B, O]."""
        outputs, _ = self.recurrent(batch.inputs, lengths=batch.lengths, final=False, reads=batch.reads)  # [K, B, H]
        return self.answers(outputs)

    def asked(self, outputs: Tensor, batch: Batch) -> Tensor:
        return self.answers(select_steps(outputs, batch.reads))

    def answers(self, outputs: Tensor) -> Tensor:
        """Return the answers [K, B, O] for outputs [K, B, H] of the recurrent layers."""
        return functional.linear(outputs, self.readout.weight, self.readout.bias)


class Reader(Network, name="reader"):
    """A linear read-out of the output of the highest layer, at the steps at which the task asks for an answer.

        answer = V h_k + b        h_k .. output at the step k that is read

    It is the network of every trial that names no other.
    """

    Module = ReaderModule

    def parts(self, setting: Setting) -> Parts:
        task = setting.task
        return Parts(
            layers={RECURRENT: task.input_size}, linear={"readout": Linear(setting.output_size, task.output_size)}
        )
