"""How configurations name classes, and how a class that they name becomes an object.

A configuration may come from a file or a storage of somebody else, and importing a module runs it. So only classes are
found that are registered or imported already, and those that the user named.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from inspect import signature
from pkgutil import resolve_name
from types import ModuleType
from typing import Any, TypeVar

from ..console.known import unknown
from ..names import CLASSES

T = TypeVar("T")

OURS = ("variants", "tasks")
"""Packages whose classes are always found."""
NETWORKS = "runs.networks."
"""Begins the names of networks of this suite, which are always found as well."""

WITHOUT_KEEP_BIAS = {
    f"variants.{name}" for name in ("GRU", "GRUResetAfter", "Mut1", "Mut2", "Mut3", "NativeGRU", "NativeLSTM")
}
"""Classes that had no knob `keep_bias` in versions before 0.3.0, and started as they do now with 0."""


class NotAllowed(ValueError):
    """A file or a storage names a class that may not be imported."""


# Names
# --------------------------------------------------------------------------------------------------------------------


def target_of(cls: type[Any]) -> str:
    """Return how configurations name a class: one of ours by package and name, another one by its dotted path."""
    return present_target(f"{cls.__module__}.{cls.__qualname__}")


def ours(target: Any) -> bool:
    """Return whether a name is that of a class of this suite, which every process finds by its registered name.

    >>> ours("variants.GRU"), ours("my_package.MyCell")
    (True, False)
    """
    return isinstance(target, str) and (target.partition(".")[0] in OURS or target.startswith(NETWORKS))


def present_target(target: str) -> str:
    """Return the present name of a class; studies and archives of earlier versions also name the file that it was in.

    >>> present_target("variants.lstm.Vanilla")
    'variants.Vanilla'
    """
    parts = target.split(".")
    if target.startswith(NETWORKS):
        return f"{NETWORKS}{parts[-1]}"
    return f"{parts[0]}.{parts[-1]}" if parts[0] in OURS and len(parts) > 1 else target


def present_node(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration node with the present names of its class and its knobs.

    The knob `keep_bias` was called `forget_bias`. Classes that did not have it started as they do now with 0, so that a
    node of one of them without it says 0; a node of the present version always names it.

    >>> present_node({"_target_": "variants.lstm.Vanilla", "forget_bias": 0.5})
    {'_target_': 'variants.Vanilla', 'keep_bias': 0.5}
    >>> present_node({"_target_": "variants.GRU"})
    {'_target_': 'variants.GRU', 'keep_bias': 0.0}
    """
    target = node.get("_target_")
    if not isinstance(target, str):
        return dict(node)
    found = {**node, "_target_": present_target(target)}
    if target.partition(".")[0] == "variants" and "keep_bias" not in found:
        found = {"keep_bias" if knob == "forget_bias" else knob: value for knob, value in found.items()}
        if found["_target_"] in WITHOUT_KEEP_BIAS:
            found.setdefault("keep_bias", 0.0)
    return found


# Objects
# --------------------------------------------------------------------------------------------------------------------


def construct(node: Mapping[str, Any], kind: type[T]) -> T:
    """Return the cell, network, task or scheme that a configuration node describes: its class, called with its knobs.

    node: `_target_` is the name of the class; `label` is left out; everything else is a knob.
    kind: what the class must be a subclass of.
    Raises NotAllowed for a class that is neither found nor allowed, and ValueError for one that cannot be imported,
    is not of this kind, or does not take a knob.
    """
    cls = _class_of(node["_target_"], kind)
    knobs = {
        key: tuple(value) if isinstance(value, list | tuple) else value
        for key, value in node.items()
        if key not in ("_target_", "label")
    }
    name = node.get("label", node["_target_"])
    _refuse_unknown(knobs, cls, name)
    try:
        return cls(**knobs)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None
    except ValueError:
        raise
    except Exception as error:  # whatever a class of the user's raises
        said = str(error).strip().splitlines() or ["no message"]
        raise ValueError(f"{name} cannot be made: {type(error).__name__}: {said[0]}") from None


def _class_of(target: Any, kind: type[T]) -> type[T]:
    """Return the class that a node names."""
    what = f"{kind.__name__.lower()}: "
    found: object = _registered(target, kind) or _imported(target)
    if found is None and not _allowed(target):
        allowed = ",".join([*allowed_names(), str(target)])
        raise NotAllowed(
            f"{what}{target!r} is no class of this suite, and what a file or a storage names is not imported; where "
            f"you trust it, set {CLASSES}={shlex.quote(allowed)} in the environment or import its module first"
        )
    try:
        found = resolve_name(target) if found is None else found
    except Exception as error:  # whatever a module raises that is imported
        raise ValueError(f"{what}cannot import {target!r}: {error}") from None
    if isinstance(found, type) and issubclass(found, kind):
        return found
    raise ValueError(f"{what}{target!r} must be a subclass of {kind.__module__}.{kind.__name__}")


def _refuse_unknown(knobs: Iterable[str], cls: type[Any], name: str) -> None:
    """Raise ValueError for a knob that a class does not take.

    name: of the variant, task or scheme, for the message.
    """
    parameters = {} if cls.__init__ is object.__init__ else dict(signature(cls.__init__).parameters)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    there = [parameter for parameter in parameters if parameter != "self"]
    for knob in knobs:
        if knob not in parameters:
            raise ValueError(f"{name}: {unknown('knob', str(knob), there, 'its knobs are')}")


def _registered(target: Any, kind: type[Any]) -> type[Any] | None:
    """Return the registered class of ours that a target names, None where there is none."""
    if not ours(target):
        return None
    return next((cls for cls in kind.registry.values() if target_of(cls) == present_target(target)), None)


def _imported(target: Any) -> object | None:
    """Return what a dotted path names among the modules that are imported, None where there is no such thing.

    No code of a module is run, not even that of a module that makes its attributes when it is asked for them.
    """
    parts = target.split(".") if isinstance(target, str) else []
    for cut in range(len(parts) - 1, 0, -1):
        module: ModuleType | None = sys.modules.get(".".join(parts[:cut]))
        if module is not None:
            return _below(module, parts[cut:])
    return None


def _below(found: object | None, names: Iterable[str]) -> object | None:
    for name in names:
        found = vars(found).get(name) if hasattr(found, "__dict__") else None
    return found


# What the user allows
# --------------------------------------------------------------------------------------------------------------------


def allow(targets: Iterable[str]) -> None:
    """Let `construct` import some classes, in this process and those that it starts.

    A class whose module is imported here is allowed as well: in a process that is started from here it is not imported.

    targets: dotted paths that the user gave, by command or configuration; classes of ours need no permission.
    """
    known = allowed_names()
    new = [target for target in targets if _needs_permission(target) and target not in known]
    if new:
        os.environ[CLASSES] = ",".join([*known, *dict.fromkeys(new)])


def _needs_permission(target: Any) -> bool:
    if not isinstance(target, str) or not target or "," in target:
        return False
    return not ours(target)


def allowed_names() -> list[str]:
    """Return the dotted paths of classes and packages that may be imported."""
    return [name for name in os.environ.get(CLASSES, "").split(",") if name]


def _allowed(target: Any) -> bool:
    if not isinstance(target, str):
        return False
    return any(target == name or target.startswith((f"{name}.", f"{name}:")) for name in allowed_names())
