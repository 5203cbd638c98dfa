"""Reads names, knobs and keys from source files without running them.

Running them imports torch, which takes two seconds.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
ROOTS = {
    "variant": ("variants", "Cell"),
    "network": ("runs/networks", "Network"),
    "initialisation": ("variants", "Scheme"),
    "task": ("tasks", "Task"),
}


class Declared(NamedTuple):
    """A class as its source declares it.

    bases: the names of the classes that it derives from.
    name: under which it is registered, as in `class GRU(Cell, name="gru")`; empty if it is not.
    knobs: the arguments of its constructor; None if it has no constructor of its own.
    """

    bases: tuple[str, ...]
    name: str
    knobs: tuple[str, ...] | None


class Keys(NamedTuple):
    """A dataclass as its source declares it.

    docstring: of the class.
    fields: the keys that its fields declare, in order.
    defaults: of the fields that have a plain value as default, as it is written on the command line.
    """

    docstring: str
    fields: tuple[str, ...]
    defaults: Mapping[str, str]


@cache
def knobs_in_source(kind: str) -> Mapping[str, tuple[str, ...]] | None:
    """Return the classes of the project that are registered, by name, with the knobs of each.

    kind: variant, initialisation or task.

    Returns None if a class is declared in a way that is not understood here, so that nothing is sure.
    """
    folder, root = ROOTS[kind]
    classes = _classes(ROOT / folder)
    if classes is None:
        return None
    lines = {cls: _line(cls, classes) for cls, declared in classes.items() if declared.name}
    known = {found for where, found in ROOTS.values() if where == folder}
    if any(known.isdisjoint(line) for line in lines.values()):
        return None
    return {classes[cls].name: _knobs(line, classes) for cls, line in lines.items() if root in line}


@cache
def _classes(folder: Path) -> Mapping[str, Declared] | None:
    """Return the classes of a folder, which stand at the top of its files; None if one of them is not understood."""
    classes: dict[str, Declared] = {}
    for path in folder.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                declared = _declared(node)
                if declared is None:
                    return None
                classes[node.name] = declared
    return classes


def names_in_source(kind: str) -> frozenset[str] | None:
    """Return the names of `knobs_in_source`."""
    knobs = knobs_in_source(kind)
    return None if knobs is None else frozenset(knobs)


def _declared(node: ast.ClassDef) -> Declared | None:
    """Return what the source of a class declares; None if its name is not written out."""
    plain = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]  # Cell[LSTMState]
    bases = tuple(ast.unparse(base).rpartition(".")[2] for base in plain)
    given = [keyword.value for keyword in node.keywords if keyword.arg == "name"]
    name = given[0] if given else ast.Constant("")
    if not isinstance(name, ast.Constant):
        return None
    made = [f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
    knobs = None
    if made:
        arguments = made[0].args
        knobs = tuple(a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))[1:]
    return Declared(bases, str(name.value), knobs)


def _line(cls: str, classes: Mapping[str, Declared]) -> list[str]:
    """Return the names of a class and of all that it derives from, the nearest first."""
    bases = classes[cls].bases if cls in classes else ()
    return [cls, *(name for base in bases for name in _line(base, classes))]


def _knobs(line: Iterable[str], classes: Mapping[str, Declared]) -> tuple[str, ...]:
    """Return the knobs of the first class of a line that has a constructor."""
    found = (classes[cls].knobs for cls in line if cls in classes)
    return next((knobs for knobs in found if knobs is not None), ())


@cache
def keys_in_source(path: str, cls: str) -> Keys:
    """Return what the source of a dataclass says of its fields.

    path: of the file, in the root of the project.
    cls: name of the class.
    """
    tree = _tree(path)
    (node,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == cls)
    typed = [n for n in node.body if isinstance(n, ast.AnnAssign)]
    fields = [n for n in typed if not ast.unparse(n.annotation).startswith("ClassVar")]
    names = [ast.unparse(n.target) for n in fields]
    defaults = {key_of(name): _written(n.value) for name, n in zip(names, fields, strict=True)}
    known = {name: value for name, value in defaults.items() if value is not None}
    docstring = ast.get_docstring(node) or ""
    for name in names:
        docstring = docstring.replace(f"\n{name}: ", f"\n{key_of(name)}: ")
    return Keys(docstring, tuple(defaults), known)


def key_of(field: str) -> str:
    """Return the key that a field of a dataclass declares; a word that Python reserves has a "_" behind it there.

    >>> key_of("from_"), key_of("points")
    ('from', 'points')
    """
    return field.removesuffix("_")


def _written(value: ast.expr | None) -> str | None:
    """Return a default as it is written on the command line; None for one that is no plain value."""
    if isinstance(value, ast.Call):  # field(default=0.0, ...)
        given = [keyword.value for keyword in value.keywords if keyword.arg == "default"]
        value = given[0] if given else None
    if not isinstance(value, ast.Constant):
        return None
    words = {"True": "true", "False": "false", "None": "null"}
    return words.get(str(value.value), str(value.value)) if value.value != "" else "empty"


@cache
def words_in_source(path: str, constant: str) -> tuple[str, ...]:
    """Return the words of a constant such as `OPTIMISERS = ("adam", "sgd")`, also where several are assigned at once.

    path: of the file, in the root of the project.
    constant: its name.
    """
    for node in _tree(path).body:
        if isinstance(node, ast.Assign):
            (target,) = node.targets
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=True))
            for name, value in pairs:
                if isinstance(name, ast.Name) and name.id == constant:
                    return tuple(ast.literal_eval(value))
    raise LookupError(f"{path} has no {constant}")


def _tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))
