"""Figures as a report embeds them: small enough that a report with all of them can be mailed."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Sequence
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from ..figures.gallery import Shown

PIXELS = 110  # per inch of the figure
SMALL = 60_000  # bytes of a compressed SVG below which a PNG is not tried


class Image(NamedTuple):
    """The image of a figure: plain in the page, or compressed, which the script of the page unpacks.

    uri: data URI; empty for a compressed image.
    packed: an SVG, compressed by gzip, in base64; empty for a plain image.
    """

    uri: str = ""
    packed: str = ""


class Picture(NamedTuple):
    """An embedded figure.

    name, title, task: of the figure; task is empty for all.
    lead, rest: the first sentence of its caption, and the others.
    wide, narrow: its images; that for a narrow screen is None where the figure is the same there.
    links: to its files.
    file: its SVG, for a browser without scripts.
    width, narrow_width: in pixels, on a wide and on a narrow screen.
    """

    name: str
    title: str
    task: str
    lead: str
    rest: str
    wide: Image
    narrow: Image | None
    links: list[str]
    file: str
    width: int
    narrow_width: int


def picture(shown: Shown, folder: Path, *, plain: bool = False) -> Picture:
    """Embed a figure.

    shown: the figure, which has been saved.
    folder: of the report, relative to which its files are linked.
    plain: whether it must show without a script, where a narrow screen then shows the wide one, too.
    """
    image = _image(shown.file("svg"), shown.png, plain)
    narrow = None if shown.narrow is None else _image(shown.narrow, None, False)
    links = [path.relative_to(folder).as_posix() for path in shown.files if path.is_relative_to(folder)]
    lead, stop, rest = shown.caption.partition(". ")
    first = next((link for link in links if link.endswith(".svg")), "")
    widths = (round(shown.width * PIXELS), round(_inches(shown) * PIXELS))
    facts = (f"{lead}{stop.strip()}", rest, image, narrow, links, first, *widths)
    return Picture(shown.name, shown.figure.title, shown.task, *facts)


def groups(figures: Sequence[Shown], folder: Path) -> list[tuple[str, list[Picture]]]:
    """Return title and pictures of each figure; one that was drawn task by task has several pictures."""
    by_title = groupby(figures, key=lambda shown: shown.figure.title)
    return [(title, [picture(shown, folder) for shown in group]) for title, group in by_title]


def _inches(shown: Shown) -> float:
    """Return the width of a figure on a narrow screen; that of its SVG is written in points."""
    if shown.narrow is None:
        return shown.width
    found = re.search(rb'<svg[^>]* width="([0-9.]+)pt"', shown.narrow.read_bytes())
    return float(found[1]) / 72 if found else shown.width


def _image(svg: Path, png: Path | None, plain: bool) -> Image:
    """Return the smallest image: a compressed SVG is a tenth of its size, and sharp at every size."""
    data = svg.read_bytes()
    if plain:
        return Image(uri=f"data:image/svg+xml;base64,{_base64(data)}")
    packed = gzip.compress(data, 9, mtime=0)
    raster = None if png is None or len(packed) < SMALL else _small_png(png)
    if raster is not None and len(raster) < len(packed):
        return Image(uri=f"data:image/png;base64,{_base64(raster)}")
    return Image(packed=_base64(packed))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _small_png(path: Path) -> bytes:
    """Return a picture in 256 colours, a third of its size."""
    from PIL import Image as Pixels

    buffer = BytesIO()
    with Pixels.open(path) as image:
        image.convert("RGB").quantize(256, dither=Pixels.Dither.NONE).save(buffer, "png", optimize=True)
    return buffer.getvalue()
