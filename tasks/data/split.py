"""Splits a data set into parts so that nearly equal items stay together."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence

from ..task import PARTS


def shuffled(names: Sequence[str], seed: int) -> list[int]:
    """Return a permutation that depends on the names and a seed only: on no version of a library.

    names: all different.
    seed: any whole number.

    Returns the places of the names, ordered by the SHA-256 of seed and name.

    >>> shuffled(["a", "b", "c"], seed=0)
    [1, 0, 2]
    """
    return sorted(range(len(names)), key=lambda place: hashlib.sha256(f"{seed} {names[place]}".encode()).digest())


def similar(contents: Sequence[frozenset[Hashable]], threshold: float) -> list[int]:
    """Group items that share much with one another, directly or through others.

    contents: what each item holds.
    threshold: two items belong together where the one with fewer things shares more than this part of them.

    Returns for each item the place of the first item of its group.

    >>> similar([frozenset("abcd"), frozenset("xyz"), frozenset("abce"), frozenset("cef")], 0.6)
    [0, 1, 0, 0]
    """
    holders: dict[Hashable, list[int]] = {}
    first = list(range(len(contents)))

    def root(item: int) -> int:
        while first[item] != item:
            item = first[item]
        return item

    for item, content in enumerate(contents):
        shared: dict[int, int] = {}
        for thing in content:
            for other in holders.setdefault(thing, []):
                shared[other] = shared.get(other, 0) + 1
            holders[thing].append(item)
        for other, count in shared.items():
            if count > threshold * min(len(content), len(contents[other])):
                one, two = sorted((root(item), root(other)))
                first[two] = one
    return [root(item) for item in range(len(contents))]


def split(
    task: str, names: Sequence[str], groups: Sequence[Hashable], seed: int, shares: Sequence[float] = (0.6, 0.2, 0.2)
) -> dict[str, list[int]]:
    """Deal groups of items out to the parts.

    task: for the message.
    names: of the items, all different.
    groups: to which group each item belongs; a group is never divided.
    seed: of the permutation of the groups.
    shares: of all items that train, validation and test get. A group that is dealt out whole may make a part larger.

    Returns the items of each part, in the order of a permutation of the items.
    Raises ValueError where a part is left empty.

    >>> split("digits", list("abcdefghij"), list("0011223344"), seed=0)
    {'train': [8, 4, 6, 9, 7, 5], 'validation': [1, 0], 'test': [2, 3]}
    """
    leaders: dict[Hashable, str] = {}
    for name, group in zip(names, groups, strict=True):
        leaders.setdefault(group, name)
    members: dict[Hashable, list[int]] = {group: [] for group in leaders}
    for item, group in enumerate(groups):
        members[group].append(item)
    keys = list(leaders)
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    dealt, part = 0, 0
    for place in shuffled(list(leaders.values()), seed):
        while part < 2 and dealt >= round(len(names) * sum(shares[: part + 1])):
            part += 1
        parts[PARTS[part]] += members[keys[place]]
        dealt += len(members[keys[place]])
    if empty := [part for part, items in parts.items() if not items]:
        raise ValueError(
            f"{task}: every part must have an item, but {', '.join(empty)} got none of {len(names)} in {len(keys)} "
            "groups of nearly equal items"
        )
    order = {item: place for place, item in enumerate(shuffled(names, seed))}
    return {part: sorted(items, key=order.__getitem__) for part, items in parts.items()}
