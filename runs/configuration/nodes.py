"""The configuration nodes of a study's variants, tasks and hyperparameters, from what a user writes for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..console.known import unknown
from ..rules import require
from ..study.plan import require_key
from ..study.space import Dimension
from ..trial.classes import allow, construct
from ..trial.trial import Model, Training
from .knobs import GROUPS, default_knobs, for_its_class
from .mistakes import one_line
from .schema import node_of, plain

KINDS: dict[str, tuple[str, tuple[type[Any], ...]]] = {  # type of a field of Dimension: how it is called, what it takes
    "str": ("a key of the trial", (str,)),
    "float": ("a number", (int, float)),
    "bool": ("true or false", (bool,)),
}


def variant_node(entry: Any) -> dict[str, Any]:
    """Return the configuration of an entry of `variants`.

    entry: the name of a choice; the dotted path of a class of your own; or a label with knobs, written like the tasks
        of a study: `{gru_wide: {variant: gru, <knob>: <value>}}`.

    Raises ValueError for anything else, and for a name or a knob that does not exist.
    """
    if isinstance(entry, dict) and len(entry) == 1:
        ((label, knobs),) = entry.items()
        return labelled("variant", str(label), knobs)
    example = "{no_bias: {variant: vanilla, keep_bias: 0}}"
    rule = f"must be a name, the dotted path of a class, or a label with knobs, as in {example}"
    require(isinstance(entry, str) and entry != "", f"each of the variants {rule}", entry)
    return node_from("variant", entry, {}, None)


def variant_nodes(entries: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
    """Return the configuration of each entry of `variants` by its label.

    Raises ValueError as `variant_node` does, and where two have the same label.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for node in map(variant_node, entries):
        label = str(node["label"])
        if label in found:
            other = f"{{{label}_2: {{variant: {label}, <knob>: <value>}}}}"
            advice = f"with other knobs and a name of its own it is {other}"
            raise ValueError(f"variants must be different, got {label!r} twice; {advice}")
        found[label] = node
    return found


def labelled(group: str, label: str, knobs: Any) -> dict[str, Any]:
    """Return the configuration of a variant or a task that a study names as `label: {<group>: choice, knob: value}`.

    group: variant or task.
    label: what the study calls it; also the choice, if the knobs do not name one.
    knobs: a mapping of the knobs that are set, or None.
    """
    has_knobs = knobs is None or isinstance(knobs, dict)
    require(has_knobs, f"{group}s: {label} must have knobs, as in {{{label}: {{<knob>: <value>}}}}", knobs)
    given = dict(knobs or {})
    choice = given.pop(group, label)
    rule = f"{group}s.{label}.{group} must be a name or the dotted path of a class"
    require(isinstance(choice, str) and choice != "", rule, choice)
    return node_from(group, choice, given, label)


def node_from(group: str, choice: str, given: Mapping[str, Any], label: str | None) -> dict[str, Any]:
    """Return the configuration of a choice with knobs.

    group: variant or task.
    choice: a name, or the dotted path of a class of your own, which may be imported from now on.
    given: knobs that are set; the others have the defaults of the class.
    label: what it is called; None for the name of the class.

    Raises ValueError for a choice that does not exist, for a knob that the class does not have, and for a value that
    the knob does not take.
    """
    if "." in choice:
        allow([choice])
        cls = type(construct({"_target_": choice, "label": label or choice, **given}, GROUPS[group]))
        name = label or vars(cls).get("name") or cls.__name__  # a class of your own does not inherit a name
        return {"_target_": choice, "label": name, **default_knobs(cls), **given}
    config = _composed(group, choice)
    allow([str(config.get("_target_", ""))])  # a preset of the user's own may name a class of theirs
    knobs = [str(knob) for knob in config if knob not in ("_target_", "label")]
    for knob, value in given.items():
        if knob not in knobs:
            raise ValueError(f"{group} {label}: {unknown('knob', str(knob), knobs, 'its knobs are')}")
        try:
            config[knob] = value
        except OmegaConfBaseException as error:
            raise ValueError(f"{group} {label}: {knob}={value}: {one_line(error)}") from None
    node = for_its_class(group, plain(config), choice)
    return node if label is None else {**node, "label": label}


def _composed(group: str, choice: str) -> DictConfig:
    """Return the node of a choice.

    A study names its variants and tasks in a list, of which Hydra composes nothing. A name that is a registered class
    needs no Hydra. A preset may be built from other presets, which only Hydra can follow: it is composed like the
    `<group>=<choice>` of a single trial, which takes a tenth of a second.
    """
    cls = GROUPS[group].registry.get(choice)
    sources = GlobalHydra.instance().config_loader().get_sources()
    is_preset = any(s.is_config(f"{group}/{choice}") for s in sources if s.scheme() != "structured")
    if cls is not None and not is_preset:
        return DictConfig(OmegaConf.structured(node_of(cls, choice)))
    node = compose("trial", overrides=[f"{group}={choice}"])[group]
    assert isinstance(node, DictConfig)
    return node


def dimension(name: str, node: Any) -> Dimension:
    """Return a dimension of the space of hyperparameters.

    name: of the hyperparameter.
    node: a mapping of the fields of `Dimension`.

    Raises ValueError for a field that is unknown, missing or of the wrong type, and for a range that does not fit the
    key of the trial that it sets.
    """
    known = {f.name: f for f in fields(Dimension)}
    require(isinstance(node, dict), f"space.{name} must have keys ({', '.join(known)})", node)
    for key, value in node.items():
        if key not in known:
            raise ValueError(f"space.{name}: {unknown('key', str(key), list(known), 'the keys are')}")
        called, types = KINDS[str(known[key].type)]
        fits = isinstance(value, types) and isinstance(value, bool) == (types == (bool,))
        require(fits, f"space.{name}.{key} must be {called}", value)
    missing = [key for key, f in known.items() if f.default is MISSING and key not in node]
    require(not missing, f"space.{name} must have {', '.join(missing)}", node)
    found = Dimension(**node)
    require_key(found.key)
    _refuse_other_numbers(name, found)
    return found


def _refuse_other_numbers(name: str, found: Dimension) -> None:
    """Raise ValueError unless a range is of the kind of numbers that its key of the trial takes."""
    part, _, knob = found.key.partition(".")
    if not found.knob:  # `runs.study.plan.Search` checks the knobs of variants
        # model.zoneout takes a number, or numbers by field
        kinds = {f.name: str(f.type).partition(" | ")[0] for f in fields({"model": Model, "training": Training}[part])}
        require(kinds[knob] in ("int", "float"), f"space.{name}.key must be that of a number", found.key)
        whole = kinds[knob] == "float" or found.integer
        require(whole, f"space.{name}.integer must be true for {found.key}", found.integer)
    for end, value in (("low", found.low), ("high", found.high)):
        fits = not found.integer or float(value).is_integer()
        require(fits, f"space.{name}.{end} must be a whole number for {found.key}", value)
