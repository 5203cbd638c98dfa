"""`key=value` arguments of the small commands, in the manner of Hydra's."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from console.names import nearest

_PASSWORD = re.compile(r"(://[^/@\s:]*:)[^/\s]+(?=@)|(://\S*[?&]password=)[^&\s]+")


def without_password(uri: str) -> str:
    """A URI that may be shown: its password replaced by ***."""
    return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", uri)


def refuse_passwords(arguments: Sequence[str]) -> None:
    """Raise ValueError where an argument holds a URL with a password."""
    if any(_PASSWORD.search(a) for a in arguments):
        raise ValueError(
            "a password on the command line ends up in process lists and logs; set STUDY_STORAGE (storage=postgres) or "
            "MLFLOW_TRACKING_URI (tracking=server) in the environment"
        )


def key_values(arguments: Sequence[str], keys: Mapping[str, str], about: str) -> dict[str, str] | None:
    """The arguments as a dictionary; None if help was asked for and printed.

    keys: what each is. about: first line of the help. Raises ValueError naming an argument that is not one of them, or for a password.
    """
    if any(a in ("-h", "--help", "help") for a in arguments):
        print(f"{about}\n")
        print("\n".join(f"  {key}=...".ljust(16) + text for key, text in keys.items()))
        return None
    refuse_passwords(arguments)
    values: dict[str, str] = {}
    for argument in arguments:
        key, sign, value = argument.partition("=")
        if not sign or key not in keys:
            meant = f"did you mean {near}=...? The" if (near := nearest(key, keys)) else "the"
            raise ValueError(f"unknown argument {argument!r}; {meant} arguments are {', '.join(f'{k}=...' for k in keys)}")
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


def tracking_uri(values: Mapping[str, str], stored: str) -> str:
    """The URI behind a `tracking=...` argument: `server` stands for the environment's MLFLOW_TRACKING_URI, absent for the one stored.

    What is stored has no password; it is taken from the environment. Raises ValueError for `server` where the environment has none.
    """
    ours, uri = os.environ.get("MLFLOW_TRACKING_URI", ""), values.get("tracking") or stored
    if uri == "server" and not ours:
        raise ValueError("tracking=server needs its URI in the environment: MLFLOW_TRACKING_URI=http://...")
    return ours if uri in ("server", without_password(ours)) else uri
