"""`python -m variants` lists what there is, `python -m variants gru` shows one variant, with --kernel its kernel."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from runs.console.known import found
from runs.console.parser import Parser
from runs.console.text import table, width, wrapped

from . import Cell
from .catalogue import card, kernel, overview


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the catalogue, a card or a kernel.

    Returns 0, or 2 for a name that is not registered or a size that cannot be.
    """
    parser = Parser(prog="python -m variants", description="The catalogue of variants.")
    parser.add_argument(
        "name", nargs="?", help="show this variant in full; also the dotted path of a class of your own"
    )
    parser.add_argument(
        "--inputs", type=int, default=2, metavar="I", help="input size of the parameter counts (default 2)"
    )
    parser.add_argument(
        "--hidden", type=int, default=32, metavar="H", help="hidden size of the parameter counts (default 32)"
    )
    parser.add_argument("--kernel", action="store_true", help="show what the fused kernel of the variant computes")
    options = parser.parse_args(arguments)
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
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
