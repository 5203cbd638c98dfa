"""Figures as a report embeds them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from ..figures.gallery import Shown

# bytes; beyond it the report holds a PNG of 256 colours, so that it stays small enough for a phone
LARGEST_SVG = 200_000
PIXELS = 110  # per inch of the figure


class Picture(NamedTuple):
    """An embedded figure: its name, title, task (empty for all), caption, data URI, links to its files, and width."""

    name: str
    title: str
    task: str
    caption: str
    uri: str
    links: list[str]
    width: int


def picture(shown: Shown, folder: Path) -> Picture:
    """Embed a figure; folder: of the report, relative to which its files are linked."""
    image, kind = shown.file("svg").read_bytes(), "svg+xml"
    if len(image) > LARGEST_SVG:
        image, kind = _small_png(shown.file("png")), "png"
    uri = f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
    links = [path.relative_to(folder).as_posix() for path in shown.files if path.is_relative_to(folder)]
    entry = shown.figure
    return Picture(shown.name, entry.title, shown.task, shown.caption, uri, links, round(shown.width * PIXELS))


def groups(figures: Sequence[Shown], folder: Path) -> list[tuple[str, list[Picture]]]:
    """Return title and pictures of each figure; one that was drawn task by task has several pictures."""
    by_title = groupby(figures, key=lambda shown: shown.figure.title)
    return [(title, [picture(shown, folder) for shown in group]) for title, group in by_title]


def _small_png(path: Path) -> bytes:
    """Return a picture in 256 colours, a third of its size."""
    from PIL import Image

    buffer = BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return buffer.getvalue()
