"""`python -m docs`: write what follows from the code, `variants.md`, `tasks.md`, `reference.md` and `cells/*.svg`, and
what follows from the shipped archives: `findings.md`, the results in README, and their figures.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from runs.console.parser import Parser
    from runs.console.start import end_quickly

    end_quickly()
    Parser(prog="python -m docs", description=__doc__).parse_args()

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import tasks.catalogue as task_catalogue
import variants.catalogue as variant_catalogue
from analysis.diagram import CannotDraw, draw, svg
from analysis.diagram.sheet import legend
from runs.console.text import wrapped

from . import findings
from .reference import escaped, fenced, reference

HERE = Path(__file__).resolve().parent
NOTE = "<!-- Written by `make docs` from the code. Change the docstrings there, not this page. -->"
INPUTS, HIDDEN = 2, 32  # the sizes at which the page of variants counts parameters
CARD_WIDTH = 100  # characters of a line in a card

VARIANTS = f"""
A variant is a kind of recurrent cell. Each one is a class in `variants/cells/` and is chosen on the command line by
its name: `variant=gru`. Its knobs are options: `variant.keep_bias=0`. `python -m variants` prints this catalogue in
the terminal, `python -m variants gru` one card, and `python -m variants gru --kernel` what its compiled kernel
computes. `python -m variants my_package.MyCell` shows a cell of your own.

Letters: I inputs, H hidden units, `W` input weights, `R` recurrent weights, `b` biases, `p` one weight per unit. The
cards count parameters at I = {INPUTS}, H = {HIDDEN}. The `native` variants are PyTorch's own kernels. They are controls
in tests and in [speed.md](speed.md). `mlstm` is an eager block, since its memory is a matrix: it has no fused kernel
and takes no regularisers.

The drawings follow from the definition of each cell, after the diagrams of Olah's "Understanding LSTM Networks" (2015);
of a cell whose lowest layer differs, they show a layer above it. `python -m analysis.diagram variant=gru` draws one,
also a cell of your own, and `python -m analysis.diagram variant=coupled against=vanilla` shows what differs.

![Layer, pointwise operation, lines that merge, copy, times a weight per unit, gradient is cut](cells/legend.svg)
"""

TASKS = """
A task says what must be remembered, for how long (its lag), and when it counts as solved. Each one is a class in
`tasks/synthetic/` or `tasks/real/` and is chosen on the command line by its name: `task=copying`. Its knobs are
options: `task.lag=100`. `python -m tasks` prints this catalogue in the terminal, `python -m tasks copying` one card;
`python -m tasks my_package.MyTask` shows a task of your own.

The floor is the loss of the best model without memory, here at the default knobs. The docstring of the task derives
it. Every synthetic task also has an oracle, which computes the answers from the inputs alone. Tests check both.

The tasks of `tasks/real/` have data instead: a part to train on, one to choose by, one to report on. They have
neither a lag nor a criterion of success; their floor is that of a simple model fitted to the data. [data.md](data.md)
says where the data come from and what the simple models and some cells reach.
"""

REFERENCE = """
The names that you may import, package by package. The folders are imported from the root of the project.
[glossary.md](glossary.md) explains the words; [variants.md](variants.md) and [tasks.md](tasks.md) list what there is.
"""


def pages() -> dict[str, str]:
    """The text of every generated page, by its file name."""
    return drawings() | {
        "variants.md": page("Variants", VARIANTS, *variants()),
        "tasks.md": page("Tasks", TASKS, *tasks()),
        "reference.md": page("Reference", REFERENCE, *reference()),
    }


@cache
def drawings() -> dict[str, str]:
    """The SVG of every variant that can be drawn, and of the legend, by its file name."""
    found = {"cells/legend.svg": svg(legend(), title="What the drawings of cells are made of")}
    for name, cls in variant_catalogue.entries().items():
        try:
            found[f"cells/{name}.svg"] = svg(draw(cls()))
        except CannotDraw:  # a kernel of the library
            continue
    return found


def variants() -> Iterable[str]:
    """All variants in a table, then a card for each."""
    found = variant_catalogue.entries()
    yield table(
        ["variant", "what it is", "parameters of a layer", "source"],
        *(
            [link(name), variant_catalogue.summary(cls), variant_catalogue.formula(cls).partition(",")[0], cls.source]
            for name, cls in found.items()
        ),
    )
    for name, cls in found.items():
        heading, sentence, *rest = card(name, variant_catalogue.card(cls, INPUTS, HIDDEN))
        file = f"cells/{name}.svg"
        image = [f"![The cell {name}, drawn]({file})"] if file in drawings() else []
        yield from (heading, sentence, *image, *rest)


def tasks() -> Iterable[str]:
    """All tasks in a table, then a card for each."""
    found = task_catalogue.entries()
    yield table(
        ["task", "what must be remembered", "floor", "source"],
        *(
            [link(name), task_catalogue.summary(cls), task_catalogue.floor(cls), cls.source]
            for name, cls in found.items()
        ),
    )
    for name, cls in found.items():
        yield from card(name, task_catalogue.card(cls))


def page(title: str, *parts: str) -> str:
    """A page of Markdown from its title and parts."""
    return "\n\n".join([f"# {title}", NOTE, *(part.strip() for part in parts)]) + "\n"


def table(*rows: list[str]) -> str:
    """A table of Markdown, its head first."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *([text.replace("|", r"\|") for text in line] for line in body)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def link(name: str) -> str:
    """A link to the card of a name on the same page."""
    return f"[`{name}`](#{name})"


def card(name: str, text: str) -> Iterable[str]:
    """A card of the catalogue under its heading: the sentence that opens it, then the rest as it is printed."""
    sentence, *rest = text.removeprefix(f"{name}: ").splitlines()
    lines = "\n".join(wrapped(line, CARD_WIDTH, "    ") for line in rest)
    return f"## {name}", escaped(sentence), fenced("text", lines.strip("\n"))


def main() -> int:
    """Write the generated pages into this folder."""
    (HERE / "cells").mkdir(exist_ok=True)
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
        print(f"docs/{name}")
    for path in findings.write():
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
