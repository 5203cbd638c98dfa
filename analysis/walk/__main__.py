"""`python -m analysis.walk variant=vanilla task=adding`: a page with every number of a cell, forward and backward."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from runs.console.ending import in_one_line
from runs.console.start import end_quickly, import_quickly

from .options import options_of


@in_one_line("the page")
def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit code."""
    options = options_of(arguments)
    if options is None:
        return 0
    import_quickly("analysis.walk.writing")  # after the arguments: a mistake is reported before torch is imported
    from .writing import write_walk

    print(f"page: {write_walk(options, arguments)}")
    return 0


if __name__ == "__main__":
    end_quickly()
    sys.exit(main(sys.argv[1:]))
