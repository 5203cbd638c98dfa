"""`python -m analysis.calibration`: how often studies of equal variants err, and how often a difference is found.

It takes minutes. The tables go to the screen. Those of effects of parts are for themselves.

    python -m analysis.calibration studies=200 points=50
    python -m analysis.calibration of=effects studies=400 points=10,20,50
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

OF = ("variants", "effects")
KEYS = {
    "of": "variants, or effects of the parts in studies with factors. Default: variants.",
    "studies": "number of made-up studies of each kind; one for all points, or one for each. Default: 200.",
    "points": "numbers of points. Default: 10,50,200.",
    "read": "in how many of them sentences and claims are read. Default: a quarter.",
    "power": "number of made-up studies for each difference that is there. Default: 500.",
    "swaps": "number of label swaps. Default: 99.",
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
    swaps, power = (_numbers(values, name, usual)[0] for name, usual in (("swaps", "99"), ("power", "500")))

    import pandas as pd

    from runs.console.progress import Progress
    from runs.record.facts import processor

    from .errors import measured
    from .page import tables
    from .power import powers
    from .studies import SCENARIOS

    families, whole, progress = [], [], Progress()
    for count, number in zip(points, studies, strict=True):
        read = _numbers(values, "read", str(max(1, number // 4)))[0]
        for scenario in SCENARIOS.values():
            by_family, by_study = measured(scenario, count, number, read=read, swaps=swaps, progress=progress)
            families.append(by_family)
            whole.append(by_study)
    found = pd.concat([powers(count, power, progress=progress) for count in points])
    about = f"Measured on {datetime.now(UTC):%Y-%m-%d}, {processor()}, {swaps} label swaps; 399 for power."
    return f"{about}\n\n{tables(pd.concat(families), pd.concat(whole), found)}"


def _of_effects(values: Mapping[str, str]) -> str:
    """Return the table of effects. Raises ValueError where the arguments make no sense."""
    points, (studies, *more) = _numbers(values, "points", "10,50,200"), _numbers(values, "studies", "200")
    if more:
        raise ValueError(f"studies must be one number of effects, got {values['studies']}")

    import pandas as pd

    from runs.console.progress import Progress
    from runs.record.facts import processor

    from .effects import FLIPS, effect_powers
    from .page import of_effects

    found = pd.concat([effect_powers(count, studies, progress=Progress()) for count in points])
    return f"Measured on {datetime.now(UTC):%Y-%m-%d}, {processor()}, {FLIPS} flips.\n\n{of_effects(found)}"


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
