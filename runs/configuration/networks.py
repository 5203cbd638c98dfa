"""The networks of a study: every variant stands in each of them, and what stands in another one is a variant too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ..console.known import one_of
from ..names import checked_name
from ..rules import require
from ..study.design import Node
from ..study.factors import Factors
from ..trial.trial import READER
from .nodes import labelled, node_from

CELL, NETWORK = "cell", "network"
"""The factors of a study with several networks."""


class Crossed(NamedTuple):
    """The variants of a study with networks: their nodes, the networks around them, the factors and the baseline."""

    variants: Mapping[str, Node]
    networks: Mapping[str, Node]
    factors: Factors | None
    baseline: str


def network_nodes(entries: Any) -> dict[str, Node]:
    """Return the networks of a study by their labels.

    entries: names, dotted paths of classes of your own, or labels with knobs, as in `{attention: {score: product}}`.

    Raises ValueError for anything else, and for two of the same label.
    """
    rule = "networks must be a list, as in [reader, {attention: {score: product}}]"
    require(isinstance(entries, list) and len(entries) > 0, rule, entries)
    found: dict[str, Node] = {}
    for entry in entries:
        if isinstance(entry, dict) and len(entry) == 1:
            ((label, knobs),) = entry.items()
            node = labelled("network", str(label), knobs)
        else:
            require(isinstance(entry, str) and entry != "", rule, entry)
            node = node_from("network", entry, {}, None)
        label = checked_name(node["label"], "label of a network")
        require(label not in found, "networks must be different", label)
        found[label] = node
    return found


def crossed(variants: Mapping[str, Node], entries: Any, factors: Factors | None, baseline: str) -> Crossed:
    """Return every variant in every network.

    A variant in the reader keeps its label; `gru` in another network is `gru_<network>`. With several networks a study
    has the factors cell and network, or the network beside its own factors.

    variants: label to configuration node. entries: `networks` of the study.
    factors: of the variants, where they are combinations of parts.
    baseline: as the study names it: one of the variants means that in the first network.

    Raises ValueError as `network_nodes` does, for two variants of the same label, and for a baseline that is none.
    """
    networks = network_nodes(entries)
    if list(networks.values()) == [READER]:
        return Crossed(dict(variants), {}, factors, baseline)
    names: dict[tuple[str, str], str] = {}
    for variant in variants:
        for network, node in networks.items():
            label = variant if node == READER else f"{variant}_{network}"
            rule = f"networks: {variant} in {network} must have a label of its own"
            require(label not in names.values(), rule, label)
            names[variant, network] = checked_name(label, f"networks: label of {variant} in {network}")
    nodes = {label: {**variants[variant], "label": label} for (variant, _), label in names.items()}
    around = {label: networks[network] for (_, network), label in names.items() if networks[network] != READER}
    first = names[baseline, next(iter(networks))] if baseline in variants else baseline
    if first not in nodes:
        raise ValueError(one_of("baseline", first, list(nodes), "the variants "))
    return Crossed(nodes, around, _factors(names, baseline, factors), first)


def _factors(names: Mapping[tuple[str, str], str], baseline: str, factors: Factors | None) -> Factors | None:
    """Return the factors of variants in networks; None where there is one network only."""
    networks = tuple(dict.fromkeys(network for _, network in names))
    if factors is not None:
        rule = "networks must be one network with a fraction of the factors"
        require(factors.fraction == 1 or len(networks) == 1, rule, list(networks))
        cells = {label: (*factors.cells[variant], network) for (variant, network), label in names.items()}
        left_out = tuple((*choice, network) for choice in factors.left_out for network in networks)
        if len(networks) == 1:
            return replace(factors, cells={label: levels[:-1] for label, levels in cells.items()})
        return replace(factors, levels={**factors.levels, NETWORK: networks}, cells=cells, left_out=left_out)
    if len(networks) == 1:
        return None
    variants = dict.fromkeys(variant for variant, _ in names)
    ordered = tuple(sorted(variants, key=lambda variant: variant != baseline))  # the baseline has the first level
    if len(ordered) == 1:
        return Factors(levels={NETWORK: networks}, cells={label: (network,) for (_, network), label in names.items()})
    return Factors(levels={CELL: ordered, NETWORK: networks}, cells={label: own for own, label in names.items()})
