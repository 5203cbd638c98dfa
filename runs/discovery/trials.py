"""The trials of a candidate: its cell at a point of a task, as wide as has the GRU's number of parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, cached_property

from tasks import Task
from variants import Cell
from variants.formula.cell import Formula

from ..networks import Reader
from ..networks.network import Setting
from ..study.design import Node, seed_for
from ..study.plan import nearest_accepted
from ..trial.classes import construct, target_of
from ..trial.trial import Model, Trial
from .candidate import Candidate
from .plan import CellPlan


def node_of(equations: str, label: str = "formula") -> Node:
    """Return the configuration node of a cell from its equations, as any study takes it."""
    return {"_target_": target_of(Formula), "label": label, "equations": equations, "keep_bias": 1.0}


class Trials:
    """The trials of the candidates of a search."""

    def __init__(self, plan: CellPlan) -> None:
        self.plan = plan
        self._wanted: dict[tuple[str, int], int] = {}

    def of(self, candidate: Candidate, cell: Cell, task: str, point: int) -> Trial:
        """Return the trial of a candidate.

        cell: of the candidate. task: its label. point: its number in the candidate's block.
        """
        plan, design = self.plan, self.plan.design
        place = candidate.block * plan.points + point
        trial = design.trial(task, design.baseline, place)
        seed = trial.seed
        if candidate.name:
            seed = seed_for(design.seed, "name", candidate.name, task, place) >> 1
        budget = plan.budget(task)
        looks = max(1, round(trial.training.evaluations * budget / trial.training.budget))
        return replace(
            trial,
            variant=node_of(candidate.equations),
            model=replace(trial.model, hidden_size=self.width(cell, task, trial)),
            training=replace(trial.training, budget=budget, evaluations=looks),
            seed=seed,
        )

    def width(self, cell: Cell, task: str, trial: Trial) -> int:
        """Return the width at which a cell has as nearly as possible the parameters of the GRU on a task.

        trial: with the width of the GRU.
        """
        problem, model = self.problem(task), trial.model
        place = (task, model.hidden_size)
        if place not in self._wanted:
            self._wanted[place] = _parameters(self._gru, problem, model)
        wanted = self._wanted[place]

        @cache
        def parameters(width: int) -> int:
            return _parameters(cell, problem, replace(model, hidden_size=width))

        return nearest_accepted(
            cell, model, _first_at(parameters, wanted), lambda width: abs(parameters(width) - wanted)
        )

    def problem(self, task: str) -> Task:
        """Return a task by its label, built once."""
        if task not in self._problems:
            self._problems[task] = construct(self.plan.design.tasks[task], Task)
        return self._problems[task]

    @cached_property
    def _problems(self) -> dict[str, Task]:
        return {}

    @cached_property
    def _gru(self) -> Cell:
        return construct(self.plan.design.variants[self.plan.design.baseline], Cell)


def _parameters(cell: Cell, problem: Task, model: Model) -> int:
    """Return the number of trainable values of a cell's network, with the read-out that every candidate has."""
    return Reader().parameter_count(Setting(cell, problem, model))


def _first_at(parameters: Callable[[int], int], wanted: int) -> int:
    """Return the smallest width with at least so many parameters, found by halving."""
    high = 1
    while parameters(high) < wanted:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters(middle) < wanted else (low, middle)
    return high
