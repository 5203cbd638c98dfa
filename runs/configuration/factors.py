"""The variants of a study with `factors`: one cell in all combinations of some levels of its knobs, or a fraction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..console.known import unknown
from ..names import checked_name
from ..rules import require, require_one_of
from ..study.design import Node
from ..study.factors import FIRST_LETTERS, NO, YES, Factors, combined
from ..trial.classes import construct
from .knobs import GROUPS
from .nodes import labelled, variant_node

IMPOSSIBLE = ("refuse", "leave_out")
USUAL_BASELINE = "vanilla"  # of a study that names none


def factorial(
    entries: Any, factors: Any, fraction: Any, impossible: str, baseline: str
) -> tuple[dict[str, Node], Factors, str]:
    """Return the variants of a study with factors by their labels, the factors, and the baseline.

    entries: `variants` of the study, which must be the one variant whose knobs the factors are.
    factors: name of a knob to its values, or any name to levels by their names, each with the knobs that it sets.
    fraction: 1 for all combinations, 2 for half of those of the factors with two levels, and so on.
    impossible: refuse, or leave_out for combinations that the class of the variant refuses.
    baseline: as the study names it; the variant with the first level of each factor where it is not one of them.

    Raises ValueError for a factor, a level or a fraction that is none, and for combinations that no cell can have.
    """
    rule = "factors must be names with levels, as in {output_gate: [true, false]}"
    require(isinstance(factors, dict) and len(factors) > 0, rule, factors)
    rule = "variants must be one variant with factors, the one whose knobs these are, as in variants=[modular_lstm]"
    require(isinstance(entries, list) and len(entries) == 1, rule, entries)
    require(isinstance(fraction, int) and not isinstance(fraction, bool), "fraction must be a whole number", fraction)
    require_one_of("impossible", impossible, IMPOSSIBLE)
    node = variant_node(entries[0])
    levels = {checked_name(name, "name of a factor"): _levels(name, own, node) for name, own in factors.items()}
    _refuse_twice(levels)
    combinations, generators, resolution = combined({name: tuple(own) for name, own in levels.items()}, fraction)
    nodes: dict[str, Node] = {}
    cells: dict[str, tuple[str, ...]] = {}
    left_out: dict[tuple[str, ...], str] = {}
    for choice in combinations:
        knobs = {k: v for (_, own), level in zip(levels.items(), choice, strict=True) for k, v in own[level].items()}
        label = checked_name(f"{node['label']}_{_code(levels, choice)}", "label of a combination of factors")
        try:
            construct({**node, **knobs}, GROUPS["variant"])
        except ValueError as error:
            left_out[choice] = str(error)
            continue
        nodes[label], cells[label] = {**node, **knobs, "label": label}, choice
    if left_out and impossible == "refuse":
        _refuse(left_out, levels, len(combinations))
    first = combinations[0]
    require(first not in left_out, f"factors: the first levels must be a cell ({left_out.get(first)})", first)
    found = Factors(
        levels={name: tuple(own) for name, own in levels.items()},
        cells=cells,
        fraction=fraction,
        generators=generators,
        left_out=tuple(left_out),
        resolution=resolution,
    )
    groups = [(effect.name, *effect.aliases) for effect in found.effects if effect.aliases] if fraction > 1 else []
    named = baseline if baseline in nodes or baseline != USUAL_BASELINE else next(iter(nodes))
    return nodes, replace(found, aliases=tuple(groups)), named


def _levels(name: str, own: Any, node: Node) -> dict[str, dict[str, Any]]:
    """Return the knobs that each level of a factor sets, by the name of the level."""
    rule = f"factors.{name} must be at least two different levels, as in [true, false]"
    require(isinstance(own, list | dict) and len(own) > 1, rule, own)
    if isinstance(own, list):
        given = {_name(value): {name: value} for value in own}
        require(len(given) == len(own), rule, own)
    else:
        given = {_name(level): knobs for level, knobs in own.items()}
    known = [knob for knob in node if knob not in ("_target_", "label")]
    for level, knobs in given.items():
        require(isinstance(knobs, dict), f"factors.{name}.{level} must be knobs, as in {{coupled: true}}", knobs)
        for knob in knobs:
            if knob not in known:
                raise ValueError(f"factors.{name}: {unknown('knob', str(knob), known, 'the knobs are')}")
    return {level: _checked(knobs, node) for level, knobs in given.items()}


def _checked(knobs: Mapping[str, Any], node: Node) -> dict[str, Any]:
    """Return the values of knobs as the class of a variant takes them."""
    target, label = str(node["_target_"]), str(node["label"])
    names = [name for name, cls in GROUPS["variant"].registry.items() if target.endswith(f".{cls.__name__}")]
    if not names or not knobs:
        return dict(knobs)
    whole = labelled("variant", label, {"variant": names[0], **knobs})
    return {knob: whole[knob] for knob in knobs}


def _name(value: Any) -> str:
    return {True: YES, False: NO}[value] if isinstance(value, bool) else str(value)


def _refuse_twice(levels: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Raise ValueError where two factors set the same knob."""
    setter: dict[str, str] = {}
    for name, own in levels.items():
        for knob in dict.fromkeys(knob for knobs in own.values() for knob in knobs):
            rule = f"factors.{name} must set other knobs than factors.{setter.get(knob)}"
            require(setter.setdefault(knob, name) == name, rule, knob)


def _refuse(left_out: Mapping[tuple[str, ...], str], levels: Mapping[str, Any], of: int) -> None:
    """Raise ValueError for combinations that no cell can have, naming the first of them."""
    choice, why = next(iter(left_out.items()))
    levels_of_it = ", ".join(f"{name}={level}" for name, level in zip(levels, choice, strict=True))
    raise ValueError(
        f"factors: {len(left_out)} of {of} combinations exclude themselves, the first is {levels_of_it} ({why}); "
        "impossible=leave_out leaves these out"
    )


def _code(levels: Mapping[str, Mapping[str, Any]], choice: tuple[str, ...]) -> str:
    """Return a short name of a combination: a letter for each part that it has, `-` for one that it lacks.

    A level of a factor that is no such part stands with its name.
    """
    parts, taken = [""], set[str]()
    for (name, own), level in zip(levels.items(), choice, strict=True):
        if {*own} != {YES, NO}:
            parts += [level, ""]
            continue
        letters = [FIRST_LETTERS.get(name, ""), *name, "x"]
        letter = next((c for c in letters if c.isalpha() and c not in taken), "x")
        taken.add(letter)
        parts[-1] += letter if level == YES else "-"
    return "_".join(part for part in parts if part)
