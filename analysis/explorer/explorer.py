"""The explorer: one HTML file that holds the trials of a study and needs neither a server nor a network."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runs.files import write_whole

from ..standalone import standalone
from ..study import Study
from .data import content

if TYPE_CHECKING:
    from runs.trial.trial import Trial

SOURCES = Path(__file__).parent / "page"
SCRIPTS = ("read", "scale", "marks", "state", "plot", "map", "scatter", "curves", "table", "detail", "main")
"""The scripts of the page, in their order; each uses those before it."""


def write_explorer(study: Study, path: Path, commands: Callable[[Sequence[Trial | None]], list[str]]) -> Path:
    """Write the page on which the trials of a study are explored; returns its path.

    study: the study.
    path: of the file; `report.html` beside it is linked.
    commands: `trial_commands`, or what runs it in a process that has torch already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, html(content(study, commands)))
    return path


def html(values: Mapping[str, Any]) -> str:
    """Return the text of the page.

    values: of `data.content`. They are compressed, so that no name in them can be read as HTML.
    """
    from markupsafe import Markup

    script = "\n".join((SOURCES / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    return standalone(
        SOURCES,
        "explorer.html.jinja",
        name=values["name"],
        style=Markup((SOURCES / "style.css").read_text(encoding="utf-8")),
        script=Markup(script),
        data=packed(values),
    )


def packed(values: Mapping[str, Any]) -> str:
    """Return values as JSON, compressed by gzip and written in base64; the same values give the same text."""
    text = json.dumps(values, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
