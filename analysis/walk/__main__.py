"""`python -m analysis.walk variant=vanilla task=adding`: a page with every number of a cell, forward and backward."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from runs.console.start import end_quickly, import_quickly
from runs.console.text import complain

from .options import options_of


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit code."""
    try:
        options = options_of(arguments)
        if options is None:
            return 0
        import_quickly("analysis.walk.writing")  # after the arguments: a mistake is reported before torch is imported
        from .writing import write_walk

        path = write_walk(options, arguments)
    except ValueError as error:
        complain(error)
        return 2
    except OSError as error:  # a full disk
        complain(f"cannot write {error.filename or 'the page'}: {error.strerror or error}")
        return 1
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return 130
    print(f"page: {path}")
    return 0


if __name__ == "__main__":
    end_quickly()
    sys.exit(main(sys.argv[1:]))
