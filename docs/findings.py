"""Writes the findings, the results of README and their figures from the shipped archives."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from analysis.findings.figure import Numbers, numbers, save
from analysis.findings.page import between, rendered
from analysis.findings.results import shipped
from analysis.findings.vocabulary import Vocabulary
from runs.files import write_whole

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
PAGE, PART = HERE / "findings.md.jinja", HERE / "readme.md.jinja"  # the templates
NOTE = "<!-- Written by `make docs` from docs/findings.md.jinja and the shipped archives. Change these, not this. -->"
STUDIES = (
    "lags",
    "parts",
    "real",
    "attention",
    "generative",
    "generative_chorales",
    "family",
    "forget_bias",
    "greff_chorales",
)
"""That the pages are about; others are spoken of only, such as `found_on_lags`, which has trials of `lags`."""


@cache
def texts(*, quick: bool = False) -> dict[str, str]:
    """Return the page of findings and README, by their paths from the root.

    quick: whether numbers that need resampling are left out, see `analysis.findings.page.agrees`.
    """
    words = Vocabulary(STUDIES, quick=quick)
    page = rendered(PAGE.read_text(encoding="utf-8"), words)
    title, _, rest = page.partition("\n\n")
    part = rendered(PART.read_text(encoding="utf-8"), words, docs="docs/")
    readme = between(README.read_text(encoding="utf-8"), "results", part)
    return {"docs/findings.md": f"{title}\n\n{NOTE}\n\n{rest}", "README.md": readme}


@cache
def figures() -> dict[str, Numbers]:
    """Return what is drawn in each figure of these pages, by its path from the root."""
    words = Vocabulary(STUDIES, quick=True)
    for template in (PAGE, PART):
        rendered(template.read_text(encoding="utf-8"), words)
    return {
        f"docs/{name}.png": numbers(shipped(study).study, series, variants)
        for name, (study, series, variants) in words.figures.items()
    }


def write(root: Path = HERE.parent) -> list[str]:
    """Write the pages and their figures; return their paths from the root."""
    for name, text in texts().items():
        write_whole(root / name, text)
    for name, drawn in figures().items():
        save(drawn, root / name)
    return [*texts(), *figures()]
