"""Runs finished trials again, and says whether they come out the same.

A study that is continued elsewhere, or that gets a new cell later, holds trials of several machines and versions. A few
of its trials are run again here before: the same bits, or how far off they are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from ..record.facts import changes, commit, environment

if TYPE_CHECKING:
    from ..trial.trial import Trial
    from .plan import Search

Row = Mapping[Any, Any]
"""A trial's values by column."""
NUMBERS = ("status", "steps", "solved_step", "best_step", "validation_loss", "test_loss", "score", "parameters")
"""The columns of the table of trials that a trial that is run again must have to the last bit."""
ENDED = ("solved", "finished")
"""The statuses of trials that are worth running again: they were trained to their end."""
NAMED = 4  # trials that a text names
LONG = 30.0
"""Seconds of a trial that is too long to be run again where a shorter one can be."""
TICK = 1e-3  # seconds, below which times are not told apart


@dataclass(frozen=True)
class Rerun:
    """A finished trial, and what came out when it was run again.

    task, variant, point: which trial.
    there, here: its `NUMBERS` on record, and those of now.
    seconds_there, seconds_here: wall time.
    error: of a trial that failed now.
    """

    task: str
    variant: str
    point: int
    there: Mapping[str, Any]
    here: Mapping[str, Any]
    seconds_there: float
    seconds_here: float
    error: str = ""

    @property
    def same(self) -> bool:
        """Whether all numbers have the same bits."""
        return dict(self.there) == dict(self.here)

    @property
    def off(self) -> float:
        """How far the validation loss is off, as a share of the one on record; NaN where one of them is missing.

        >>> there, here = {"validation_loss": 0.1}, {"validation_loss": 0.11}
        >>> round(Rerun("adding", "gru", 0, there, here, 1.0, 1.0).off, 3)
        0.1
        """
        there, here = self.there.get("validation_loss"), self.here.get("validation_loss")
        if there is None or here is None:
            return math.nan
        return float(abs(here - there) / abs(there) if there else abs(here))

    @property
    def name(self) -> str:
        """What messages call the trial."""
        return f"{self.task} {self.variant} {self.point}"

    def __str__(self) -> str:
        if self.same:
            return f"{self.name}: the same bits"
        if self.error:
            return f"{self.name}: failed here: {self.error}"
        losses = (
            f"validation loss {_number(self.there['validation_loss'])}, here {_number(self.here['validation_loss'])}"
        )
        off = "" if math.isnan(self.off) else f" ({100 * self.off:.2g} % off)"
        return f"{self.name}: {_ending(self.there)}, here {_ending(self.here)}; {losses}{off}"


