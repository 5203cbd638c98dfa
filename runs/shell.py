"""`key=value` arguments of the small commands, in the manner of Hydra's."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence


def key_values(arguments: Sequence[str], keys: Mapping[str, str], about: str) -> dict[str, str] | None:
    """The arguments as a dictionary; None if help was asked for and printed.

    keys: what each is. about: first line of the help. Raises ValueError naming an argument that is not one of them.
    """
    if any(a in ("-h", "--help", "help") for a in arguments):
        print(f"{about}\n")
        print("\n".join(f"  {key}=...".ljust(16) + text for key, text in keys.items()))
        return None
    values: dict[str, str] = {}
    for argument in arguments:
        key, sign, value = argument.partition("=")
        if not sign or key not in keys:
            raise ValueError(f"unknown argument {argument!r}; the arguments are {', '.join(f'{k}=...' for k in keys)}")
        values[key] = value
    return values


def storage_url(values: Mapping[str, str]) -> str:
    """The URL behind a `storage=...` argument: `postgres` stands for the environment's STUDY_STORAGE, absent for the journal.

    Raises ValueError for `postgres` where the environment has none.
    """
    storage = values.get("storage", "")
    if storage != "postgres":
        return storage
    if not os.environ.get("STUDY_STORAGE"):
        raise ValueError("storage=postgres needs its URL in the environment: STUDY_STORAGE=postgresql+psycopg://...")
    return os.environ["STUDY_STORAGE"]
