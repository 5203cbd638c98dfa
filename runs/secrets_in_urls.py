"""Finds passwords and tokens in URLs: they are refused on the command line and never shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote, unquote_plus, urlsplit

HIDDEN = "***"
SHORT = 5  # characters; a secret up to this length is hidden in a message only where it stands as a word of its own
TOKEN = 16  # characters from which on the user of a web address may be a token itself
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_URL = re.compile(_SCHEME.pattern + r"[^\s'\"]*")
_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase|code)|pwd|^pass$|^pw$|secret|token|(api|access|account)[_-]?key|^key$|credential|signature"
    r"|^sig$|^sas$|^auth$|authorization|bearer|^jwt$",
    re.IGNORECASE,
)
# `user:password@`, split in the same way as SQLAlchemy does
_USER = re.compile(r"([^:/]*)(?::([^@]*))?@")
# `user:password@host` in a URL that lacks its scheme or its slashes
_BARE = re.compile(r"(?<![\w:@])([\w.+-]*:)([^\s/@'\"]+)@(?=[\w\[])")
# `password=...` in a connection string of libpq, `host=... password=...`
_KEYWORD = re.compile(r"(?i)\b((?:ssl)?password|passwd|pwd)(\s*=\s*)('[^']*'|[^\s&;'\"]+)")


def without_password(text: str, *urls: str) -> str:
    """Return a URL, or a text with URLs in it, with every secret replaced by `***`, so that it may be shown.

    The password of a URL is a secret, and so are the values of `password`, `sslpassword`, `token`, `api_key` and the
    like in its query or fragment. In a web address everything before the @ is a secret, and in a URL that cannot be
    read as well.

    text: a URL or a message. If it is a URL alone, it may contain spaces and quotation marks.
    urls: their secrets are also hidden where they stand by themselves in the text, as in messages of database drivers.

    >>> without_password("postgresql+psycopg://me:secret@host/db")
    'postgresql+psycopg://me:***@host/db'
    """
    for secret in sorted({s for url in urls for s in secrets_of(url)}, key=len, reverse=True):
        text = _hidden(secret, text)
    if _SCHEME.match(text):
        return _masked(text)[0] if "\n" not in text else _mask_urls(text)
    return _KEYWORD.sub(rf"\1\2{HIDDEN}", _BARE.sub(rf"\1{HIDDEN}@", _mask_urls(text)))


def secrets_of(url: str) -> set[str]:
    """Return the secrets of a URL, each as it is written there and as it is decoded."""
    if "://" not in url:
        bare = {part for _, secret in _BARE.findall(url) for part in (secret, secret.rpartition(":")[2])}
        return {found[2].strip("'") for found in _KEYWORD.findall(url)} | bare
    start = _SCHEME.search(url)
    found = _masked(url[start.start() :] if start else url)[1]
    return {s for secret in found for s in (secret, unquote(secret), unquote_plus(secret)) if s}


def refuse_passwords(arguments: Sequence[str]) -> None:
    """Raise ValueError if an argument contains a secret: a URL with a password or a token, or `password=...`."""
    if any(_has_secret(argument) for argument in arguments):
        raise ValueError(
            "a password on the command line ends up in process lists and logs; set STUDY_STORAGE (storage=postgres) or "
            "MLFLOW_TRACKING_URI (tracking=server) in the environment"
        )


def _has_secret(argument: str) -> bool:
    if _KEYWORD.search(argument):
        return True
    url = _SCHEME.search(argument)
    return bool(_masked(argument[url.start() :])[1] if url else _BARE.search(argument))


def _hidden(secret: str, text: str) -> str:
    """Return the text without a secret. A short one is hidden only as a word, so that the text stays readable."""
    if len(secret) > SHORT:
        return text.replace(secret, HIDDEN)
    return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)


def _mask_urls(text: str) -> str:
    return _URL.sub(lambda url: _masked(url[0])[0], text)


def _masked(url: str) -> tuple[str, set[str]]:
    """Return a URL without its secrets, and the secrets as they are written in it."""
    scheme, _, rest = url.partition("://")
    user, secrets = "", set[str]()
    if "@" in rest:
        user, rest, secrets = _masked_user(scheme, rest)
    pieces = re.split(r"([?&;#])", rest)
    for k in range(2, len(pieces), 2):  # pieces[0] is host and path; the odd pieces are the separators
        key, _, value = pieces[k].partition("=")
        if value and _is_secret(unquote_plus(key), unquote_plus(value)):
            secrets.add(value)
            pieces[k] = f"{key}={HIDDEN}"
    return f"{scheme}://{user}{''.join(pieces)}", secrets


def _is_secret(key: str, value: str) -> bool:
    """Return True if a `key=value` of a query is a secret by its key, or if its value contains one."""
    return bool(_SECRET_KEY.search(key) or _KEYWORD.search(value)) or without_password(value) != value


def _masked_user(scheme: str, rest: str) -> tuple[str, str, set[str]]:
    """Return what may be shown of the user in a URL, what follows the user, and the secrets before the @."""
    last, _, behind = rest.rpartition("@")
    if scheme.lower() in ("http", "https"):
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        try:
            _ = urlsplit(f"{scheme}://{rest}").port
        except ValueError:  # a password with a / in it: its end stands where the port should be
            return f"{HIDDEN}@", behind, _parts(last)
        if "@" not in authority:
            return "", rest, set()
        last = authority.rpartition("@")[0]
        return f"{HIDDEN}@", rest[len(last) + 1 :], _parts(last)
    from sqlalchemy.engine import make_url  # slow to import: only if a URL has an @

    try:
        read = make_url(f"{scheme}://{rest}")
    except Exception:  # SQLAlchemy raises many kinds of error for a URL that it cannot read
        return (f"{HIDDEN}@", behind, _parts(last)) if ":" in last else ("", rest, set())
    found = _USER.match(rest)
    if "@" in (read.host or ""):  # SQLAlchemy takes the end of a password with an @ in it for the host
        found = re.match(r"([^:]*):(.*)@", rest, re.DOTALL)
    if not found or not found[2]:
        return "", rest, set()
    return f"{found[1]}:{HIDDEN}@", rest[found.end() :], {found[2]}


def _parts(user: str) -> set[str]:
    """Return what may be a secret before the @: all of it, the password, and the user if it is as long as a token."""
    name, sign, secret = user.partition(":")
    return {part for part in (user, secret if sign else "", name if len(name) >= TOKEN else "") if part}
