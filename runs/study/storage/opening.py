"""Opening the storage of a study, and waiting for one that cannot be reached for a while."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import optuna

from ...secrets_in_urls import without_password
from .contract import Storage
from .database import Database
from .journal import Journal

T = TypeVar("T")

DATABASE_AWAY = ("OperationalError", "InterfaceError", "PendingRollbackError")
"""Names of SQLAlchemy's errors for a database that cannot be reached; SQLAlchemy is not imported for a journal."""
CREATED_TWICE = ("IntegrityError", "ProgrammingError")
"""Names of its errors where another process creates the same tables."""
OPENED = 10  # attempts at opening a database


class StorageAway(ConnectionError, ValueError):
    """A database that cannot be reached: a worker tries again, a command reports a mistake."""


def open_storage(url: str, folder: Path) -> Storage:
    """Return the storage behind a URL.

    url: of a database; empty for the journal file in the study's folder. folder: of the study.
    Raises StorageAway for a database that cannot be reached, and ValueError for a wrong URL or for SQLite, with which
    several workers run trials twice.
    """
    if url.startswith("sqlite"):
        raise ValueError(
            "storage: SQLite is refused for studies because several workers would run trials twice and block each "
            f"other; leave storage empty for a journal file or give a PostgreSQL URL, got {url.partition(':')[0]}"
        )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url:
        return open_database(url)
    folder.mkdir(parents=True, exist_ok=True)
    return Journal(str(folder / "journal.log"))


def open_database(url: str) -> Storage:
    """Return the storage in a database, whose tables are created where absent.

    Raises StorageAway for a database that cannot be reached, and ValueError for a wrong URL.
    """
    for _ in range(OPENED - 1):
        try:
            return Database(url)
        except Exception as error:  # of SQLAlchemy, of a driver, of Optuna
            # Workers that start on an empty database create its tables at the same moment. All but one fail, and find
            # the tables at the next attempt.
            if type(error).__name__ not in CREATED_TWICE:
                raise _refusal(url, error) from None
            time.sleep(0.5 + random.random())
    try:
        return Database(url)
    except Exception as error:
        raise _refusal(url, error) from None


def _refusal(url: str, error: Exception) -> ValueError:
    """Return what to raise for a database that could not be opened; without the password."""
    kind = StorageAway if type(error).__name__ in DATABASE_AWAY else ValueError
    reason = " ".join(str(getattr(error, "orig", None) or error).split("(Background on")[0].split())
    shown = without_password(reason.replace(url, "..."), url)[:300]
    return kind(f"storage: cannot open {without_password(url)}: {shown}")


def close_storage(storage: Storage) -> None:
    """Close the connections of a database; a journal has none."""
    storage.remove_session()
    if isinstance(storage, Database):
        storage.engine.dispose()


def patiently(action: Callable[[], T], stopping: Callable[[], bool] = lambda: False, seconds: float = 1800.0) -> T:
    """Do something with a storage, and try again while it is away: a full disk, a database that restarts.

    action: may be done twice without harm. stopping: whether to give up. seconds: how long to try.
    Raises the last error when the time is over or `stopping` says so, and any other error at once.
    """
    end, pause = time.monotonic() + seconds, 0.5
    while True:
        try:
            return action()
        except Exception as error:
            if not _is_away(error) or stopping() or time.monotonic() > end:
                raise
            why = f"{type(error).__name__}: {without_password(str(error).splitlines()[0])[:100]}"
            print(f"storage is away ({why}); trying again", file=sys.stderr, flush=True)
            time.sleep(pause)
            pause = min(10.0, 2 * pause)


def _is_away(error: Exception) -> bool:
    known = isinstance(error, OSError | optuna.exceptions.StorageInternalError)
    return known or type(error).__name__ in DATABASE_AWAY
