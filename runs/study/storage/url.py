"""The URL of the storage that a `storage=...` argument stands for."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ...console.known import meant


def storage_url(values: Mapping[str, str]) -> str:
    """Return the URL of a study's storage; it is empty for the journal file in the study's folder.

    values: the arguments of a command. `storage=postgres` stands for the URL in the environment's STUDY_STORAGE, and
    without `storage` it is the journal.

    Raises ValueError for `postgres` if the environment has no URL, and for anything else that is not a URL.

    >>> storage_url({"study": "quick"})
    ''
    """
    storage = values.get("storage", "")
    if storage == "postgres":
        if not os.environ.get("STUDY_STORAGE"):
            raise ValueError(
                "storage=postgres needs its URL in the environment: STUDY_STORAGE=postgresql+psycopg://..."
            )
        return os.environ["STUDY_STORAGE"]
    if storage and "://" not in storage:
        raise ValueError(f"storage must be postgres or a URL, got {storage!r}{meant(storage, ['postgres'])}")
    return storage
