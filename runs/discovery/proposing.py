"""The candidates of a generation: a function of the plan and of what was told of all candidates before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from variants import Cell
from variants.formula.from_cell import equations_of

from ..study.design import seed_for
from ..trial.classes import construct
from .candidate import Candidate, Told
from .fresh import fresh
from .graph import Graph
from .mutation import mutant
from .plan import MUTATION, NAMES, RANDOM, REFERENCE, START, CellPlan
from .scoring import Member, members
from .validity import pruned, static_refusal

DRAWN = 200
"""How many cells are drawn for one candidate; where none of them is new, the candidate has no cell."""


def start_graphs(plan: CellPlan) -> dict[str, Graph]:
    """Return the cells with which a search starts by their labels, the GRU first.

    Raises ValueError, naming the cell, for one that equations cannot say.
    """
    labels = [plan.design.baseline, *plan.starts]
    found = {}
    for label in labels:
        cell = construct(plan.design.variants[label], Cell)
        try:
            found[label] = Graph.read(equations_of(cell))
        except ValueError as error:
            raise ValueError(f"start: {label} must be a cell that candidates can be made of: {error}") from None
    return found


def proposed(plan: CellPlan, generation: int, told: Sequence[Told]) -> list[Candidate]:
    """Return the candidates of a generation.

    told: all candidates of the generations before.
    """
    graphs = start_graphs(plan)
    if generation == 0:
        gru = graphs[plan.design.baseline]
        return [_named(k, 0, REFERENCE, gru, plan.design.baseline, block=k) for k in range(plan.blocks)]
    found: list[Candidate] = []
    number = plan.numbers(generation)[0]
    if generation == 1:
        for label in plan.starts:
            found.append(_named(number + len(found), 1, START, graphs[label], label))
        for k in range(plan.names):
            gru = graphs[plan.design.baseline]
            found.append(_named(number + len(found), 1, NAMES, gru, f"gru_{k + 1}", name=k + 1))
    for arm, count in ((MUTATION, plan.mutants), (RANDOM, plan.fresh)):
        drawing = _Drawing(plan, generation, arm, told, graphs)
        found += [drawing.next(number + len(found)) for _ in range(count)]
    return [replace(each, index=number + k) for k, each in enumerate(found)]


def _named(index: int, generation: int, arm: str, graph: Graph, label: str, block: int = 0, name: int = 0) -> Candidate:
    """Return a candidate that is a known cell."""
    return Candidate(
        index=index,
        generation=generation,
        arm=arm,
        operation=arm,
        equations=graph.equations(),
        key=graph.key,
        block=block,
        name=name,
        label=label,
    )


def _written(graph: Graph) -> tuple[str, str]:
    """Return the key and the equations of a graph without the parameters that have no effect; empty if it is no cell.

    What is left of a graph may be no cell any more, or may be one that equations cannot say.
    """
    if static_refusal(graph):
        return "", ""
    try:
        graph = pruned(graph)
        if static_refusal(graph):
            return "", ""
        return graph.key, graph.equations()
    except ValueError:
        return "", ""


class _Parent(NamedTuple):
    """A cell that may be mutated: its equations, and the number of its first evaluation."""

    equations: str
    number: int


class _Drawing:
    """The offspring of one arm in one generation."""

    def __init__(
        self, plan: CellPlan, generation: int, arm: str, told: Sequence[Told], graphs: Mapping[str, Graph]
    ) -> None:
        self.plan, self.generation, self.arm = plan, generation, arm
        self.rng = np.random.default_rng(seed_for(plan.design.seed, "generation", arm, generation))
        own = [each.candidate for each in told if each.candidate.arm in (arm, START, REFERENCE)]
        self.seen = {candidate.key for candidate in own} | {graph.key for graph in graphs.values()}
        self.pool = members(plan, told, arm)[: plan.pool]
        self.parents = [_Parent(member.first.equations, member.first.index) for member in self.pool]
        if arm == MUTATION and len(self.parents) < plan.pool:
            there = {member.first.key for member in self.pool}
            first = plan.blocks  # of the numbers of the cells of the start
            numbers = {plan.design.baseline: 0} | {label: first + k for k, label in enumerate(plan.starts)}
            lacking = [label for label, graph in graphs.items() if graph.key not in there]
            self.parents += [_Parent(graphs[label].equations(), numbers[label]) for label in lacking]
        self.again: dict[str, int] = {}

    def next(self, index: int) -> Candidate:
        """Return the next candidate: a cell of the pool at its next block of points, or a new cell."""
        if self.rng.random() < self.plan.again:
            renewable = [member for member in self.pool if self._block(member) < self.plan.blocks]
            if renewable:
                return self._once_more(index, renewable[int(self.rng.integers(len(renewable)))])
        return self._new(index)

    def _block(self, member: Member) -> int:
        """Return the next block of points of a member that no candidate has."""
        return max(member.blocks) + 1 + self.again.get(member.first.key, 0)

    def _once_more(self, index: int, member: Member) -> Candidate:
        block, first = self._block(member), member.first
        self.again[first.key] = self.again.get(first.key, 0) + 1
        return Candidate(
            index=index,
            generation=self.generation,
            arm=self.arm,
            operation="again",
            equations=first.equations,
            key=first.key,
            parents=(first.index,),
            block=block,
            label=first.label,
        )

    def _new(self, index: int) -> Candidate:
        candidate = Candidate(
            index=index,
            generation=self.generation,
            arm=self.arm,
            operation="mutate" if self.arm == MUTATION else "fresh",
            equations="",
            key="",
        )
        duplicates = invalid = 0
        for drawn in range(1, DRAWN + 1):
            graph, origin = self._drawn()
            candidate = replace(candidate, proposals=drawn, duplicates=duplicates, invalid=invalid)
            key, equations = _written(graph)
            if not equations:
                invalid += 1
                continue
            if key in self.seen:
                duplicates += 1
                continue
            self.seen.add(key)
            return replace(candidate, equations=equations, key=key, **origin)
        return replace(candidate, duplicates=duplicates, invalid=invalid)

    def _drawn(self) -> tuple[Graph, dict[str, Any]]:
        """Return a cell that may be new, and from which candidates and by what it came about."""
        if self.arm == RANDOM:
            return fresh(self.rng), {}
        parent = self.parents[int(self.rng.integers(len(self.parents)))]
        found = mutant(Graph.read(parent.equations), self.rng)
        return found.graph, {"parents": (parent.number,), "changes": found.operations}
