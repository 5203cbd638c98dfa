"""`python -m variants` lists what there is; `python -m variants gru` shows one variant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import Cell
from .catalogue import card, entries, markdown, overview


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the catalogue, a card or the table of the README; 2 for a name that is not registered."""
    parser = argparse.ArgumentParser(prog="python -m variants", description="The catalogue of variants.")
    parser.add_argument("name", nargs="?", help="show this variant in full")
    parser.add_argument("--inputs", type=int, default=2, metavar="I", help="input size of the parameter counts (default 2)")
    parser.add_argument("--hidden", type=int, default=32, metavar="H", help="hidden size of the parameter counts (default 32)")
    parser.add_argument("--markdown", action="store_true", help="print the table of the README")
    options = parser.parse_args(arguments)
    if options.markdown:
        print(markdown())
    elif options.name is None:
        print(overview(options.inputs, options.hidden))
    elif options.name in Cell.registry:
        print(card(Cell.registry[options.name], options.inputs, options.hidden))
    else:
        print(f"there is no variant {options.name!r}; there are {', '.join(entries())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
