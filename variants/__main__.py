"""`python -m variants` lists what there is, `python -m variants gru` shows one variant, with --kernel its kernel.

With --equations it is written in the notation of the variant `formula`, and `python -m variants formula equations=...`
shows a cell from its equations; --class writes either as a class of Python.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

if __package__ != "variants":  # as `lstm_variants`, without the folder `runs`, whose console this command needs
    print(
        f"error: the catalogue must be read in a checkout, by python -m variants, got python -m {__package__}; here, "
        f"{__package__}.catalogue.card(cls, input_size=2, hidden_size=32) gives the text of one cell",
        file=sys.stderr,
    )
    raise SystemExit(2)

from runs.console.catalogue import parser_of
from runs.console.known import found
from runs.console.text import complain, table, width, wrapped

from . import Cell
from .catalogue import card, given_knobs, kernel, made, overview
from .formula.cell import Formula
from .formula.from_cell import equations_of
from .formula.to_class import class_text


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the catalogue, a card or a kernel.

    Returns 0, or 2 for a name that is not registered or a size that cannot be.
    """
    options = parser_of("variant").parse_args(arguments)
    try:
        for size in ("inputs", "hidden"):
            if getattr(options, size) < 1:
                raise ValueError(f"--{size} must be at least 1, got {getattr(options, size)}")
        asked = [word for word in ("kernel", "equations", "class") if getattr(options, word)]
        if len(asked) > 1:
            raise ValueError(f"one of --{', --'.join(asked)} may be given, got {len(asked)}")
        if asked and options.name is None:
            raise ValueError(f"--{asked[0]} needs the name of a variant, as in: python -m variants gru --{asked[0]}")
        if options.name is None:
            print(table(overview(options.inputs, options.hidden), width()))
        else:
            cls = found("variant", options.name, Cell, Cell.registry)
            knobs = given_knobs(cls, options.knobs)
            if options.equations or getattr(options, "class"):
                text = equations_of(made(cls, knobs))
                print(text if options.equations else class_text(Formula(equations=text)))
                return 0
            text = kernel(cls, knobs, width()) if options.kernel else card(cls, options.inputs, options.hidden, knobs)
            print("\n".join(wrapped(line, width(), "    ") for line in text.splitlines()))
    except ValueError as error:
        complain(error)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
