"""Scores of a search for cells: what a candidate reached, held against the best GRU at the same points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..trial.trial import Outcome
from .candidate import SCORED, Candidate, Told
from .plan import MUTATION, REFERENCE, START, CellPlan

Reference = Mapping[str, Sequence[Sequence[float]]]
"""By task and by block of points: what the GRU reached at each point."""
ARMS_OF = {MUTATION: (MUTATION, START, REFERENCE)}
"""The arms whose cells are in the pool of an arm; of another arm its own only."""


def value(outcome: Outcome) -> float:
    """Return what a trial reached, on a scale on which a faster solution counts for more.

    It is 2 - (update of the solution) / (budget) where the task was solved, from 1 to 2, and else the score of the
    task, from 0 to 1.

    >>> value(Outcome(status="solved", solved_step=100, budget=400, score=1.0))
    1.75
    >>> value(Outcome(status="finished", budget=400, score=0.3))
    0.3
    """
    if outcome.solved_step is not None:
        return 2.0 - outcome.solved_step / outcome.budget
    return outcome.score


def reference_of(plan: CellPlan, told: Iterable[Told]) -> Reference:
    """Return what the GRU reached. An evaluation of it that failed counts as 0.

    told: of the references.
    """
    found = {each.candidate.block: each.result.values for each in told if each.candidate.arm == REFERENCE}
    nothing = (0.0,) * plan.points
    blocks = range(plan.blocks)
    return {task: [found.get(block, {}).get(task, nothing) for block in blocks] for task in plan.stages}


def ratio(plan: CellPlan, values: Mapping[int, Mapping[str, Sequence[float]]], reference: Reference) -> float | None:
    """Return the smallest of the ratios to the best GRU at the same points, over the tasks that count.

    values: by block what a cell reached by task at each point.

    Returns None where it was not trained on all tasks in any block.
    """
    blocks = [block for block, found in values.items() if all(task in found for task in plan.tasks)]
    if not blocks:
        return None
    ratios = []
    for task in plan.tasks:
        own = max(v for block in blocks for v in values[block][task])
        best = max(v for block in blocks for v in reference[task][block])
        ratios.append(own / best if best > 0 else 0.0)
    return min(ratios)


@dataclass(frozen=True)
class Member:
    """A cell that was scored, with all its evaluations.

    first: its first evaluation. blocks: at whose points it was evaluated.
    score: see `ratio`, over all its points.
    parameters: of its network on the first task.
    """

    first: Candidate
    blocks: tuple[int, ...]
    score: float
    parameters: int


def members(plan: CellPlan, told: Sequence[Told], arm: str) -> list[Member]:
    """Return the scored cells of an arm, the best first; of equal ones the one that was tried first.

    Of cells that compute the same only the first one is there.

    told: of whole generations.
    arm: mutation, with which are the cells of the start; or another one.
    """
    reference = reference_of(plan, told)
    by_key: dict[str, dict[int, Told]] = {}
    for each in told:
        scored = each.result.status == SCORED and each.candidate.arm in ARMS_OF.get(arm, (arm,))
        if scored:
            by_key.setdefault(each.candidate.key, {}).setdefault(each.candidate.block, each)
    found: list[Member] = []
    prints: set[str] = set()
    for blocks in by_key.values():
        first = next(iter(blocks.values()))
        score = ratio(plan, {block: each.result.values for block, each in blocks.items()}, reference)
        twin = first.result.fingerprint in prints
        if score is not None and not twin:
            found.append(Member(first.candidate, tuple(blocks), score, first.result.parameters))
            prints |= {first.result.fingerprint} - {""}
    return sorted(found, key=lambda member: (-member.score, member.first.index))


def best_names(plan: CellPlan, told: Sequence[Told], names: str) -> list[float]:
    """Return the scores of the GRU under other names, the best first."""
    scores = [each.result.ratio for each in told if each.candidate.arm == names]
    return sorted((score for score in scores if score is not None), reverse=True)


def unsolved_by_gru(plan: CellPlan, told: Sequence[Told]) -> str:
    """Return one line on the first task that the GRU does not solve at any point of the first block; empty if none.

    told: with all references.
    """
    reference = reference_of(plan, told)
    for task in plan.stages:
        best = max(reference[task][0])
        if best < 1.0:
            more = f"{'' if task in plan.budgets else '+'}budgets.{task}={2 * plan.budget(task)}"
            cure = f"a larger budget ({more}), another learning rate or a shorter lag"
            return (
                f"task {task} must be one that the GRU solves: within {plan.budget(task)} updates it does so "
                f"at none of its {plan.points} points (best score {best:.2f}), so that no ratio to it means much; "
                f"{cure} may help"
            )
    return ""
