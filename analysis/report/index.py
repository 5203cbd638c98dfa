"""The page of all studies in a results folder: what each one asked, what it found, and where its report is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runs.arguments import command
from runs.files import write_whole

from .. import words
from .pages import page

SUMMARY = "summary.json"  # beside the report of a study
TEXTS = ("title", "found", "date")
LISTS = ("variants", "tasks")


def write_summary(folder: Path, facts: Mapping[str, Any]) -> Path:
    """Write `summary.json`, from which the index describes a study.

    folder: of the study.
    facts: `title`, `found` (a sentence) and `date` as text, `variants` and `tasks` as lists of labels, and `trials`.
    Returns the path of the file.
    """
    path = folder / SUMMARY
    write_whole(path, json.dumps(dict(facts), indent=1, ensure_ascii=False) + "\n")
    return path


def write_index(results: Path) -> Path:
    """Write `index.html`: every study and search for cells of a results folder, the latest first.

    results: folder of the studies. A study that has not been analysed is listed with the command that does it.
    Returns the path of the page.
    """
    results = Path(results)
    files = (path for name in ("report.html", "found.html", "journal.log") for path in results.glob(f"*/{name}"))
    folders = sorted({path.parent for path in files})
    rows = sorted((_row(folder, results) for folder in folders), key=lambda row: str(row["date"]), reverse=True)
    path = results / "index.html"
    write_whole(path, page("index.html.jinja", rows=rows, claims=(results / "claims.html").is_file()))
    return path


def _row(folder: Path, results: Path) -> dict[str, Any]:
    """Return what the page says of a study."""
    links = {name: f"{quote(folder.name)}/{name}.html" for name in ("report", "found", "explorer")}
    facts = _facts(folder / SUMMARY)
    return {
        "name": folder.name,
        "links": {name: link if (folder / f"{name}.html").is_file() else "" for name, link in links.items()},
        "command": "" if facts["title"] else _command(folder, results),
        **facts,
        "tasks": [words.spoken(task) for task in facts["tasks"]],
        "variants": [words.spoken(variant) for variant in facts["variants"]],
    }


def _command(folder: Path, results: Path) -> str:
    """Return the command that describes a study, or a search for cells, whose folder has kernels of its own."""
    if (folder / "kernels").is_dir():
        return command("analysis.discovery", name=folder.name, results=results)
    return command("analysis", study=folder.name, results=results)


def _facts(path: Path) -> dict[str, Any]:
    """Return the summary of a study; what is missing or of another kind is empty."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        read = {}
    read = read if isinstance(read, dict) else {}
    facts: dict[str, Any] = {name: str(read.get(name) or "") for name in TEXTS}
    for name in LISTS:
        value = read.get(name)
        facts[name] = [str(label) for label in value] if isinstance(value, list) else []
    trials = read.get("trials")
    return facts | {"trials": trials if isinstance(trials, int) else 0}
