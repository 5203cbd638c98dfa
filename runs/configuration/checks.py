"""Refuses unknown keys and arguments that have no effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from ..console.known import unknown
from ..console.source import key_of
from .knobs import GROUPS
from .schema import plain

HAVE_KEYS = {"model", "training", "tracking", "storage", "confirm", "horizon", "space", "tasks", "factors", *GROUPS}


def refuse_unread(config: DictConfig, schema: type[Any]) -> None:
    """Raise ValueError for a key that was added to a configuration and is not read.

    It is also raised for a value where there should be keys.
    Classes with a `_target_` are not looked at: they refuse themselves what they do not take.

    schema: the dataclass whose fields are the keys.
    """
    _refuse_other_keys(config, schema, "")
    for name in map(str, config):
        if OmegaConf.is_missing(config, name):
            continue
        node = config[name]
        if name == "tasks" and (node is None or config.get("against")):
            continue  # none, or names of those of an archive
        if name == "factors" and node is None:
            continue
        if not isinstance(node, DictConfig):
            if name in HAVE_KEYS:
                raise ValueError(f"{name} must have keys, as in {name}.<key>=<value>, got {plain(node)!r}")
            continue
        kind = OmegaConf.get_type(node)
        if is_dataclass(kind) and "_target_" not in node:
            _refuse_other_keys(node, kind, f"{name}.")


def _refuse_other_keys(node: DictConfig, schema: type[Any], above: str) -> None:
    names = [key_of(f.name) for f in fields(schema)]
    for key in map(str, node):
        if key not in names:
            raise ValueError(unknown("key", key, names, "the keys are", above))


def by_key(overrides: Sequence[str]) -> dict[str, str]:
    """Return the arguments by the keys that they set.

    `training.momentum` is set by `training.momentum=0.5` and by `training={momentum: 0.5}`.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return {
        key: str(override.input_line)
        for override in parsed
        for key in _keys(override.key_or_group, None if override.is_sweep_override() else override.value())
    }


def _keys(key: str, value: Any) -> Iterator[str]:
    yield key
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _keys(f"{key}.{name}", below)


def refuse_idle(config: DictConfig, asked: Mapping[str, str]) -> None:
    """Raise ValueError for an argument of a trial or a study that has no effect given the others.

    asked: the arguments by the keys that they set, see `by_key`.
    """
    if not config.results:
        raise ValueError("results must name a folder, got ''")
    momentum = asked.get("training.momentum")
    optimiser = config.training.optimiser
    if momentum and optimiser != "nesterov":
        raise ValueError(f"{momentum}: is read with training.optimiser=nesterov only, got {optimiser}")
    for idle in (asked.get("training.budget"), asked.get("training.evaluations")):
        if idle and config.training.epochs > 0:
            raise ValueError(f"{idle}: is read with training.epochs=0 only, got {config.training.epochs}")
    confirmations, criterion = asked.get("training.confirmations"), config.training.criterion
    if confirmations and criterion == "training":
        raise ValueError(f"{confirmations}: is read with training.criterion=held_out only, got {criterion}")
    uri = asked.get("tracking.uri")
    if uri and not config.tracking.enabled:
        raise ValueError(f"{uri}: is read where MLflow is written only, got tracking.enabled=false")
