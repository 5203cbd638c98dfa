"""Which names exist, read from source files without running them, and what to answer to a name that does not."""

from __future__ import annotations

import ast
import difflib
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
ROOTS = {"variant": ("variants", "Cell"), "initialisation": ("variants", "Scheme"), "task": ("tasks", "Task")}


@cache
def names_in_source(kind: str) -> frozenset[str] | None:
    """Return the names under which classes of the project are registered, as in `class GRU(Cell, name="gru")`.

    The files are read, not imported: importing them imports torch, which takes two seconds.

    kind: variant, initialisation or task.

    Returns None if a class is declared in a way that is not understood here, so that nothing is sure.
    """
    folder, root = ROOTS[kind]
    bases: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ClassDef):
                continue
            # of `Cell[HiddenState]` the class is `Cell`
            bases[node.name] = [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases]
            for keyword in node.keywords:
                if keyword.arg == "name":
                    if not isinstance(keyword.value, ast.Constant):
                        return None
                    names[node.name] = str(keyword.value.value)

    def roots(cls: str) -> set[str]:
        return {cls}.union(*(roots(base) for base in bases.get(cls, ())))

    known = {found for where, found in ROOTS.values() if where == folder}
    if any(known.isdisjoint(roots(cls)) for cls in names):
        return None
    return frozenset(name for cls, name in names.items() if root in roots(cls))


def nearest(name: str, names: Collection[str]) -> str:
    """Return the name that was probably meant, or an empty string if none is similar."""
    lower = {n.lower(): n for n in names}
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


def refuse_mistyped(kind: str) -> None:
    """End the process with exit code 2 if it starts `python -m variants NAME` and no class of the folder has that name.

    The same holds for `tasks`. It is called at the top of the package, before torch is imported, and does nothing when
    the package is imported in any other way. The dotted path of a class of your own is not looked at.

    kind: variant or task.
    """
    # "-m" is what sys.argv holds while Python looks for the module to run
    if sys.argv[:1] != ["-m"] or sys.orig_argv[-len(sys.argv)] != ROOTS[kind][0]:
        return
    names = names_in_source(kind)
    for name in sys.argv[1:]:
        if names is not None and name.isidentifier() and name not in names:
            print(f"error: {unknown(kind, name, sorted(names))}", file=sys.stderr)
            raise SystemExit(2)


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
