"""`python -m tasks` lists what there is; `python -m tasks copying` shows one task."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from runs.console.catalogue import parser_of
from runs.console.known import found
from runs.console.text import table, width, wrapped

from .catalogue import card, overview
from .task import Task


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the catalogue or a card; 2 for a name that is not registered or a class that is no task."""
    options = parser_of("task").parse_args(arguments)
    try:
        if options.name is None:
            print(table(overview(), width()))
        else:
            lines = card(found("task", options.name, Task, Task.registry)).splitlines()
            print("\n".join(wrapped(line, width(), "    ") for line in lines))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
