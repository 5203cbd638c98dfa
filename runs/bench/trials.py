"""Whole trials as contestants: how long an update, a look and the rest of a trial take, in turns."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tasks import Task
from variants import Cell, Scheme

from ..trial.classes import target_of
from ..trial.evaluation import evaluation_grid
from ..trial.training import run
from ..trial.trial import Model, Training, Trial
from .measure import FEWEST_TURNS, Size

UPDATES = 2000  # of the trial that a time is given for, the usual budget
LOOKS = 40  # of that trial after its first, the usual number
LOOKS_RUN = 4  # of a run that is timed, after its first look
FEWEST_UPDATES, DRAWN_TOGETHER = 32, 16  # runs are as long as several draws of the data

Stopping = Callable[[], bool]
Contestant = Callable[[Trial, Stopping], object]
Timed = Callable[[Trial], Sequence[float]]


class Case(NamedTuple):
    """What a trial is measured for: a registered variant, a registered task, and the sizes."""

    variant: str
    task: str
    size: Size


class Times(NamedTuple):
    """Seconds of one run of a trial, taken apart.

    update: mean of an update with its data.
    evaluation: mean of one look.
    rest: what is there once: building, the sets of sequences, what the first update does besides, the first and the
        last look, and the evaluation at the end.
    """

    update: float
    evaluation: float
    rest: float

    @property
    def trial(self) -> float:
        """The seconds of a trial of 2,000 updates and 41 looks, from the three parts.

        >>> Times(update=0.001, evaluation=0.01, rest=0.5).trial
        2.89
        """
        return self.rest + UPDATES * self.update + (LOOKS - 1) * self.evaluation


class Measured(NamedTuple):
    """The times of every contestant in every turn.

    updates: of each run.
    turns: by contestant; the turns of all contestants belong together.
    update_parts: median seconds of each piece of our update, where the trainer offers them.
    floor: seconds that the arithmetic of an update needs at least, see `floor.py`; nan where it is not computed.
    """

    case: Case
    updates: int
    turns: Mapping[str, Sequence[Times]]
    update_parts: Mapping[str, float] = {}
    floor: float = math.nan

    def median(self, name: str, part: str = "trial") -> float:
        """Return the median seconds of a contestant over the turns; part: update, evaluation, rest or trial."""
        return float(statistics.median(getattr(times, part) for times in self.turns[name]))

    def ratio(self, name: str, against: str, part: str = "trial") -> Spread:
        """Return how many times as long one contestant takes as another, with its spread over the turns."""
        pairs = zip(self.turns[name], self.turns[against], strict=True)
        return spread([getattr(one, part) / getattr(other, part) for one, other in pairs])


class Spread(NamedTuple):
    """A median with the quartiles below and above it."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the quartiles of some numbers.

    >>> spread([5.0, 1.0, 2.0, 3.0, 4.0])
    Spread(median=3.0, low=2.0, high=4.0)
    """
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def cases(variants: Sequence[str], steps: Sequence[int], batches: Sequence[int], units: Sequence[int]) -> list[Case]:
    """Return the cases of a benchmark: adding at every length, and copying at 16 steps where that is among them.

    variants: registered names.
    steps, batches, units: T, B and N.
    """
    found = []
    for variant in variants:
        for task, lengths in (("adding", steps), ("copying", [t for t in steps if t == COPIED_STEPS])):
            found += [Case(variant, task, Size(t, b, n)) for t in lengths for b in batches for n in units]
    return found


COPYING = {"lag": 10, "length": 3, "symbols": 4}
COPIED_STEPS = COPYING["lag"] + 2 * COPYING["length"]


def trial_of(case: Case, updates: int) -> Trial:
    """Return the trial of a case with so many updates and no reason to stop before; all else is as usual.

    case: of sizes that the variant can have.
    updates: at least as many as looks, 4.

    Raises ValueError where the variant cannot have this width.
    """
    cell = Cell.registry[case.variant]()
    layers = max(1, cell.min_layers)
    cell.validate(case.size.units, layers)
    knobs = COPYING if case.task == "copying" else {"lag": case.size.steps}

    def node(cls: type, label: str) -> dict[str, object]:
        return {"_target_": target_of(cls), "label": label}

    return Trial(
        variant=node(Cell.registry[case.variant], case.variant),
        task={**node(Task.registry[case.task], case.task), **knobs},
        initialisation=node(Scheme.registry["glorot_orthogonal"], "glorot_orthogonal"),
        model=Model(hidden_size=case.size.units, layers=layers),
        training=Training(
            batch_size=case.size.batch,
            budget=updates,
            evaluations=LOOKS_RUN,
            confirmations=0,
            stop_when_solved=False,
        ),
    )


def ours(trial: Trial, stopping: Stopping) -> None:
    """Run a trial as a worker of a study runs it. Raises ValueError if it ended before its last update."""
    outcome = run(trial, stopping=stopping)
    if outcome.steps < trial.training.updates:
        raise ValueError(f"the trial {outcome.status} after {outcome.steps} updates {outcome.error}".rstrip())


def stamps(contestant: Contestant, trial: Trial) -> list[float]:
    """Return when a run began, when each of its updates began, and when it ended.

    contestant, trial: what runs.

    The clock counts the seconds of the processor in this process. Whoever else uses the machine delays it much less
    than the clock on the wall, and one thread that never waits has the same times by both on a quiet machine.
    """
    found = [time.process_time()]

    def stopping() -> bool:
        found.append(time.process_time())
        return False

    contestant(trial, stopping)
    found.append(time.process_time())
    return found


def taken_apart(moments: Sequence[float], training: Training) -> Times:
    """Return the parts of a run.

    moments: those of `stamps`.
    training: says after which updates there was a look.

    The first update, which also prepares memory, and the last, which is followed by the final evaluation, are not among
    those that the mean is taken of. Raises ValueError where there is no moment for every update.
    """
    updates = training.updates
    if len(moments) != updates + 2:
        raise ValueError(f"a run of {updates} updates must have {updates + 2} moments, got {len(moments)}")
    looks = set(evaluation_grid(training))
    lasted = {k: moments[k + 1] - moments[k] for k in range(1, updates)}
    update = statistics.fmean(seconds for k, seconds in lasted.items() if k > 1 and k not in looks)
    seen = [seconds for k, seconds in lasted.items() if k in looks]
    evaluation = statistics.fmean(seen) - update
    whole = moments[-1] - moments[0]
    return Times(update, evaluation, whole - updates * update - len(seen) * evaluation)


def in_turns(contestants: Mapping[str, Timed], case: Case, turns: int, seconds: float) -> Measured:
    """Return the times of some contestants that run the same trial in turns.

    contestants: by name; each runs a trial and returns the moments that `stamps` returns. Each runs once before, which
        compiles what it has to compile.
    case: what is run.
    turns: of all contestants. Every second turn goes in the opposite order.
    seconds: all turns should take about as long together. Runs have as many updates as fit, at least 32; there are
        fewer turns, but at least three, where even these take longer.
    """
    short = trial_of(case, FEWEST_UPDATES)
    first = [taken_apart(c(short), short.training) for c in contestants.values()]
    updates = fitting(first, seconds / turns)
    trial = trial_of(case, updates)
    found: dict[str, list[Times]] = {name: [] for name in contestants}
    begun = time.perf_counter()
    for turn in range(turns):
        order = list(contestants.items())
        for name, contestant in order[:: (-1) ** turn]:
            found[name].append(taken_apart(contestant(trial), trial.training))
        if turn + 1 >= FEWEST_TURNS and time.perf_counter() - begun > seconds:
            break
    return Measured(case, updates, found)


def fitting(first: Sequence[Times], seconds: float) -> int:
    """Return how many updates a run has so that a turn of all contestants takes about so many seconds.

    first: the times of each contestant.

    >>> fitting([Times(0.001, 0.0, 0.0), Times(0.004, 0.0, 0.0)], 0.5)
    96
    """
    draws = int(seconds / sum(times.update for times in first) / DRAWN_TOGETHER)
    return max(FEWEST_UPDATES, min(UPDATES, draws * DRAWN_TOGETHER))
