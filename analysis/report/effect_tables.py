"""The section of a report on the effects of parts: its sentences and its table."""

from __future__ import annotations

from typing import Any

import pandas as pd

from .. import words
from ..figures.effect_matrix import part_name
from ..statistics.endpoints import ENDPOINTS
from ..study import Study
from .effect_sentences import effect_sentences, levels_in_words
from .tables import Column, Row, Table, named


def parts_of(study: Study, effects: pd.DataFrame | None) -> dict[str, Any]:
    """Return what the template shows of the effects of a study with factors; nothing of one without.

    effects: of `tables.effects`.
    """
    factors = study.design.factors
    if factors is None or effects is None or effects.empty:
        return {"effects": None, "effect_words": [], "factor_lines": [], "factor_levels": levels_in_words(study)}
    return {
        "effects": effects_table(effects),
        "effect_words": effect_sentences(study, effects),
        "factor_lines": [words.capital(line).replace("_", " ") for line in factors.lines],
        "factor_levels": levels_in_words(study),
    }


def effects_table(effects: pd.DataFrame) -> Table:
    """Return a row for each effect, with its interval."""
    columns = [
        named("task", "task"),
        Column("compared", lambda row: ENDPOINTS[row["endpoint"]].title),
        Column("effect", _name),
        Column("difference", lambda row: row["difference"], ".3g", _difference),
        Column("p", lambda row: row["p"], ".3f"),
        named("verdict", "verdict"),
        Column("where the second is there", lambda row: row["where_plus"], ".3g", _signed("where_plus")),
        Column("where it is not", lambda row: row["where_minus"], ".3g", _signed("where_minus")),
    ]
    if effects["bound"].any():
        columns.append(named("bound", "a corner is at the"))
    if effects["aliases"].any():
        columns.append(named("aliases", "not told from"))
    return Table.of(columns, effects.to_dict("records"), lambda row: bool(row["significant"]))


def _name(row: Row) -> str:
    return " × ".join(part_name(part) for part in str(row["effect"]).split(" x "))


def _difference(row: Row) -> str:
    return words.difference(row["difference"], row["low"], row["high"], row["unit"])


def _signed(name: str) -> Any:
    return lambda row: words.signed(row[name], row["unit"]) if row[name] == row[name] else ""
