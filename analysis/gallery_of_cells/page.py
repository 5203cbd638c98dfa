"""The page of all cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from runs.files import write_whole
from runs.names import file_name

from ..standalone import standalone
from ..words import spoken
from .cards import Card
from .found import claims_about, found_about, read_studies

FILE = "cells.html"
BROAD = 560
"""Pixels; a wider drawing stands above its equations instead of beside them."""


def write_gallery(cards: Sequence[Card], results: Path, out: Path) -> Path:
    """Write the page of all cells; return its path.

    cards: of the cells.
    results: folder of the studies, of which the page says what they found.
    out: folder of the page; where it is another one, the page has no links to reports and walks.
    """
    studies = read_studies(results)
    linked = results.resolve() == out.resolve()
    cells = [
        {
            "card": card,
            "found": found_about(card.label, studies),
            "claims": claims_about(card.label, studies),
            "walks": _walks(card.label, results) if linked else [],
        }
        for card in cards
    ]
    reports = {t.study: _report(results, t.study) if linked else "" for t in studies}
    families = list(dict.fromkeys(card.family for card in cards))
    path = out / FILE
    folder = Path(__file__).parent / "templates"
    names = [t.study for t in studies]
    given = {"cells": cells, "reports": reports, "families": families, "studies": names, "BROAD": BROAD}
    write_whole(path, standalone(folder, "cells.html.jinja", **given))
    return path


def _report(results: Path, study: str) -> str:
    """Return the address of the report of a study from the results folder; empty where there is none."""
    return quote(f"{study}/report.html") if (results / study / "report.html").is_file() else ""


def _walks(label: str, results: Path) -> list[tuple[str, str]]:
    """Return the walks of a cell that have been made: the task, and the address from the results folder."""
    found = sorted((results / "walk").glob(f"{file_name(label)}_on_*.html"))
    return [(spoken(path.stem.partition("_on_")[2]), quote(f"walk/{path.name}")) for path in found]