@dataclass(frozen=True)
class Check:
    """What a sample of finished trials says when it is run again.

    reruns: the trials of the sample.
    changed: what differs between the sessions in which they ran and this process, see `runs.record.facts.changes`.
    """

    reruns: tuple[Rerun, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def same(self) -> int:
        """How many trials have the same bits."""
        return sum(each.same for each in self.reruns)

    @property
    def exact(self) -> bool:
        """Whether there is a sample, and all of it has the same bits."""
        return 0 < len(self.reruns) == self.same

    @property
    def slowdown(self) -> float:
        """How many times as long as on record the trials take here, all together; 1 where that is not known.

        Of the shortest ones most is the start of a process, and so they count least.
        """
        there = sum(each.seconds_there for each in self.reruns)
        return sum(each.seconds_here for each in self.reruns) / there if there > 0 else 1.0

    @property
    def strangers(self) -> list[Rerun]:
        """The trials whose difference rounding does not explain: they failed, or their network is another one."""
        return [each for each in self.reruns if each.error or each.there["parameters"] != each.here["parameters"]]

    @property
    def unsolved(self) -> bool:
        """Whether none of the trials that had solved their task solve it here."""
        solved = [each.here["status"] == "solved" for each in self.reruns if each.there["status"] == "solved"]
        return bool(solved) and not any(solved)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, the inverse of `from_dict`."""
        return {**asdict(self), "reruns": [asdict(each) for each in self.reruns], "changed": list(self.changed)}

    @classmethod
    def from_dict(cls, values: Any) -> Check:
        """Return a check from plain values. Raises ValueError or TypeError where they are none."""
        reruns = tuple(Rerun(**each) for each in values["reruns"])
        if any(set(side) != set(NUMBERS) for each in reruns for side in (each.there, each.here)):
            raise ValueError(f"a trial that was run again must have {', '.join(NUMBERS)}")
        return cls(reruns, tuple(map(str, values["changed"])))


# Words
# --------------------------------------------------------------------------------------------------------------------


def verdict(check: Check) -> str:
    """Return what a check says, in one sentence on the bits and one on what that means."""
    count = len(check.reruns)
    if count == 0:
        return "No finished trial could be run again, so that nobody knows whether its bits come out here."
    said = f"{check.same} of {count} trials of the archive that were run again here have the same bits"
    if check.exact:
        return f"{said}: trials from there and from here can be compared as those of one study."
    why = f"; what differs: {', '.join(check.changed)}" if check.changed else ""
    return f"{said}{why}. {_meaning(check)}"


def _meaning(check: Check) -> str:
    """Return what other bits mean for a comparison, in one sentence."""
    if check.strangers:
        names = ", ".join(each.name for each in check.strangers[:NAMED])
        return f"Rounding does not explain it ({names} failed or built another network): do not compare the two."
    if check.unsolved:
        return (
            "None of the trials that had solved their task solves it here, which is more than rounding explains: find "
            "out why before you compare the two."
        )
    return (
        "Differences in the last bits grow during training, so that single trials differ although their distribution "
        "does not: solve rates and medians stay comparable, paired differences lose some precision."
    )


def lines(check: Check) -> list[str]:
    """Return what a command prints of a check: the verdict, then each trial with other numbers."""
    return [verdict(check), *(f"  {each}" for each in check.reruns if not each.same)]


def _ending(numbers: Mapping[str, Any]) -> str:
    """Return how a trial ended, as text."""
    if numbers["status"] == "solved":
        return f"solved at update {numbers['solved_step']}"
    return f"{numbers['status']} after {numbers['steps']} updates"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


# The sample
# --------------------------------------------------------------------------------------------------------------------


def sample(rows: Sequence[Row], count: int) -> list[Row]:
    """Return trials that are worth running again: of different tasks and variants, solved ones of a usual length first.

    The choice is a rule and not random: each time the trial is taken whose task, then whose variant, was taken least
    often, of these one that solved its task, and of these the one whose time is closest to the median of its task; one
    of more than `LONG` seconds only where there is no other. So at least one of them solved its task, if any trial did.
    The shortest trials would say next to nothing: neither of time, which is that of the start, nor of bits.

    rows: of the table of trials; only those of the search that were trained to their end are chosen.
    count: how many, fewer where there are fewer.

    >>> rows = [
    ...     {"task": t, "variant": "gru", "point": p, "status": s, "seconds": p + 1.0}
    ...     for t, p, s in [("adding", 0, "finished"), ("adding", 1, "solved"), ("recall", 2, "finished")]
    ... ]
    >>> [(row["task"], row["point"]) for row in sample(rows, 2)]
    [('adding', 1), ('recall', 2)]
    """
    left = [row for row in rows if row["status"] in ENDED and row.get("stage", "search") == "search"]
    times: dict[str, list[float]] = {}
    for row in left:
        times.setdefault(row["task"], []).append(row["seconds"])
    usual = {task: min(LONG, median(own)) for task, own in times.items()}
    tasks, variants = Counter[str](), Counter[str]()
    found: list[Row] = []
    while left and len(found) < count:
        best = min(
            left,
            key=lambda row: (
                tasks[row["task"]],
                variants[row["variant"]],
                row["status"] != "solved",
                row["seconds"] > LONG,
                abs(math.log2(max(row["seconds"], TICK) / max(usual[row["task"]], TICK))),
                row["point"],
            ),
        )
        found.append(best)
        left = [row for row in left if row is not best]
        tasks[best["task"]] += 1
        variants[best["variant"]] += 1
    return found


def rerun(
    search: Search,
    rows: Sequence[Row],
    sessions: Sequence[Mapping[str, Any]] = (),
    began: Callable[[str], None] = lambda name: None,
) -> Check:
    """Run finished trials again in this process; they are compared to the last bit, and nothing is stored.

    search: with the tasks and variants of the rows.
    rows: of the table of trials, such as `sample` chooses.
    sessions: the facts of each session in which the rows ran, by the rows' numbers of sessions.
    began: is called with the name of each trial before it runs.

    Returns what came out. Raises ValueError where a class of a trial may not be imported or its data are not here.
    """
    from ..trial.training import prepare_process, run

    prepare_process()
    reruns = []
    for row in rows:
        began(f"{row['task']} {row['variant']} {row['point']}")
        outcome = run(trial_of(search, row))
        place = str(row["task"]), str(row["variant"]), int(row["point"])
        times = float(row["seconds"]), outcome.seconds
        reruns.append(Rerun(*place, numbers_of(row), numbers_of(outcome.as_dict()), *times, outcome.error))
    here = {**environment(), "commit": commit()}
    known = [sessions[int(row["session"])] for row in rows if int(row.get("session", 0)) < len(sessions)]
    changed = dict.fromkeys(text for facts in known for text in changes(facts, here))
    return Check(tuple(reruns), tuple(changed))


def trial_of(search: Search, row: Row) -> Trial:
    """Return the trial of a row of the search, with the hyperparameters that the row has."""
    values = {name: _plain(row[name]) for name in search.design.space}
    whole = {name: int(value) for name, value in values.items() if search.design.space[name].integer}
    return search.trial(str(row["task"]), str(row["variant"]), int(row["point"]), {**values, **whole})


def numbers_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be the same to the last bit, of a row or of an outcome's plain values; a gap is None."""
    found = {name: _plain(values[name]) for name in NUMBERS}
    step = found["solved_step"]  # a column of floats, for the sake of its gaps
    return {**found, "solved_step": None if step is None else int(step)}


def _plain(value: Any) -> Any:
    """Return a value of a table as a plain one; NaN is None."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and math.isnan(value) else value
