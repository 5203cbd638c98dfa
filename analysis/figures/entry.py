"""What the gallery needs to know of a figure, and a drawn figure with its numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from .look import settings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ..study import Study

ANSWER, EVIDENCE, MORE = "answer", "evidence", "more"  # parts of the report


def one_page(variants: int, tasks: int) -> int:
    """Return rows of a figure that always fits on a page."""
    return 0


def a_page_for_each_task(variants: int, tasks: int) -> int:
    """Return rows of a figure that is always drawn task by task."""
    return sys.maxsize


def a_row_for_each_pair(variants: int, tasks: int) -> int:
    """Return rows of a figure with one row for each task and variant, and room for a heading between tasks."""
    return tasks * (variants + 3)


def two_rows_for_each_pair(variants: int, tasks: int) -> int:
    """Return rows of a figure with one row for each task, question and variant, and room for headings between them."""
    return 2 * a_row_for_each_pair(variants, tasks)


def a_panel_for_each_task(variants: int, tasks: int) -> int:
    """Return rows of a figure with one row of panels for each task."""
    return tasks


class Drawn(NamedTuple):
    """A figure and the numbers plotted in it, one row per mark. A notebook shows the figure."""

    figure: Figure
    data: pd.DataFrame

    def _repr_png_(self) -> bytes:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        buffer = BytesIO()
        with settings():
            FigureCanvasAgg(self.figure).print_png(buffer)  # type: ignore[no-untyped-call]
        return buffer.getvalue()


@dataclass(frozen=True)
class Entry:
    """One figure of the gallery.

    name: of its file in this folder and of the files it is saved to.
    title: its heading in the report.
    caption: what it shows and how to read it.
    numbers: computes all plotted numbers from a study and the tables named in `needs`. The result has an attribute
        `data`, the table that is saved beside the figure.
    draw: draws the figure from these numbers.
    needs: tables that it takes beside the study; without one of them the figure is left out.
    rows: its height, in rows or panels, for a number of variants and a number of tasks.
    most: rows of one page; a figure with more is drawn task by task.
    command: module that makes the tables in `needs` where `python -m analysis` does not.
    of_series: whether it shows series of lags; a figure that is too tall is then drawn series by series.
    of_losses: what the caption says of tasks without a criterion of success.
    of_solving: whether it is about solved trials, so that a study whose tasks have no criterion has no such figure.
    of_curves: whether it shows learning curves, which an archive may lack; the figure is then left out.
    of_networks: whether it shows networks other than the reader, so that a study of readers has no such figure.
    part: of the report that it stands in: `answer` at the top, `evidence` below it, `more` in the folded rest.
    part_of_losses: in a study whose tasks have no criterion of success; empty for the same part.
    """

    name: str
    title: str
    caption: str
    numbers: Callable[..., Any]
    draw: Callable[[Any], Figure]
    needs: tuple[str, ...] = ()
    rows: Callable[[int, int], int] = one_page
    most: int = 38
    command: str = ""
    of_series: bool = False
    of_losses: str = ""
    of_solving: bool = False
    of_networks: bool = False
    of_curves: bool = False
    part: str = MORE
    part_of_losses: str = ""

    def caption_of(self, study: Study) -> str:
        """Return the caption for the tasks of a study."""
        if not self.of_losses or all(map(study.solvable, study.tasks)):
            return self.caption
        return f"{self.caption} {self.of_losses}"

    def of(self, study: Study) -> Entry:
        """Return the entry as it is for a study: with the part of the report that the figure stands in there."""
        if self.part_of_losses and not any(map(study.solvable, study.tasks)):
            return replace(self, part=self.part_of_losses)
        return self

    def drawn(self, study: Study, *tables: pd.DataFrame) -> Drawn:
        """Compute and draw.

        study: the study.
        tables: those named in `needs`, in the same order.
        """
        numbers = self.numbers(study, *tables)
        return Drawn(self.draw(numbers), numbers.data)
