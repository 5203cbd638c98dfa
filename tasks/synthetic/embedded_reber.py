"""The embedded Reber grammar: predict the next symbol of a string whose last but one repeats its second."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..task import Batch, Classification, one_hot

SYMBOLS = "BTPSXVE"
BEGIN, LAST = SYMBOLS.index("B"), SYMBOLS.index("E")
GRAMMAR = (
    (("B", 1),),
    (("T", 2), ("P", 3)),
    (("S", 2), ("X", 4)),
    (("T", 3), ("V", 5)),
    (("X", 3), ("S", 6)),
    (("P", 4), ("V", 6)),
    (("E", 7),),
)
"""The Reber grammar: for each node the symbols that may follow, and the node that each of them leads to."""
SHORTEST = 5
"""Length of the shortest strings of the Reber grammar, BTXSE and BPVVE. Every greater length is possible."""
END = 2 * len(GRAMMAR) + 4
"""The node of the embedded grammar where a string has ended."""
NEGLIGIBLE = 1e-15
"""Strings of free length are followed until all but this share of them has ended."""


def embedded() -> list[tuple[tuple[str, int], ...]]:
    """Return the embedded grammar in the form of `GRAMMAR`, from the node after the first B to the node before `END`.

    Node 0 chooses the outer symbol. Each choice has a copy of the Reber grammar, whose last node repeats the symbol.
    """
    width = len(GRAMMAR) + 1
    nodes: list[tuple[tuple[str, int], ...]] = [(("T", 1), ("P", 1 + width))]
    for outer, first in nodes[0]:
        nodes += [tuple((symbol, first + node) for symbol, node in edges) for edges in GRAMMAR]
        nodes += [((outer, END - 1),)]
    return [*nodes, (("E", END),)]


class Walk(NamedTuple):
    """Strings as a walk over N nodes with at most two edges each, and the losses of some models.

    symbols: [N, 2] int64, the symbol of each edge.
    nodes: [N, 2] int64, the node that it leads to.
    first: [steps, N] float64, the probability of the first edge; one row for all steps of strings of free length.
    answers: mean number of answers of a string.
    optimum: loss of the best model, which knows the grammar, the outer symbol and, where it is fixed, the length.
    forgetful: loss of the best model that has lost the outer symbol only.
    last_two: loss of the best model that sees the present symbol and the one before it.
    last_one: loss of the best model that sees the present symbol only.
    """

    symbols: Tensor
    nodes: Tensor
    first: Tensor
    answers: float = 0.0
    optimum: float = 0.0
    forgetful: float = 0.0
    last_two: float = 0.0
    last_one: float = 0.0


@cache
def walk(lag: int | None) -> Walk:
    """Return the walk whose inner strings have the length `lag`, or any length.

    For a fixed length the probability of an edge is that under the condition that the string ends in time: the
    probability of the edge, times that of reaching the end from there in the steps that are left.
    """
    edges = [*embedded(), (("E", END),)]
    symbols = torch.tensor([[SYMBOLS.index(edge[0]) for edge in (node[0], node[-1])] for node in edges])
    nodes = torch.tensor([[edge[1] for edge in (node[0], node[-1])] for node in edges])
    free = torch.tensor([1 / len(node) for node in edges], dtype=torch.float64)
    if lag is None:
        return _measured(Walk(symbols, nodes, free.unsqueeze(0)))
    ending = torch.zeros(len(edges), dtype=torch.float64)  # chance to end in the steps that are left, up to a factor
    ending[END] = 1.0
    rows = []
    for _ in range(lag + 3):
        ways = torch.stack((free, 1 - free), 1) * ending[nodes]
        ways[END] = 0.0
        total = ways.sum(1)
        rows.append(torch.where(total > 0, ways[:, 0] / total, 1.0))
        ending = total / total.max()
    return _measured(Walk(symbols, nodes, torch.stack(rows[::-1])))


def _measured(walk: Walk) -> Walk:
    """Return a walk with the losses of its models, by following the probability of each node from step to step."""
    count = len(SYMBOLS)
    symbols, nodes = walk.symbols.flatten(), walk.nodes.flatten()
    arrived = torch.zeros(count + 1, count, len(walk.nodes), dtype=torch.float64)  # by symbol before, symbol, node
    arrived[count, BEGIN, 0] = 1.0
    triples = torch.zeros(count + 1, count, count, dtype=torch.float64)  # expected number of each in a string
    entropy, step = 0.0, 0
    while float(arrived[..., :END].sum()) > NEGLIGIBLE:
        chance = walk.first[min(step, len(walk.first) - 1)]
        chances = torch.stack((chance, 1 - chance), 1)
        chances[END] = 0.0
        entropy += float((arrived.sum((0, 1)) * torch.special.entr(chances).sum(1)).sum())
        flows = (arrived.unsqueeze(-1) * chances).flatten(2)  # [symbol before, symbol, edge of a node]
        triples.index_add_(2, symbols, flows)
        arrived = torch.zeros_like(arrived).flatten(1)
        arrived[:count].index_add_(1, symbols * len(walk.nodes) + nodes, flows.sum(0))
        arrived = arrived.view(count + 1, count, -1)
        step += 1
    answers = float(triples.sum())
    return walk._replace(
        answers=answers,
        optimum=entropy / answers,
        forgetful=(entropy + math.log(2)) / answers,
        last_two=_conditional_entropy(triples) / answers,
        last_one=_conditional_entropy(triples.sum(0)) / answers,
    )


def _conditional_entropy(counts: Tensor) -> float:
    """Return the sum of the losses of the best predictions of the last symbol, given the symbols before it.

    counts: how often each combination of symbols comes.
    """
    return float(torch.special.entr(counts).sum() - torch.special.entr(counts.sum(-1)).sum())


class EmbeddedReber(Classification, name="embedded_reber"):
    """Predict the next symbol of a string of a grammar; its last but one symbol repeats the second.

        input    B  T   B  P  V  P  X  V  V  E   T         the inner string, B P V P X V V E, has `lag` symbols
        target   T  B   P  V  P  X  V  V  E  T   E         read at every step; T is due `lag` steps after T was seen

    Inputs are one-hot vectors of the seven symbols B T P S X V E. A string is B, an outer symbol (T or P with
    probability 1/2), a string of the Reber grammar, the outer symbol again, E. The Reber grammar is

        1 -B-> 2    2 -T-> 3  -P-> 4    3 -S-> 3  -X-> 5    4 -T-> 4  -V-> 6    5 -X-> 4  -S-> 7    6 -P-> 5  -V-> 7
        7 -E-> end

    with probability 1/2 for each of two edges, here under the condition that the inner string has exactly `lag`
    symbols. Between the outer symbol and the answer that repeats it there are `lag` steps. A sequence has lag + 3
    steps, as the last symbol of a string is no input. Cross-entropy over all steps, in nats.

    The floor is computed exactly, from the expected number of each pair of neighbours in a string: the best model
    without memory knows how often each symbol follows each other one, anywhere in a string. For lag = 20 its loss is
    1.107. `baselines` has three more: the best model of the last two symbols (0.564), the best one without the outer
    symbol (0.350), and the best one of all, which knows the grammar and how many steps are left (0.320). The last two
    are always ln 2 / (lag + 3) apart. As this is little, `recall_loss` and `recall_accuracy`, of the answer that
    repeats the outer symbol, stand beside the loss of all steps; without memory of that symbol they are ln 2 = 0.693
    and 1/2. Solved when the recall accuracy is at least 99 %. `solved_loss` is that of the best model of all if it gave
    the right outer symbol a probability of 0.99.

    lag: length of the inner string, the number of steps between the outer symbol and its repetition, at least 5; None
        for free lengths, as published: 5 or more, with a mean of 8. All answers of a batch then count alike.

    The paper stopped when, for all symbols of 256 training and 256 test strings, the outputs of the possible next
    symbols were the most active ones. For free lengths `published` reports this for held-out strings, which are drawn
    anew and may also be among those trained on, and `wrong` is the share of strings with a mistake. The paper's best
    network needed 8,440 sequences.
    """

    lag: int | None
    source = "Hochreiter & Schmidhuber 1997, 'Long Short-Term Memory', section 5.1"
    unit = "nats per step"
    causal = True
    input_size = output_size = len(SYMBOLS)

    def __init__(self, *, lag: int | None = 20) -> None:
        if lag is not None and type(lag) is not int:  # a configuration cannot check "a number or null"
            raise ValueError(f"{self.name}: lag must be a whole number or None, got {lag!r}")
        self.lag = lag
        if lag is not None:
            self.require("lag", SHORTEST)
        self.walk = walk(lag)
        self.floor = self.walk.last_one
        self.solved_loss = self.walk.optimum - math.log(0.99) / self.walk.answers

    def baselines(self) -> dict[str, float]:
        return {
            "last 2 symbols": self.walk.last_two,
            "all but the outer symbol": self.walk.forgetful,
            "best possible": self.walk.optimum,
        }

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        node = torch.zeros(size, dtype=torch.int64)
        drawn, running = [torch.full((size,), BEGIN)], list[Tensor]()
        while bool((node != END).any()):
            first = self.walk.first[min(len(running), len(self.walk.first) - 1)]
            edge = (torch.rand(size, generator=generator, dtype=torch.float64) >= first[node]).long()
            running.append(node != END)
            drawn.append(self.walk.symbols[node, edge])
            node = self.walk.nodes[node, edge]
        symbols, asked = torch.stack(drawn), torch.stack(running)
        reads = torch.arange(len(asked)).view(-1, 1) * asked
        inputs = one_hot(symbols[:-1], self.input_size, present=asked)
        if self.lag is not None:
            return Batch(inputs, symbols[1:], reads)
        return Batch(inputs, symbols[1:] * asked, reads, asked.sum(0), asked.float())

    def metrics(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        last = torch.full((outputs.shape[1],), len(outputs)) if batch.lengths is None else batch.lengths
        recall, columns = last - 2, torch.arange(outputs.shape[1])
        recalled, due = outputs[recall, columns], batch.targets[recall, columns]
        metrics = {
            **super().metrics(outputs, batch),
            "recall_loss": float(functional.cross_entropy(recalled, due)),
            "recall_accuracy": float((recalled.argmax(-1) == due).float().mean()),
        }
        if self.lag is not None:
            return metrics
        possible = self.possible(batch)
        least = outputs.masked_fill(~possible, math.inf).amin(-1)
        right = (least > outputs.masked_fill(possible, -math.inf).amax(-1)) | (batch.weights == 0)
        wrong = float((~right.all(0)).float().mean())
        return {**metrics, "wrong": wrong, "published": float(wrong == 0)}

    def possible(self, batch: Batch) -> Tensor:
        """Find the symbols that the grammar allows next.

        batch: of which only `inputs` is used.

        Returns [T, B, 7] bool.
        """
        walk, nodes = self.walk, [torch.zeros(batch.inputs.shape[1], dtype=torch.int64)]
        for symbol in batch.inputs[1:].argmax(-1):
            edge = (walk.symbols[nodes[-1], 0] != symbol).long()
            nodes.append(walk.nodes[nodes[-1], edge])
        allowed = walk.symbols[torch.stack(nodes)]  # [T, B, 2]
        return torch.zeros(batch.inputs.shape, dtype=torch.bool).scatter_(2, allowed, True)

    def solved(self, metrics: dict[str, float]) -> bool:
        return metrics["recall_accuracy"] >= 0.99

    def oracle(self, batch: Batch) -> Tensor:
        symbols, columns = batch.inputs.argmax(-1), torch.arange(batch.inputs.shape[1])
        last = torch.full_like(columns, len(symbols)) if batch.lengths is None else batch.lengths
        targets = torch.cat((symbols[1:], symbols[:1])) * (torch.arange(len(symbols)).view(-1, 1) < last)
        targets[last - 2, columns] = symbols[1]
        targets[last - 1, columns] = LAST
        return targets

    def relevant(self, batch: Batch) -> Tensor:
        return (torch.arange(len(batch.inputs)) == 1).view(-1, 1).expand(batch.inputs.shape[:2])
