"""Makes a cell that was found a preset, with which it joins studies, benchmarks and the gallery."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from ..console.early import CONF
from ..console.known import instead
from ..files import writable, write_whole
from .candidate import Told
from .plan import CellPlan
from .verdict import found_label


def adopted(plan: CellPlan, told: Sequence[Told], key: str, path: str = "") -> Path:
    """Write the preset of a cell, `conf/variant/found_<hash>.yaml`; returns its path.

    told: all candidates of the search. key: of the cell. path: of the file, where it is not in `conf`.
    Raises ValueError, with those that there are, for a hash that no cell of the search has.
    """
    by_key = {each.candidate.key: each for each in reversed(told) if each.candidate.equations}
    if key not in by_key:
        scored = [each.candidate.key for each in told if each.result.ratio is not None]
        raise ValueError(
            f"hash {key!r} is that of no candidate of {plan.title}; {instead(key, [*dict.fromkeys(scored)])}"
        )
    first = by_key[key].candidate
    label = found_label(key)
    place = Path(path) if path else CONF / "variant" / f"{label}.yaml"
    text = (
        f"# Candidate {first.index} of search {plan.design.name}, seed {plan.design.seed}; its arm is {first.arm}.\n"
        f"defaults: [formula, _self_]\nlabel: {label}\nequations: |-\n{textwrap.indent(first.equations, '  ')}\n"
    )
    writable(place.parent, "path")
    write_whole(place, text)
    return place
