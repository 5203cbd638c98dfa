"""What keeps a page of findings from saying what no archive says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pandas as pd

VERIFIED = "\2"  # what `verify` writes; the page drops it, and the line if nothing else is on it


def one_row(table: pd.DataFrame, place: Mapping[str, str], where: str) -> Mapping[Any, Any]:
    """Return the only row of a table with these values."""
    own = table
    for column, value in place.items():
        own = own[own[column] == value]
    if len(own) != 1:
        raise ValueError(f"{where}: {len(own)} rows with {', '.join(place.values())}; there must be one")
    return cast(Mapping[Any, Any], own.iloc[0].to_dict())


def refuse_false(says: str, verdict: str, where: str) -> None:
    """Raise ValueError where the prose says a verdict, or some of them with `|`, and the archive another one."""
    if says and verdict not in says.split("|"):
        raise ValueError(f"the prose says {says!r}, the archive {verdict!r}: {where}")
