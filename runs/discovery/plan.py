"""The plan of a search for cells as plain data: which candidates there will be, and what each of them has to pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..rules import require
from ..study.design import Design, flat

SUFFIX = "/search"
REFERENCE, START, NAMES, MUTATION, RANDOM = "reference", "start", "gru_names", "mutation", "random"
ARMS = (MUTATION, RANDOM)
"""The arms that propose candidates of their own: the search, and its control without a memory of what was good."""
PAIR = ("search", "candidate")
"""What stands for the labels of a task and a variant where candidates wait, run and are listed."""


def is_search(key: str) -> bool:
    """Return whether a name in a storage is that of a search for cells.

    >>> is_search("mine/search"), is_search("mine"), is_search("mine/confirm-50")
    (True, False, False)
    """
    return key.endswith(SUFFIX)


@dataclass(frozen=True, kw_only=True)
class CellPlan:
    """A search for cells. All but the number of generations is fixed when the search is created.

    The candidates are numbered. First come the references, the GRU at each block of points; then the cells of the
    start and the GRU under other names, which are not stopped by a gate; then the generations. A generation is a
    function of the seed and of what was told of all candidates before it.

    design: name, seed, tasks (the toy first), training, and the hyperparameters of the points. Its baseline is the GRU,
        and its other variants are the cells with which the search starts.
    toy: label of the task that a candidate must learn before it is trained on the others; it is no part of the score.
    generations: how many there are; may grow.
    mutants, fresh: candidates of a generation that are mutants of the pool, and that are drawn at random.
    names: under how many names the GRU is entered, each with seeds of its own.
    pool: the best so many cells are mutated and evaluated again.
    points: of the hyperparameter space, in each block. All candidates are trained at those of the first block.
    blocks: how often a cell can be evaluated, each time at other points.
    again: share of the candidates that are a cell of the pool at its next block of points.
    toy_reach: share of the best GRU's score on the toy that a candidate must reach.
    reach: the same on the first of the other tasks, on the scale of `runs.discovery.scoring.value`.
    budgets: updates by task; those of `design.training` where a task is not named.
    """

    design: Design
    toy: str
    generations: int
    mutants: int
    fresh: int
    names: int
    pool: int
    points: int
    blocks: int
    again: float
    toy_reach: float
    reach: float
    budgets: Mapping[str, int]

    def __post_init__(self) -> None:
        for name in ("generations", "pool", "points", "blocks"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1", getattr(self, name))
        for name in ("mutants", "fresh", "names"):
            require(getattr(self, name) >= 0, f"{name} must be 0 or more", getattr(self, name))
        require(self.offspring >= 1, "mutants or fresh must be at least 1, or no cell is tried", self.mutants)
        require(0 <= self.again < 1, "again must be in [0, 1)", self.again)
        for name in ("toy_reach", "reach"):
            require(0 <= getattr(self, name) <= 2, f"{name} must be in [0, 2]", getattr(self, name))
        require(len(self.tasks) >= 1, "tasks must have at least one task", list(self.tasks))
        for task, budget in self.budgets.items():
            require(task in self.design.tasks, f"budgets must be those of {', '.join(self.design.tasks)}", task)
            require(budget >= 1, f"budgets.{task} must be at least 1", budget)

    # What a queue needs to know
    # -------------------------------------------------------------------------------------------------------------

    @property
    def stage(self) -> str:
        """The name of the only stage."""
        return "search"

    @property
    def key(self) -> str:
        """The name in the storage."""
        return f"{self.design.name}{SUFFIX}"

    @property
    def title(self) -> str:
        """The name in messages."""
        return f"search {self.design.name!r}"

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """One pair, whose trials are the candidates."""
        return [PAIR]

    @property
    def length(self) -> int:
        """Number of candidates."""
        return self.before + self.generations * self.offspring

    # Candidates by their numbers
    # -------------------------------------------------------------------------------------------------------------

    @property
    def tasks(self) -> list[str]:
        """Labels of the tasks that count in the score, in the order in which they are trained."""
        return [task for task in self.design.tasks if task != self.toy]

    @property
    def stages(self) -> list[str]:
        """Labels of all tasks, in the order in which they are trained: the toy first."""
        return [self.toy, *self.tasks]

    @property
    def starts(self) -> list[str]:
        """Labels of the cells with which the search starts, beside the GRU."""
        return [label for label in self.design.variants if label != self.design.baseline]

    @property
    def offspring(self) -> int:
        """Candidates of a generation, without the cells of the start and the GRU under other names."""
        return self.mutants + self.fresh

    @property
    def before(self) -> int:
        """Number of the first candidate that is offspring of a generation."""
        return self.blocks + len(self.starts) + self.names

    def generation(self, index: int) -> int:
        """Return the generation of a candidate: 0 for the references, 1 for what needs nothing but these.

        index: its number.
        """
        return 0 if index < self.blocks else max(1, (index - self.before) // self.offspring + 1)

    def numbers(self, generation: int) -> range:
        """Return the numbers of the candidates of a generation."""
        if generation == 0:
            return range(self.blocks)
        first = self.blocks if generation == 1 else self.before + (generation - 1) * self.offspring
        return range(first, self.before + generation * self.offspring)

    def budget(self, task: str) -> int:
        """Return the number of updates on a task."""
        return self.budgets.get(task, self.design.training.budget)

    # Plain values
    # -------------------------------------------------------------------------------------------------------------

    def grown(self, wanted: CellPlan) -> CellPlan:
        """This plan, or the one that is wanted where that has more generations."""
        return wanted if wanted.generations > self.generations else self

    def fixed(self) -> dict[str, Any]:
        """Return the values that must not change once the search is stored, by flat keys."""
        values = self.as_dict()
        del values["generations"]
        return {**flat({key: value for key, value in values.items() if key != "design"}), **self.design.fixed()}

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as they are stored; the inverse of `from_dict`."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**values, "budgets": dict(self.budgets), "design": self.design.as_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CellPlan:
        """Return a plan from plain values."""
        return cls(**{**values, "design": Design.from_dict(values["design"])})
