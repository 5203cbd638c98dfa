"""`python -m analysis.calibration`: how often studies of equal variants err, and how often a difference is found.

It takes minutes. The tables go to the screen. Those of effects of parts are for themselves.

    python -m analysis.calibration studies=200 points=50
    python -m analysis.calibration of=effects studies=400 points=10,20,50
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

OF = ("variants", "effects")
KEYS = {
    "of": "variants, or effects of the parts in studies with factors. Default: variants.",
    "studies": "number of made-up studies of each kind; one for all points, or one for each. Default: 200.",
    "points": "numbers of points. Default: 10,50,200.",
    "read": "in how many of them sentences and claims are read. Default: a quarter.",
    "power": "number of made-up studies for each difference that is there. Default: 500.",
    "swaps": "number of label swaps. Default: 99.",
    "workers": "processes that share the kinds of studies. The numbers do not depend on it. Default: 2.",
    "write": "a page with markers that receives the tables, such as docs/statistics.md. Default: none.",
}


def main(arguments: list[str]) -> int:
    """Run the command; return the exit code."""
    from runs.arguments import key_values
    from runs.console.text import complain
    from runs.rules import require_one_of

    try:
        values = key_values(arguments, KEYS, __doc__ or "")
        if values is None:
            return 0
        of = values.get("of") or OF[0]
        require_one_of("of", of, OF)
        text = _calibrated(values) if of == OF[0] else _of_effects(values)
        print(text)
        if values.get("write"):
            from .page import write_between_markers

            write_between_markers(Path(values["write"]), text, "calibration" if of == OF[0] else of)
    except (ValueError, FileNotFoundError) as error:
        complain(error)
        return 2
    return 0


def _calibrated(values: Mapping[str, str]) -> str:
    """Return the tables that the arguments ask for. Raises ValueError where they make no sense."""
    points = _numbers(values, "points", "10,50,200")
    studies = _numbers(values, "studies", "200")
    if len(studies) not in (1, len(points)):
        raise ValueError(f"studies must be one number, or one for each of {len(points)} points, got {len(studies)}")
    studies *= len(points) // len(studies)
    usual = {"swaps": "99", "power": "500", "workers": "2"}
    swaps, power, workers = (_numbers(values, name, number)[0] for name, number in usual.items())

    import pandas as pd

    from runs.record.facts import processor

    from .errors import measured
    from .page import tables
    from .power import powers
    from .studies import SCENARIOS

    reads = [_numbers(values, "read", str(max(1, number // 4)))[0] for number in studies]
    jobs = [
        partial(measured, scenario, count, number, read=read, swaps=swaps)
        for count, number, read in zip(points, studies, reads, strict=True)
        for scenario in SCENARIOS.values()
    ]
    of_power = [partial(powers, count, power) for count in points]
    found = _shared([*jobs, *of_power], workers)
    families, whole = zip(*found[: len(jobs)], strict=True)
    about = f"Measured on {datetime.now(UTC):%Y-%m-%d}, {processor()}, {swaps} label swaps; 399 for power."
    return f"{about}\n\n{tables(pd.concat(families), pd.concat(whole), pd.concat(found[len(jobs) :]))}"


def _of_effects(values: Mapping[str, str]) -> str:
    """Return the table of effects. Raises ValueError where the arguments make no sense."""
    points, (studies, *more) = _numbers(values, "points", "10,50,200"), _numbers(values, "studies", "200")
    if more:
        raise ValueError(f"studies must be one number of effects, got {values['studies']}")

    import pandas as pd

    from runs.record.facts import processor

    from .effects import FLIPS, effect_powers
    from .page import of_effects

    workers = _numbers(values, "workers", "2")[0]
    found = pd.concat(_shared([partial(effect_powers, count, studies) for count in points], workers))
    return f"Measured on {datetime.now(UTC):%Y-%m-%d}, {processor()}, {FLIPS} flips.\n\n{of_effects(found)}"


def _shared(jobs: Sequence[Callable[[], Any]], workers: int) -> list[Any]:
    """Return the results of jobs in their order, and show how many are done."""
    from runs.console.progress import Progress

    from ..processes import shared

    return list(Progress().follow(shared(jobs, workers), "kinds of studies", len(jobs)))


def _numbers(values: Mapping[str, str], name: str, usual: str) -> list[int]:
    """Return the numbers of an argument. Raises ValueError where one is no positive whole number."""
    parts = (values.get(name) or usual).split(",")
    if not all(part.strip().isdigit() and int(part) for part in parts):
        raise ValueError(f"{name} must be positive whole numbers, got {values[name]!r}")
    return [int(part) for part in parts]


if __name__ == "__main__":
    from runs.console.start import end_quickly

    end_quickly()
    sys.exit(main(sys.argv[1:]))
