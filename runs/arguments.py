"""`key=value` arguments of the small commands, in the manner of Hydra's, and URLs without their secrets."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit

from .console.known import meant, nearest
from .names import CLASSES, checked_name

HIDDEN = "***"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_URL = re.compile(_SCHEME.pattern + r"[^\s'\"]*")
_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase|code)|pwd|^pass$|^pw$|secret|token|(api|access|account)[_-]?key|^key$|credential|signature"
    r"|^sig$|^sas$|^auth$|authorization|bearer|^jwt$",
    re.IGNORECASE,
)
_USER = re.compile(r"([^:/]*)(?::([^@]*))?@")  # as SQLAlchemy reads it
# user:password@host, of a URL without its scheme or slashes
_BARE = re.compile(r"(?<![\w:@])([\w.+-]*:)([^\s/@'\"]+)@(?=[\w\[])")
# of libpq's `host=... password=...`
_KEYWORD = re.compile(r"(?i)\b((?:ssl)?password|passwd|pwd)(\s*=\s*)('[^']*'|[^\s&;'\"]+)")


def without_password(text: str, *urls: str) -> str:
    """A URL, or a text with URLs in it, that may be shown: every secret replaced by ***.

    Secrets are the password of a URL, as SQLAlchemy reads it (of a web address all that stands before the @), and the
    values of `password`, `sslpassword`, `token`, `api_key` and the like in its query or fragment. Where it cannot be
    read, all before the @ is one.

    text: a URL alone may hold spaces and quotes. urls: whose secrets are hidden also where they stand by themselves, as
    in the messages of database drivers.

    >>> without_password("postgresql+psycopg://me:secret@host/db")
    'postgresql+psycopg://me:***@host/db'
    """
    for secret in sorted({s for url in urls for s in secrets_of(url)}, key=len, reverse=True):
        # A short one is hidden as a word of its own only, so that the message stays readable.
        text = (
            text.replace(secret, HIDDEN)
            if len(secret) > 5
            else re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
        )
    if _SCHEME.match(text):
        return _masked(text)[0] if "\n" not in text else _URL.sub(lambda url: _masked(url[0])[0], text)
    shown = _BARE.sub(rf"\1{HIDDEN}@", _URL.sub(lambda url: _masked(url[0])[0], text))
    return _KEYWORD.sub(rf"\1\2{HIDDEN}", shown)


def secrets_of(url: str) -> set[str]:
    """The secrets of a URL, as they are written in it and decoded."""
    if "://" not in url:
        bare = {part for _, secret in _BARE.findall(url) for part in (secret, secret.rpartition(":")[2])}
        return {found[2].strip("'") for found in _KEYWORD.findall(url)} | bare
    found = _masked(url[_SCHEME.search(url).start() :] if _SCHEME.search(url) else url)[1]  # type: ignore[union-attr]
    return {s for secret in found for s in (secret, unquote(secret), unquote_plus(secret)) if s}


def _masked(url: str) -> tuple[str, set[str]]:
    """A URL without its secrets, and these as they are written in it."""
    scheme, _, rest = url.partition("://")
    user, secrets = "", set[str]()
    if "@" in rest:
        user, rest, secrets = _user(scheme, rest)
    pieces = re.split(r"([?&;#])", rest)
    for k in range(2, len(pieces), 2):  # the first is the place, every other one what separates
        key, sign, value = pieces[k].partition("=")
        decoded = unquote_plus(value)
        if (
            sign
            and value
            and (
                _SECRET_KEY.search(unquote_plus(key))
                or _KEYWORD.search(decoded)
                or without_password(decoded) != decoded
            )
        ):
            secrets.add(value)
            pieces[k] = f"{key}={HIDDEN}"
    return f"{scheme}://{user}{''.join(pieces)}", secrets


def _user(scheme: str, rest: str) -> tuple[str, str, set[str]]:
    """What may be shown of the user in a URL, what follows it, and the secrets before the @."""
    last, _, behind = rest.rpartition("@")
    if scheme.lower() in ("http", "https"):
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        try:
            _ = urlsplit(f"{scheme}://{rest}").port
        except ValueError:  # the end of a password with a / in it stands where the port should
            return f"{HIDDEN}@", behind, _parts(last)
        if "@" not in authority:
            return "", rest, set()
        last = authority.rpartition("@")[0]
        return f"{HIDDEN}@", rest[len(last) + 1 :], _parts(last)
    from sqlalchemy.engine import make_url  # heavy: only where a URL has an @

    try:
        read = make_url(f"{scheme}://{rest}")
    except Exception:  # whatever it raises for what it cannot read
        return (f"{HIDDEN}@", behind, _parts(last)) if ":" in last else ("", rest, set())
    found = _USER.match(rest)
    if "@" in (read.host or ""):  # of a password with an @ in it, SQLAlchemy takes the end for the host
        found = re.match(r"([^:]*):(.*)@", rest, re.DOTALL)
    if not found or not found[2]:
        return "", rest, set()
    return f"{found[1]}:{HIDDEN}@", rest[found.end() :], {found[2]}


def _parts(user: str) -> set[str]:
    """What may be a secret of the user in a web address, or in a URL that cannot be read: all of it, the password, a
    token before it.
    """
    name, sign, secret = user.partition(":")
    return {part for part in (user, secret if sign else "", name if len(name) >= 16 else "") if part}


def refuse_passwords(arguments: Sequence[str]) -> None:
    """Raise ValueError where an argument holds a secret: a URL with a password or token, or `password=...`."""
    for argument in arguments:
        found = _SCHEME.search(argument)
        if (
            (found and _masked(argument[found.start() :])[1])
            or _KEYWORD.search(argument)
            or (not found and _BARE.search(argument))
        ):
            raise ValueError(
                "a password on the command line ends up in process lists and logs; set STUDY_STORAGE (storage=postgres) or "
                "MLFLOW_TRACKING_URI (tracking=server) in the environment"
            )


def command(module: str, *, results: Path | str = "results", **values: str) -> str:
    """A command to paste, each word quoted for the shell where it must be; with the classes that the user let be
    imported, if any.

    results: the folder, named only where it is not the default one.

    >>> command("analysis", study="quick", results="my results")
    "python -m analysis study=quick 'results=my results'"
    """
    words = [f"{key}={value}" for key, value in values.items()] + (
        [f"results={results}"] if str(results) != "results" else []
    )
    classes = os.environ.get(CLASSES, "")
    return (f"{CLASSES}={shlex.quote(classes)} " if classes else "") + shlex.join(["python", "-m", module, *words])


def on_record(command: Any, *more: str, results: Path | str | None = None) -> str:
    """A command of this suite that a study or an archive has on record, each word quoted for the shell; empty where it
    is something else.

    more: arguments in the place of those of the same key, or behind the others. results: the folder in which the study
    is now, in the place of the one that the record names; None leaves that.

    >>> on_record("python -m runs.sweep study=quick results=old", "stage=confirm", results="my results")
    "python -m runs.sweep study=quick stage=confirm 'results=my results'"
    """
    try:
        words = shlex.split(str(command or ""))
    except ValueError:  # a quotation mark without its second
        return ""
    ours = words[:2] == ["python", "-m"] and words[2:3] in (["runs"], ["runs.sweep"])
    if not ours or not all(word.isprintable() for word in words):
        return ""
    if results is not None:
        words = [word for word in words if not word.startswith("results=")]
        more += (f"results={results}",) if str(results) != "results" else ()
    keys = tuple(word.partition("=")[0] + "=" for word in more)
    return shlex.join([*(word for word in words if not word.startswith(keys)), *more])


def key_values(arguments: Sequence[str], keys: Mapping[str, str], about: str) -> dict[str, str] | None:
    """The arguments as a dictionary; None if help was asked for and printed.

    keys: what each is. about: first line of the help. Raises ValueError for an argument that is not one of them or is
    given twice, for a study whose name is none, or for a password.
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
            they = f"did you mean {near}=...? The" if (near := nearest(key, keys)) else "the"
            raise ValueError(
                f"unknown argument {argument!r}; {they} arguments are {', '.join(f'{k}=...' for k in keys)}"
            )
        if key in values:
            raise ValueError(f"{argument}: {key} is given twice, first as {values[key]!r}")
        values[key] = value
    if "study" in values:
        checked_name(values["study"], "study")
    return values


def storage_url(values: Mapping[str, str]) -> str:
    """The URL behind a `storage=...` argument: `postgres` stands for the environment's STUDY_STORAGE, absent for the
    journal.

    Raises ValueError for `postgres` where the environment has none, and for what is no URL.
    """
    storage = values.get("storage", "")
    if storage and storage != "postgres" and "://" not in storage:
        raise ValueError(f"storage must be postgres or a URL, got {storage!r}{meant(storage, ['postgres'])}")
    if storage != "postgres":
        return storage
    if not os.environ.get("STUDY_STORAGE"):
        raise ValueError("storage=postgres needs its URL in the environment: STUDY_STORAGE=postgresql+psycopg://...")
    return os.environ["STUDY_STORAGE"]
