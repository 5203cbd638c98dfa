"""Tries a candidate: whether it is a valid and a new cell, and then what it learns, task by task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from variants import Cell

from ..trial.classes import construct
from ..trial.faults import Interrupted, MachineFault, OutOfTime, is_of_the_machine
from ..trial.training import run
from ..trial.trial import Outcome
from .candidate import DUPLICATE, FAILED, NOTHING, SCORED, VALIDITY, Candidate, Result
from .fingerprint import fingerprint
from .graph import Graph
from .plan import CellPlan
from .scoring import Reference, ratio, value
from .trials import Trials, node_of
from .validity import refusal


class Known(NamedTuple):
    """What was told before the generation of a candidate.

    reference: what the GRU reached, empty for the references themselves.
    fingerprints: by arm and fingerprint the number of the first candidate that has it.
    """

    reference: Reference
    fingerprints: Mapping[tuple[str, str], int]


class FailedTrial(RuntimeError):
    """A trial of a candidate has failed; the text is its error."""


class Evaluation:
    """The trial of one candidate. What it has found so far is kept, so that an error at the end loses nothing.

    plan: of the search. trials: of its candidates.
    candidate: that is tried. known: what was told before.
    stopping: asked before every update whether to stop.
    """

    def __init__(
        self, plan: CellPlan, trials: Trials, candidate: Candidate, known: Known, stopping: Callable[[], bool]
    ) -> None:
        self.plan, self.trials, self.candidate, self.known, self.stopping = plan, trials, candidate, known, stopping
        self.values: dict[str, tuple[float, ...]] = {}
        self.solved: dict[str, tuple[int | None, ...]] = {}
        self.by_stage: dict[str, float] = {}
        self.widths: dict[str, int] = {}
        self.parameters = 0
        self.fingerprint = ""
        self.twin: int | None = None

    def result(self) -> Result:
        """Return what was found of the candidate.

        Raises Interrupted as soon as `stopping` answers True, and MachineFault where the machine lacked something.
        """
        begun = time.perf_counter()
        try:
            status, reason = self._tried()
        except (Interrupted, MachineFault):
            raise
        except Exception as error:  # an equation may divide by zero in a place that nobody has thought of
            if is_of_the_machine(error):
                raise MachineFault(f"{type(error).__name__}: {error}") from error
            known = isinstance(error, FailedTrial | OutOfTime)
            status, reason = FAILED, str(error) if known else f"{type(error).__name__}: {error}"
        score = None
        if status == SCORED and self.known.reference:
            score = ratio(self.plan, {self.candidate.block: self.values}, self.known.reference)
        return Result(
            status=status,
            reason=reason,
            values=self.values,
            solved=self.solved,
            seconds=time.perf_counter() - begun,
            by_stage=self.by_stage,
            ratio=score,
            parameters=self.parameters,
            widths=self.widths,
            fingerprint=self.fingerprint,
            twin=self.twin,
        )

    def _tried(self) -> tuple[str, str]:
        """Return how the candidate ended, and why there."""
        candidate, plan = self.candidate, self.plan
        if not candidate.equations:
            return NOTHING, f"{candidate.proposals} cells were drawn, and none of them was new"
        with self._timed("checks"):
            status, reason = self._checked()
        if status:
            return status, reason
        cell = construct(node_of(candidate.equations), Cell)
        reference = self.known.reference
        toy, first = plan.toy, plan.tasks[0]
        if candidate.operation != "again":
            wanted = plan.toy_reach * min(1.0, max(reference[toy][0])) if candidate.gated else None
            reached = self._train(cell, toy, wanted)
            if wanted is not None and min(1.0, reached) < wanted:
                return toy, f"it reached {reached:.3f}, not {wanted:.3f}"
        for task in plan.tasks:
            reached = self._train(cell, task)
            if candidate.gated and task == first:
                wanted = plan.reach * max(reference[task][candidate.block])
                if reached < wanted:
                    return task, f"it reached {reached:.3f}, not {wanted:.3f}"
        return SCORED, ""

    def _checked(self) -> tuple[str, str]:
        """Return at which check the candidate ended, and why; empty texts where it passed all."""
        candidate = self.candidate
        graph = Graph.read(candidate.equations)
        if candidate.gated:
            refused = refusal(graph)
            if refused:
                return VALIDITY, refused
        self.fingerprint = fingerprint(graph)
        self.twin = self.known.fingerprints.get((candidate.arm, self.fingerprint))
        if self.twin is not None and candidate.gated:
            return DUPLICATE, f"it computes the same as candidate {self.twin}"
        return "", ""

    def _train(self, cell: Cell, task: str, enough: float | None = None) -> float:
        """Train the candidate at its points of a task, and return the most that it reached.

        enough: a share of the score, from 0 to 1, after which the other points are left out; None to train at all.
        """
        reached: list[float] = []
        solved: list[int | None] = []
        with self._timed(task):
            for point in range(self.plan.points):
                outcome = self._run(cell, task, point)
                reached.append(value(outcome))
                solved.append(outcome.solved_step)
                self.values[task], self.solved[task] = tuple(reached), tuple(solved)
                if enough is not None and min(1.0, reached[-1]) >= enough:
                    break
        return max(reached)

    def _run(self, cell: Cell, task: str, point: int) -> Outcome:
        trial = self.trials.of(self.candidate, cell, task, point)
        outcome = run(trial, stopping=self.stopping, raise_faults=True)
        if outcome.status == "failed":
            raise FailedTrial(f"{task}: {outcome.error}")
        self.widths[task] = trial.model.hidden_size
        if task != self.plan.toy:
            self.parameters = self.parameters or outcome.parameters
        return outcome

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.by_stage[stage] = self.by_stage.get(stage, 0.0) + time.perf_counter() - begun
