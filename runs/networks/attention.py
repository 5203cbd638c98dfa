"""Soft attention: answers read a weighted mean of all outputs so far, besides the present one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from tasks import Batch, DataTask, Task
from variants import Scheme, Stream, select_steps

from ..rules import require, require_one_of
from .network import RECURRENT, Linear, Network, NetworkModule, Parts, Readout, Setting

SCORES = ("additive", "product")
MOST_SCORES = 2**22
"""So many numbers of hidden units of the additive score are computed at a time, where no gradient is wanted."""


def weights_of(scores: Tensor, reads: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Return what each answer attends to: a softmax over the steps up to the one at which the answer is read.

    scores: [K, T, B], of each answer and step.
    reads: [K, B], the step of each answer. lengths: [B], where sequences end earlier than T.

    Returns [K, T, B]; over T they add up to 1, and are 0 for every later step and after the end of a sequence.
    """
    steps = torch.arange(scores.shape[1])[None, :, None]
    hidden = steps > reads[:, None, :]
    if lengths is not None:
        hidden = hidden | (steps >= lengths)
    return scores.masked_fill(hidden, -math.inf).softmax(1)


class AttentionModule(NetworkModule):
    """The module of `Attention`.

    Shapes besides those of a network: A, the size of queries and keys; D, the width of outputs of the layers.
    """

    network: Attention
    query: Readout
    key: Readout
    readout: Readout

    def __init__(self, network: Network, setting: Setting, scheme: Scheme, stream: Stream) -> None:
        super().__init__(network, setting, scheme, stream)
        assert isinstance(network, Attention)
        self._score: Callable[[Tensor, Tensor], Tensor] = self._additive if network.additive else self._product

    def forward(self, batch: Batch) -> Tensor:
        """Return the answers to a batch, [K, B, O]."""
        outputs, contexts, _ = self.read(batch)
        return self.answers(torch.cat((outputs, contexts), dim=-1))

    def asked(self, outputs: Tensor, batch: Batch) -> Tensor:
        asking, contexts, _ = self.look_back(outputs, batch.reads, batch.lengths)
        return self.answers(torch.cat((asking, contexts), dim=-1))

    def heard(self, x: Tensor, outputs: Sequence[Tensor]) -> Tensor:
        if not self.network.feeds:
            return x
        context = x.new_zeros(len(x), self.key.in_features)
        if outputs:
            before = torch.stack(list(outputs))
            alpha = self._score(self.query(before[-1:]), self.key(before))[0].softmax(0)
            context = torch.einsum("tb,tbd->bd", alpha, before)
        return torch.cat((x, context), dim=-1)

    def answers(self, read: Tensor) -> Tensor:
        """Return the answers [K, B, O] for what they are read from: outputs and contexts, [K, B, 2 D]."""
        return functional.linear(read, self.readout.weight, self.readout.bias)

    def attend(self, batch: Batch) -> Tensor:
        """Return what each answer attends to, alpha [K, T, B]."""
        return self.read(batch)[2]

    def read(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return outputs and contexts at the steps that are read, each [K, B, D], and alpha [K, T, B]."""
        if self.network.feeds:
            outputs = torch.stack(list(self._fed(batch.inputs)))
        else:
            outputs, _ = self.recurrent(batch.inputs, lengths=batch.lengths, final=False)  # [T, B, D]
        return self.look_back(outputs, batch.reads, batch.lengths)

    def look_back(self, outputs: Tensor, reads: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `read` returns.

        outputs: of the layers, [T, B, D]. reads: [K, B], the steps that ask. lengths: [B] or None.
        """
        asking = select_steps(outputs, reads)  # [K, B, D]
        scores = self._score(self.query(asking), self.key(outputs))
        alpha = weights_of(scores, reads, lengths)
        return asking, torch.einsum("ktb,tbd->kbd", alpha, outputs), alpha

    def _fed(self, inputs: Tensor) -> Iterator[Tensor]:
        """Yield the output of every step [B, D], where each step also hears the context of the one before."""
        size = self.key.in_features
        context, state = inputs.new_zeros(inputs.shape[1], size), None
        outputs: list[Tensor] = []
        keys: list[Tensor] = []
        for x in inputs:
            heard = torch.cat((x.to(context.dtype), context), dim=-1)
            output, state = self.recurrent(heard.unsqueeze(0), state)
            yield output[0]
            outputs.append(output[0])
            keys.append(self.key(output[0]))
            alpha = self._score(self.query(output), torch.stack(keys))[0].softmax(0)  # [t, B]
            context = torch.einsum("tb,tbd->bd", alpha, torch.stack(outputs))

    @property
    def flops_per_step(self) -> int:
        """As for any network, and the products of scores and contexts, whose number grows with the steps looked at.

        They are a mean over the steps of a hundred sequences of the task.
        """
        batch = _few(self.task, 100)
        steps, count = batch.inputs.shape[:2]
        total = steps * count if batch.lengths is None else int(batch.lengths.sum())
        looked_at = int((batch.reads + 1).sum()) / total
        if self.network.feeds:
            looked_at += (steps + 1) / 2
        width, size = self.key.in_features, self.key.out_features
        once = 2 * size if self.network.additive else 0  # the vector w, which is multiplied at every step looked at
        return super().flops_per_step - once + round(looked_at * 2 * (size + width))

    def _product(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return the scores [K, T, B] of queries [K, B, A] and keys [T, B, A]: products, scaled."""
        return torch.einsum("kba,tba->ktb", queries, keys) / math.sqrt(queries.shape[-1])

    def _additive(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return the scores of a layer with tanh units; without gradients, of some queries at a time."""
        count = len(queries) if torch.is_grad_enabled() else max(1, MOST_SCORES // keys.numel())
        some = [self._scored(torch.tanh(part.unsqueeze(1) + keys)) for part in torch.split(queries, count)]
        return some[0] if len(some) == 1 else torch.cat(some)

    def _scored(self, hidden: Tensor) -> Tensor:
        """Return scores [K, T, B] of hidden units [K, T, B, A]."""
        score = self.get_submodule("score")
        found: Tensor = score(hidden)
        return found.squeeze(-1)


class Attention(Network, name="attention"):
    """Soft attention: a read-out of the output and of a weighted mean of all outputs of the highest layer so far.

        additive    e_kt = w tanh(Q h_k + K h_t)
        product     e_kt = (Q h_k)' (K h_t) / sqrt(A)
        alpha_k = softmax_t e_kt, over steps t <= k            c_k = sum_t alpha_kt h_t
        answer  = V [h_k, c_k] + b

    The step k is one at which the task asks; nothing behind it is seen. With `feeds` the context of every step is an
    input of the next one, x_t of which the layers hear [x_t, c_{t-1}], and the state depends on what was attended to.
    Then the layers run step by step, which takes many times as long. Attention that draws one step at random
    ("hard") is not here.

    score: additive (a layer of tanh units) or product (scaled).
    size: width A of queries and keys; 0 for that of the outputs.
    feeds: whether the context is fed into the next step.
    """

    source = (
        "Bahdanau, Cho & Bengio 2015, 'Neural Machine Translation by Jointly Learning to Align and Translate' "
        "(additive); Luong, Pham & Manning 2015, 'Effective Approaches to Attention-based Neural Machine Translation' "
        "(product), scaled as by Vaswani et al. 2017; Xu et al. 2015, 'Show, Attend and Tell' (feeds)"
    )
    Module = AttentionModule

    def __init__(self, *, score: str = "additive", size: int = 0, feeds: bool = False) -> None:
        require_one_of("network.score", score, SCORES)
        require(size >= 0, "network.size must be 0 (that of the outputs) or more", size)
        self.score, self.size, self.feeds = score, size, feeds

    @property
    def additive(self) -> bool:
        """Whether scores are those of a layer of tanh units."""
        return self.score == "additive"

    def parts(self, setting: Setting) -> Parts:
        width, task = setting.output_size, setting.task
        size = self.size or width
        linear = {"query": Linear(width, size, bias=False), "key": Linear(width, size, bias=False)}
        if self.additive:
            linear["score"] = Linear(size, 1, bias=False)
        linear["readout"] = Linear(2 * width, task.output_size)
        return Parts(layers={RECURRENT: task.input_size + (width if self.feeds else 0)}, linear=linear)

    def refuse(self, setting: Setting) -> None:
        super().refuse(setting)
        task, model = setting.task, setting.model
        if self.feeds:
            rule = "network.feeds must be false with model.bidirectional, as what reads backwards cannot be fed"
            require(not model.bidirectional, f"{self.name}: {rule}", self.feeds)
            rule = "network.feeds must be false with model.recurrent_dropout, whose mask is that of a whole sequence"
            require(not model.recurrent_dropout, f"{self.name}: {rule}", self.feeds)
        last = int(_few(task).reads.max())
        rule = "answers must be read after the first step with attention, which looks back at earlier ones"
        require(last > 0, f"{task.name}: {rule}", f"step {last + 1}")


def _few(task: Task, count: int = 2) -> Batch:
    """Return a few sequences of a task."""
    if isinstance(task, DataTask):
        return task.part("validation").part(0, count)
    return task.batch(count, torch.Generator().manual_seed(0))
