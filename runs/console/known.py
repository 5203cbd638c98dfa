"""What to answer to a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from pkgutil import resolve_name
from typing import TypeVar

T = TypeVar("T")


def nearest(name: str, names: Collection[str]) -> str:
    """Return the name that was probably meant, or an empty string if none is similar."""
    lower = {n.lower().replace("-", "_"): n for n in names}
    near = difflib.get_close_matches(name.lower().replace("-", "_"), lower, n=1, cutoff=0.6)
    return lower[near[0]] if near else ""


def meant(name: str, names: Collection[str]) -> str:
    """Return the end of a line on a name that does not exist: which one may be meant. It is empty if none is similar.

    >>> "there is no study 'quik'" + meant("quik", ["quick", "smoke"])
    "there is no study 'quik'; did you mean 'quick'?"
    """
    near = nearest(name, names)
    return f"; did you mean {near!r}?" if near else ""


def unknown(kind: str, name: str, names: Collection[str], there: str = "there is", above: str = "") -> str:
    """Return one line that says that a name does not exist, which one may be meant, and which names there are.

    kind: what it is the name of.
    name: that does not exist.
    names: that exist.
    there: the words before their list.
    above: what stands before the name and before each of the names, such as `task.`.

    >>> unknown("task", "addin", ["adding", "copying"])
    "unknown task 'addin'; did you mean 'adding'? There is: adding, copying"
    >>> unknown("task", "foo", ["adding", "copying"])
    "unknown task 'foo'; there is: adding, copying"
    >>> unknown("key", "lagg", ["lag"], "the keys are", "task.")
    "unknown key 'task.lagg'; did you mean 'task.lag'? The keys are: lag"
    """
    return f"unknown {kind} {above + name!r}; {instead(name, names, there, above)}"


def instead(name: str, names: Collection[str], there: str = "there is", above: str = "") -> str:
    """Return the end of a line on a name that does not exist: which one may be meant, and which names there are.

    The arguments are those of `unknown`.

    >>> instead("quik", ["quick", "smoke"])
    "did you mean 'quick'? There is: quick, smoke"
    """
    near, listed = nearest(name, names), f"{there}: {', '.join(names) or 'none'}"
    return f"did you mean {above + near!r}? {listed[0].upper()}{listed[1:]}" if near else listed


def one_of(name: str, value: object, names: Collection[str], which: str = "") -> str:
    """Return one line that says that a value is not one of several words, and which one may be meant.

    name: what the value is for.
    value: that was given.
    names: those that are allowed.
    which: words before their list.

    >>> one_of("match", "withd", ["parameters", "width"])
    "match must be one of parameters, width, got 'withd'; did you mean 'width'?"
    """
    return f"{name} must be one of {which}{', '.join(names)}, got {value!r}{meant(str(value), names)}"


def found(kind: str, name: str, base: type[T], registry: Mapping[str, type[T]]) -> type[T]:
    """Return the class that a user has named, by a registered name or by a dotted path such as `my_package.Digits`.

    kind: what messages call it.
    name: the name or path.
    base: the class that it must derive from.
    registry: name to class.

    Raises ValueError if there is no such class.
    """
    if name in registry:
        return registry[name]
    if "." not in name:
        raise ValueError(unknown(kind, name, list(registry)))
    try:
        cls = resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{kind}: cannot import {name!r}: {error}") from None
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise ValueError(f"{kind}: {name!r} must be a subclass of {base.__module__}.{base.__name__}")
    return cls


def values_after(option: str, arguments: Sequence[str]) -> list[str]:
    """Return the values that follow an option, up to the next option."""
    found: list[str] = []
    taking = False
    for argument in arguments:
        if argument.startswith("-"):
            taking = argument == option
        elif taking:
            found.append(argument)
    return found
