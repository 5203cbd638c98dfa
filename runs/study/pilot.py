"""The pilot of a study: what the baseline's first points say about whether the study can answer anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..trial.trial import Outcome
from .design import Design

if TYPE_CHECKING:
    from .plan import Plan

POINTS = 5
"""How many points of the baseline are the pilot, fewer where the study has fewer."""
FEWEST = 3
"""A study of fewer points has no pilot."""
NEAR_FLOOR = 0.1
"""A best score below this means that nothing is learned."""


def pilot_points(plan: Plan) -> int:
    """Return how many of the baseline's first points are run before everything else; 0 where there is no pilot.

    Only a search has one in which variants share their points and run them to the end.
    """
    design = plan.design
    if plan.stage != "search" or not design.comparison or design.points < FEWEST:
        return 0
    return min(POINTS, design.points)


class Found(NamedTuple):
    """What the pilot found on a task.

    lag: of the task, 0 where it is not known.
    points: trials that did not fail. solved: how many of them solved the task. score: the best one.
    losses: the lowest test loss beside the floor, of a task without a criterion; else empty.
    """

    task: str
    lag: int
    points: int
    solved: int
    score: float
    losses: str = ""

    @property
    def floor(self) -> bool:
        """Whether nothing is learned: no point solved the task, and the best score is near the floor."""
        return self.solved == 0 and self.score < NEAR_FLOOR

    @property
    def ceiling(self) -> bool:
        """Whether every point solved the task."""
        return self.solved == self.points

    def __str__(self) -> str:
        if self.losses:
            return self.losses
        unsolved = "" if self.solved else f", best score {self.score:.2f}".replace(" 0.", " .")
        return f"{self.solved} of {self.points} points{unsolved}"


def findings(design: Design, outcomes: Mapping[str, Sequence[Outcome]]) -> list[str]:
    """Return what the pilot says: one line on each task or series that tells nothing, and one on all others.

    A series is judged as a whole: that its shortest lag is always solved and its longest one never is what it is for.

    outcomes: of the baseline's first points, by task. Failed trials are left out, as are tasks with no other.
    """
    series: dict[str, list[Found]] = {}
    for task, own in outcomes.items():
        ran = [outcome for outcome in own if outcome.status != "failed"]
        if ran:
            solved = sum(outcome.status == "solved" for outcome in ran)
            lag = int(design.tasks[task].get("lag") or 0)
            found = Found(task, lag, len(ran), solved, max(outcome.score for outcome in ran), _losses(ran))
            series.setdefault(design.series_of(task), []).append(found)
    warned = {name: _warning(name, found) for name, found in series.items()}
    lines = [f"pilot: {line}" for line in warned.values() if line]
    if lines:
        lines.append(f"pilot: the study goes on; a changed one needs another name: name={design.name}_2")
    fine = [found for name in series if not warned[name] for found in series[name]]
    if fine:
        some, none = (", ".join(f"{f.task} ({f})" for f in fine if f.floor == floor) for floor in (False, True))
        at_floor = f"; it learned nothing at other lags: {none}" if none else ""
        lines.append(
            f"pilot: {design.baseline} solved some of its first points, or came off the floor: {some}{at_floor}"
        )
    return lines


def _warning(series: str, found: Sequence[Found]) -> str:
    """Return the warning on a task or series, empty where it can tell variants apart.

    found: on its tasks, the shortest lag first.
    """
    several = len(found) > 1
    on = f"{series} at any of its lags" if several else series
    counts = "; ".join(f"lag {f.lag}: {f}" for f in found) if several else str(found[0])
    lags = [f.lag for f in found]
    if all(f.floor and f.losses for f in found):
        return f"nothing is learned on {on}: {counts}; more training or wider learning rates may change it"
    if all(f.floor for f in found):
        return (
            f"nothing is learned on {on}: {counts}; a larger training.budget, a shorter lag or wider learning rates "
            f"may change it{_as_argument(series, [max(1, lag // 2) for lag in lags])}"
        )
    if all(f.ceiling for f in found):
        everywhere = f"{series} at all of its lags" if several else series
        advice = f"a longer lag would tell variants apart{_as_argument(series, [2 * lag for lag in lags])}"
        return f"everything is solved on {everywhere}: {counts}; {advice}"
    if all(f.floor or f.ceiling for f in found):
        ends = [max(f.lag for f in found if f.ceiling), min(f.lag for f in found if f.floor)]
        between = round((ends[0] * ends[1]) ** 0.5)
        more = _as_argument(series, sorted({*lags, between}))
        return f"{series} is either always solved or not learned: {counts}; a lag between would tell more{more}"
    return ""


def _losses(ran: Sequence[Outcome]) -> str:
    """Return the lowest test loss of some trials beside the floor; empty where their task has a criterion."""
    said = ran[0].task
    if not said or said["solved_loss"] is not None:
        return ""
    losses = [outcome.test_loss for outcome in ran if outcome.test_loss is not None]
    best = ran[0].in_unit(min(losses)) if losses else "no loss"
    return f"{best} at best, {said['floor'] * said['unit_scale']:.4g} without memory"


def _as_argument(series: str, lags: Sequence[int]) -> str:
    """Return lags as an argument of the command, after a colon; empty where a lag is not known."""
    lags = sorted(set(lags))
    if min(lags) < 1:
        return ""
    return f": tasks.{series}.lag=" + (f"[{','.join(map(str, lags))}]" if len(lags) > 1 else str(lags[0]))
