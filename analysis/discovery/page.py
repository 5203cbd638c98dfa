"""Writes the page of a search, `found.html`."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from runs.discovery.plan import ARMS, MUTATION, RANDOM
from runs.files import write_whole

from ..figures.look import NARROW, WIDE, drawing_for, settings
from ..report.index import write_summary
from ..standalone import standalone
from ..typeset import typeset
from ..words import spoken
from . import front, progress, survivors
from .best import cards
from .family import ancestors
from .funnel import Gate, funnel
from .said import following, headline, sentences
from .search import Search
from .shares import percent, thousandths
from .traits import size
from .verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE = "found.html"


class Picture(NamedTuple):
    """A figure in the page: for a wide screen and for a narrow one, as addresses that hold the image itself."""

    wide: str
    narrow: str


def write_page(search: Search, verdict: Verdict | None, results: Path, place: Path) -> Path:
    """Write the page of a search; return its path.

    verdict: on it, None where there is none.
    results: folder of all studies, for commands and links.
    place: folder that receives the folder of the search with the page.
    """
    path = place / search.name / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(__file__).parent / "templates"
    write_whole(path, standalone(folder, "found.html.jinja", **given(search, verdict, results, place)))
    return path


def summarised(search: Search, verdict: Verdict | None, folder: Path) -> Path:
    """Write what the page of all studies says of a search; return the path.

    folder: of the search.
    """
    created = str((search.about.get("facts") or {}).get("created") or "")
    facts = {
        "title": "Search for cells",
        "found": headline(search, verdict),
        "date": created[:10],
        "variants": [],
        "tasks": search.plan.tasks,
        "trials": 0,
    }
    return write_summary(folder, facts)


def given(search: Search, verdict: Verdict | None, results: Path, place: Path) -> dict[str, Any]:
    """Return what the template shows; see `write_page`."""
    best = search.best
    tree = ancestors(search, best[0].index) if best else []
    report = "" if verdict is None else f"{verdict.study}/report.html"
    linked = bool(report) and (place / report).is_file()
    return {
        "name": search.name,
        "headline": headline(search, verdict),
        "sentences": sentences(search, verdict),
        "next": following(search, verdict, results),
        "gates": _bars(funnel(search)),
        "arms": {MUTATION: "mutation", RANDOM: "random"},
        "cards": cards(search, results),
        "verdict": verdict,
        "thousandths": thousandths,
        "names": {} if verdict is None else {row.label: spoken(row.label) for row in verdict.rows},
        "report": quote(f"../{report}") if linked else "",
        "progress": picture(progress.draw, progress.numbers(search)),
        "front": picture(front.draw, front.numbers(search)),
        "smallest": _smallest(search),
        "survivors": picture(survivors.draw, survivors.numbers(search)),
        "tree": [(each, [(typeset(line), new) for line, new in each.lines]) for each in tree],
        "plan": _plan(search),
        "facts": _facts(search.about),
    }


def picture(draw: Callable[[Any], Figure], numbers: Any) -> Picture:
    """Return a figure for both widths of a screen; draw: makes it from its numbers."""
    images = []
    for room in (WIDE, NARROW):
        with drawing_for(room):
            images.append(_svg(draw(numbers)))
    return Picture(*images)


def _svg(figure: Figure) -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = BytesIO()
    with settings():
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _bars(gates: list[Gate]) -> list[tuple[Gate, dict[str, float]]]:
    """Return the lines of the funnel, each with the lengths of its bars in percent, and without empty ones."""
    full = max([1, *(gates[0].counts[arm] for arm in ARMS)])
    return [(gate, {arm: 100 * gate.counts[arm] / full for arm in ARMS}) for gate in gates if any(gate.counts.values())]


def _smallest(search: Search) -> str:
    """Return a sentence on the smallest cell that does nearly as well as the GRU; empty where there is none."""
    reach = search.plan.reach
    found = front.smallest(search, reach)
    if found is None:
        return f"No cell that was found reaches {percent(reach)} of the GRU."
    gru = size(next(iter(search.cells.values())), search.width)
    own = size(found.equations, search.width)
    than = f"{percent(1 - own / gru)} fewer than the GRU" if own < gru else f"the GRU has {gru:,}"
    return f"The smallest one with at least {percent(reach)} of the GRU is {found.key}: {own:,} parameters, {than}."


def _plan(search: Search) -> list[tuple[str, str]]:
    """Return what the search was, in words."""
    plan = search.plan
    tasks = "; ".join(f"{spoken(task)} ({plan.budget(task):,} updates)" for task in plan.stages)
    return [
        ("tasks, the toy first", tasks),
        ("generations", f"{plan.generations}, of {plan.mutants} mutants and {plan.fresh} random cells each"),
        ("pool", f"the best {plan.pool} cells; {percent(plan.again)} of the candidates are cells of the pool, again"),
        ("points", f"{plan.points} in each of {plan.blocks} blocks"),
        ("gates", f"{percent(plan.toy_reach)} of the GRU on the toy, {percent(plan.reach)} on {spoken(plan.tasks[0])}"),
        ("width", f"as many parameters as a GRU of {search.width} units"),
        ("seed", str(plan.design.seed)),
    ]


def _facts(about: Mapping[str, Any]) -> list[str]:
    """Return where the search ran: commit, processor and versions of each session, without repetitions."""
    found = []
    for own in [about.get("facts") or {}, *(about.get("sessions") or [])]:
        versions = own.get("versions") or {}
        known = [f"commit {own['commit']}"] if "commit" in own else []
        known += [str(own["processor"])] if own.get("processor") else []
        known += [f"torch {versions['torch']}"] if "torch" in versions else []
        found.append(", ".join(known))
    return [*dict.fromkeys(line for line in found if line)]
