"""`python -m variants` lists what there is, `python -m variants gru` shows one variant, with --kernel its kernel."""

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
from .catalogue import card, kernel, overview


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the catalogue, a card or a kernel.

    Returns 0, or 2 for a name that is not registered or a size that cannot be.
    """
    options = parser_of("variant").parse_args(arguments)
    try:
        for size in ("inputs", "hidden"):
            if getattr(options, size) < 1:
                raise ValueError(f"--{size} must be at least 1, got {getattr(options, size)}")
        if options.kernel and options.name is None:
            raise ValueError("--kernel needs the name of a variant, as in: python -m variants gru --kernel")
        if options.name is None:
            print(table(overview(options.inputs, options.hidden), width()))
        else:
            cls = found("variant", options.name, Cell, Cell.registry)
            text = kernel(cls) if options.kernel else card(cls, options.inputs, options.hidden)
            print("\n".join(wrapped(line, width(), "    ") for line in text.splitlines()))
    except ValueError as error:
        complain(error)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
