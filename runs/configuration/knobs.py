"""Which knobs of a class a configuration node sets, and which are only the defaults that Hydra has filled in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tasks import Task
from variants import Cell, Scheme, knobs_of

from ..networks import Network
from ..trial.classes import present_target, target_of
from .equations import TEXTS

GROUPS: dict[str, type[Any]] = {"variant": Cell, "network": Network, "task": Task, "initialisation": Scheme}


def default_knobs(cls: type[Any]) -> dict[str, Any]:
    """Return the knobs of a class with their defaults as a configuration writes them: a list instead of a tuple."""
    return {name: _plain(knob.default) for name, knob in knobs_of(cls).items()}


def knobs_given(node: Mapping[str, Any], cls: type[Any]) -> dict[str, Any]:
    """Return the knobs of a configuration node that are not the defaults of a class, in the order of the node.

    node: `_target_`, `label` and knobs, lists and tuples being the same.
    cls: the class whose defaults are left out.

    >>> from variants import Vanilla
    >>> knobs_given({"_target_": "variants.Vanilla", "peepholes": ["i"], "keep_bias": 1.0}, Vanilla)
    {'peepholes': ['i']}
    """
    defaults = default_knobs(cls)
    knobs = {knob: value for knob, value in node.items() if knob not in ("_target_", "label")}
    return {k: v for k, v in knobs.items() if k not in defaults or _plain(v) != defaults[k]}


def for_its_class(
    group: str, node: Mapping[str, Any], choice: str | None, asked: Collection[str] = ()
) -> dict[str, Any]:
    """Return a node without the knobs that belong to the choice whose `_target_` it has replaced.

    `variant=vanilla variant._target_=my_package.MyCell` composes all knobs of `vanilla`. Of these the node of MyCell
    keeps those that were set. Its label becomes the name of its own class. A node of a registered class gets the
    defaults of the knobs that it does not name.

    Equations lose the space around them, as YAML ends a text of several lines with a newline.

    group: variant, network, task or initialisation.
    node: the composed node.
    choice: the choice of the group that the node was composed from; None if it is not known.
    asked: keys of the command line, such as `variant.keep_bias`; these knobs were set, whatever their value.
    """
    registry = GROUPS[group].registry
    node = {knob: value.strip() if knob in TEXTS and isinstance(value, str) else value for knob, value in node.items()}
    target = present_target(node["_target_"])
    if choice not in registry or target == target_of(registry[choice]):
        return _complete(node, registry)
    given = knobs_given(node, registry[choice])
    kept = {k: v for k, v in node.items() if k in ("_target_", "label", *given) or f"{group}.{k}" in asked}
    if node["label"] == choice:
        names = {target_of(cls): name for name, cls in registry.items()}
        kept["label"] = names.get(target, target.rpartition(".")[2])
    return _complete(kept, registry)


def _complete(node: Mapping[str, Any], registry: Mapping[str, type[Any]]) -> dict[str, Any]:
    """Return a node with all knobs of its class, where that is registered."""
    target = present_target(node["_target_"])
    found = next((cls for cls in registry.values() if target_of(cls) == target), None)
    return {**node} if found is None else {**node, **{k: v for k, v in default_knobs(found).items() if k not in node}}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
