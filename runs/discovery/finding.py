"""Searches for cells that were planned before: find one by its name."""

from __future__ import annotations

from pathlib import Path

from ..study.presence import refuse_absent
from ..study.storage.opening import close_storage, open_storage
from .plan import SUFFIX
from .search import CellSearch


def found(results: Path, name: str, url: str = "") -> CellSearch:
    """Return a search that was planned before; nothing is created.

    results: folder of all searches. url: of the storage, empty for the journal in the search's folder.
    Raises ValueError where there is no such search.
    """
    refuse_absent(results, name, url)
    storage = open_storage(url, results / name)
    try:
        return CellSearch.open(storage, f"{name}{SUFFIX}")
    except KeyError:
        close_storage(storage)
        raise ValueError(f"search {name!r} is not in its storage; a study of this name is no search") from None
    except BaseException:
        close_storage(storage)
        raise
