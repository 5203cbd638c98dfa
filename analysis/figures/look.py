"""The look of every figure: one colour, marker and dash per variant, and files with reproducible bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from runs.files import replacing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

N = TypeVar("N")
FORMATS = ("svg", "png", "pdf")  # that a figure can be saved in; the report needs SVG
INK = "#222222"
GREY = "#6b6b6b"  # text of second rank
BACK = "#8a8a8a"  # curves and marks in the background
SHADE = "#ececec"  # areas in the background

# A contrast of 3 or more on white each. With black, no two come closer than 24 (CIE76) under any colour blindness.
COLOURS = ("#4303fa", "#f6600a", "#94170a", "#4c9d9e", "#6d22a3", "#7b303b", "#cf7853", "#917fd1", "#035274", "#c141fd")
VALUES = "Blues"  # colour map of shares and scores: the darker, the more
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "h", "<", ">", "p", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (5, 1.2, 1.2, 1.2)))


class Page(NamedTuple):
    """The room that figures are drawn for.

    width: in inches.
    narrow: whether it is that of a telephone, where panels stand in one column and names above their rows.
    """

    width: float
    narrow: bool

    def columns(self, wide: int, narrow: int = 1) -> int:
        """Return panels side by side: at most `wide` of them, or `narrow` on a narrow page."""
        return min(wide, narrow) if self.narrow else wide


# 7.2 inches are the text width of A4, so that a point in the figure is a point on paper; 3.5 those of 390 pixels
WIDE, NARROW = Page(7.2, narrow=False), Page(3.5, narrow=True)
_page: ContextVar[Page] = ContextVar("page", default=WIDE)


def page() -> Page:
    """Return the page that is drawn for; figures ask it for widths and for panels side by side."""
    return _page.get()


@contextmanager
def drawing_for(room: Page) -> Iterator[None]:
    """Draw for another page in a `with` block."""
    token = _page.set(room)
    try:
        yield
    finally:
        _page.reset(token)


class Look(NamedTuple):
    """How a variant is drawn wherever it appears: colour, marker, and dash of its lines."""

    colour: str
    marker: str
    dash: Any


def _look(colour: int, marker: int, dash: int) -> Look:
    return Look(COLOURS[colour], MARKERS[marker], DASHES[dash])


# Related variants share a colour and differ in marker and dash; variants that are often compared differ in colour.
LOOKS: dict[str, Look] = {
    "vanilla": Look("#000000", "o", "-"),
    "gru": _look(0, 1, 0),
    "coupled": _look(1, 2, 0),
    "no_forget_gate": _look(2, 3, 0),
    "peephole": _look(4, 4, 0),
    "no_output_gate": _look(6, 5, 0),
    "no_input_gate": _look(5, 6, 0),
    "no_output_activation": _look(9, 7, 0),
    "no_input_activation": _look(7, 8, 0),
    "full_gate_recurrence": _look(8, 9, 0),
    "rnn": _look(3, 10, 2),
    "irnn": _look(3, 11, 3),
    "gru_reset_after": _look(0, 4, 1),
    "mut1": _look(1, 7, 2),
    "mut2": _look(6, 8, 2),
    "mut3": _look(5, 9, 2),
    "lstm_1997": _look(2, 10, 1),
    "clockwork": _look(9, 2, 1),
    "depth_gated": _look(4, 5, 2),
    "grid": _look(7, 1, 1),
    "native_lstm": Look("#000000", "*", DASHES[2]),
    "native_gru": _look(0, 11, 2),
    "native_rnn": _look(3, 0, 1),
    "greff_v": Look("#000000", "s", DASHES[1]),
    "greff_np": _look(4, 0, 1),
    "greff_cifg": _look(1, 3, 1),
    "greff_nfg": _look(2, 5, 3),
    "greff_nog": _look(6, 1, 1),
    "greff_nig": _look(5, 10, 1),
    "greff_noaf": _look(9, 8, 3),
    "greff_niaf": _look(7, 4, 3),
    "greff_fgr": _look(8, 2, 1),
    "forget_bias_0": _look(6, 0, 0),
    "forget_bias_1": _look(0, 2, 0),
}


def look(variant: str) -> Look:
    """Return the look of a variant.

    variant: its name. One that is not in the list gets a look from the hash of its name, which is the same in every
        study; no variant of the list has that colour and that marker together.

    >>> look("vanilla").colour
    '#000000'
    """
    if variant in LOOKS:
        return LOOKS[variant]
    taken = {(known.colour, known.marker) for known in LOOKS.values()}
    free = [(c, m) for c in range(len(COLOURS)) for m in range(len(MARKERS)) if (COLOURS[c], MARKERS[m]) not in taken]
    digest = hashlib.sha256(variant.encode()).digest()
    return _look(*free[int.from_bytes(digest[:4], "big") % len(free)], digest[4] % len(DASHES))


RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "text.color": INK,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # else every drawing looks for ticks above the axes, of which there are none
    "axes.labelsize": 8,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "hatch.linewidth": 0.5,
    "image.cmap": VALUES,
    "figure.dpi": 200,
    "savefig.dpi": 200,
    "svg.hashsalt": "lstm-variants",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
}

_WITHOUT_DATE: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


def settings() -> AbstractContextManager[None]:
    """A context in which matplotlib has the settings of this file and draws without a window."""
    from matplotlib import rc_context

    return rc_context({"backend": "agg", **RC})


def ready() -> None:
    """Import what drawing and saving need, which takes a second; processes that are forked afterwards have it."""
    for module in (
        "figure",
        "layout_engine",
        "lines",
        "backends.backend_agg",
        "backends.backend_svg",
    ):
        import_module(f"matplotlib.{module}")


def styled(draw: Callable[[N], Figure]) -> Callable[[N], Figure]:
    """Let a function draw under the settings of this file, whatever those of its caller are."""

    @wraps(draw)
    def inner(numbers: N) -> Figure:
        with settings():
            return draw(numbers)

    return inner


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure that belongs to no window and changes no global state; width and height in inches."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05, wspace=0.02, hspace=0.02)
    return Figure(figsize=(width, height), layout=layout)


def save(figure: Figure, folder: Path, name: str, data: pd.DataFrame, formats: Sequence[str]) -> list[Path]:
    """Write a figure and its numbers as CSV; the same figure gives the same bytes.

    A file of another format that an earlier call has left is removed: it may show other numbers.

    figure: the figure; its layout is fixed afterwards.
    folder: is made where it is missing.
    name: of the files, without suffix.
    data: the plotted numbers, one row per mark.
    formats: of the figure: svg, png, pdf.

    Returns the paths of the files, that of the numbers last.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{suffix}" for suffix in formats]
    for suffix in _WITHOUT_DATE.keys() - set(formats):
        (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    dpi = figure.dpi
    with settings():
        _lay_out(figure)
        for path in paths:  # `Figure.savefig` would draw each of them twice
            metadata = _WITHOUT_DATE[path.suffix[1:]]
            with replacing(path) as part:
                if path.suffix == ".svg":
                    FigureCanvasSVG(figure).print_svg(part, metadata=metadata)  # type: ignore[no-untyped-call]
                elif path.suffix == ".pdf":
                    from matplotlib.backends.backend_pdf import FigureCanvasPdf

                    FigureCanvasPdf(figure).print_pdf(part, metadata=metadata)  # type: ignore[no-untyped-call]
                else:
                    FigureCanvasAgg(figure).print_png(part, metadata=metadata)  # type: ignore[no-untyped-call]
            figure.dpi = dpi
    with replacing(folder / f"{name}.csv") as part:
        data.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
    return [*paths, folder / f"{name}.csv"]


def _lay_out(figure: Figure) -> None:
    """Place everything in a figure for good: the layout is the same in every format, and is computed once."""
    engine = figure.get_layout_engine()
    if engine is not None and figure.axes:
        engine.execute(figure)
    figure.set_layout_engine("none")


def save_narrow(figure: Figure, folder: Path, name: str) -> Path:
    """Write a figure for a narrow page as `<name>.narrow.svg`; return its path."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    path = folder / f"{name}.narrow.svg"
    with settings():
        _lay_out(figure)
        with replacing(path) as part:
            FigureCanvasSVG(figure).print_svg(part, metadata=_WITHOUT_DATE["svg"])  # type: ignore[no-untyped-call]
    return path
