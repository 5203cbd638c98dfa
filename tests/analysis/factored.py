"""A made-up study with factors: what each part and each pair of parts adds to the skill of a combination is known."""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import product

from analysis.study import Study
from runs.study.factors import NO, YES, Factors
from tests.analysis import synthetic

PARTS = ("input_gate", "forget_gate", "output_activation")


def factors(parts: tuple[str, ...] = PARTS) -> Factors:
    """All combinations of some parts, the one that has all of them first."""
    cells = {}
    for levels in product((YES, NO), repeat=len(parts)):
        code = "".join(part[0] if level == YES else "-" for part, level in zip(parts, levels, strict=True))
        cells[f"lstm_{code}"] = levels
    return Factors(levels=dict.fromkeys(parts, (YES, NO)), cells=cells)


def study(
    mains: Mapping[str, float] | None = None,
    pairs: Mapping[tuple[str, str], float] | None = None,
    *,
    parts: tuple[str, ...] = PARTS,
    tasks: tuple[str, ...] = ("adding",),
    points: int = 20,
    seed: int = 0,
    start: float = -0.5,
) -> Study:
    """A study of the combinations.

    mains, pairs: what a part, or both of two parts, add to the skill.
    start: the skill without any part.
    """
    plan = factors(parts)
    skill = {}
    for label, levels in plan.cells.items():
        has = {part for part, level in zip(parts, levels, strict=True) if level == YES}
        own = sum(size for part, size in (mains or {}).items() if part in has)
        skill[label] = start + own + sum(size for pair, size in (pairs or {}).items() if has >= {*pair})
    rows, design = synthetic.study(tuple(plan.cells), tasks, points, seed, skill=skill)
    for row in rows:
        row |= {f"part_{part}": level for part, level in plan.of(row["variant"]).items()}
    return synthetic.as_study(rows, {**design, "baseline": next(iter(plan.cells)), "factors": asdict(plan)})
