"""`python -m analysis.gallery_of_cells`: a page of all cells, `cells.html` in the results folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from runs.arguments import key_values
from runs.console.ending import in_one_line
from runs.console.start import end_quickly, import_quickly
from runs.files import writable

KEYS = {
    "results": "folder of all studies, of which the page says what they found. Default: results.",
    "out": "folder that receives the page cells.html. Default: that of results.",
}


@in_one_line("the page")
def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit code."""
    values = key_values(arguments, KEYS, __doc__ or "")
    if values is None:
        return 0
    results = Path(values.get("results", "results"))
    if "results" in values and not results.is_dir():
        raise ValueError(f"results: there is no folder {results}")
    out = writable(Path(values["out"]), "out") if values.get("out") else writable(results)
    import_quickly("analysis.gallery_of_cells.cards")
    from .cards import cards
    from .page import write_gallery

    shown = cards()
    path = write_gallery(shown, results, out)
    print(f"{len(shown)} cells: {path}")
    return 0


if __name__ == "__main__":
    end_quickly()
    sys.exit(main(sys.argv[1:]))
