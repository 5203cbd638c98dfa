"""What the command says of a search: where candidates ended, which cells are best, and what the controls say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..arguments import command
from ..console.text import counted, grid, say, width
from .candidate import DUPLICATE, FAILED, NOTHING, SCORED, VALIDITY, Told
from .plan import ARMS, MUTATION, NAMES, RANDOM, START, CellPlan
from .scoring import best_names, members

SHOWN = 10
"""How many of the best cells are listed."""


def funnel(plan: CellPlan, told: Sequence[Told], arm: str) -> dict[str, int]:
    """Return how many candidates of an arm came how far.

    told: all candidates.
    arm: mutation or random.

    Returns counts by what they count, in the order in which candidates end: cells that were drawn; of these, those that
    could be seen to be invalid, and those that were there before; new cells, and for each gate those that ended there;
    those that were scored; of these, those whose ratio is above 1; and evaluations of a cell at further points.
    """
    own = [each for each in told if each.candidate.arm == arm]
    new = [each for each in own if each.candidate.operation != "again" and each.candidate.equations]
    drawn = [each for each in own if each.candidate.operation != "again"]
    ended = Counter(each.result.status for each in new)
    first = plan.tasks[0]
    return {
        "drawn": sum(each.candidate.proposals for each in drawn),
        "invalid": sum(each.candidate.invalid for each in drawn),
        "there before": sum(each.candidate.duplicates for each in drawn),
        "new cells": len(new),
        "no cell found": sum(each.result.status == NOTHING for each in drawn),
        "invalid when run": ended[VALIDITY],
        "the same as another": ended[DUPLICATE],
        "failed": ended[FAILED],
        f"ended at {plan.toy}": ended[plan.toy],
        f"ended at {first}": ended[first],
        "scored": ended[SCORED],
        "above the GRU": sum(member.score > 1 for member in members(plan, told, arm) if member.first.arm == arm),
        "evaluated again": sum(each.candidate.operation == "again" for each in own),
    }


def print_funnel(plan: CellPlan, told: Sequence[Told]) -> None:
    """Print where the candidates ended, the best cells, and what the controls say."""
    counts = {arm: funnel(plan, told, arm) for arm in ARMS}
    names = list(counts[MUTATION])
    rows = [[name, *(str(counts[arm][name]) for arm in ARMS)] for name in names if any(counts[a][name] for a in ARMS)]
    if not rows:
        say(f"{plan.title}: {len(told)} of {plan.length} candidates were tried")
        return
    print(grid([f"{plan.design.name}: candidates", *ARMS], rows, width()), flush=True)
    for line in said(plan, told, counts[MUTATION]):
        say(line)


def said(plan: CellPlan, told: Sequence[Told], counts: dict[str, int]) -> list[str]:
    """Return lines on the best cells, on the controls, and on gates that nothing has passed.

    counts: see `funnel`, of the arm mutation.
    """
    lines = [f"{len(told)} of {plan.length} candidates were tried"]
    lines += [line for arm in ARMS for line in _gate_that_nothing_passes(plan, told, arm)]
    best = [member for member in members(plan, told, MUTATION) if member.first.arm == MUTATION]
    lines += [
        f"{member.first.key}  {member.score:.3f} of the GRU, {len(member.blocks)} x {counted(plan.points, 'point')}: "
        f"{'; '.join(member.first.equations.splitlines())}"
        for member in best[:SHOWN]
    ]
    starts = [each for each in told if each.candidate.arm == START and each.result.ratio is not None]
    lines += [f"{each.candidate.label}: {each.result.ratio:.3f} of the GRU at the first points" for each in starts]
    scores = best_names(plan, told, NAMES)
    if scores:
        spread = f"{scores[-1]:.3f} to {scores[0]:.3f}"
        lines.append(f"the GRU under {len(scores)} other names, with other seeds: {spread}; so much is noise")
    random = [member.score for member in members(plan, told, RANDOM)]
    if random:
        lines.append(f"the best random cell: {random[0]:.3f} of the GRU")
    return lines


def _gate_that_nothing_passes(plan: CellPlan, told: Sequence[Told], arm: str) -> list[str]:
    """Return a line on the gate at which the last new cells of an arm ended, where none was scored."""
    new = [each for each in told if each.candidate.arm == arm and each.candidate.gated]
    if not new or any(each.result.status == SCORED for each in new):
        return []
    ended = Counter(each.result.status for each in new)
    stages = (plan.tasks[0], plan.toy, DUPLICATE, VALIDITY, FAILED, NOTHING)
    last = next(stage for stage in stages if ended[stage])
    reach = {plan.toy: "toy_reach", plan.tasks[0]: "reach"}.get(last, "")
    cure = f"; a smaller {reach} lets more pass" if reach else ""
    return [
        f"no cell of the arm {arm} passed {last}, where {ended[last]} of {counted(len(new), 'new cell')} ended{cure}"
    ]


def next_steps(plan: CellPlan, told: Sequence[Told], results: Path) -> list[str]:
    """Return lines on what to do with a search in which every candidate was tried."""
    best = [member for member in members(plan, told, MUTATION) if member.first.arm == MUTATION]
    if not best:
        return []
    name = plan.design.name
    verdict = command("runs.discover", results=results, name=name, action="verdict")
    return [f"next: the same arguments with action=verdict, as in {verdict}"]
