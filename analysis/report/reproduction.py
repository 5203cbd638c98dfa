"""How to make a study again: its commands, search space, settings and versions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from runs.arguments import on_record
from runs.names import checked_name
from runs.study.design import flat

from ..study import Study
from .archived import archived

Pairs = list[tuple[str, str]]


def commands(about: Mapping[str, Any], name: str) -> str:
    """Return the commands that check out the code, run the study with its stages, and analyse it, a line each.

    Those of the archive that variants were added to come first.

    about: facts stored with the trials, see `Study`; commands that are not those of this suite are left out.
    name: of the study.
    """
    stages = [on_record(stage.get("command")) for stage in (about.get("stages") or {}).values()]
    analysis = f"python -m analysis from=results/{name}/trials.parquet"
    return "\n".join(line for line in (*_of_archive(about), *_of_session(about), *stages, analysis) if line)


def _of_session(facts: Mapping[str, Any]) -> tuple[str, str]:
    """Return the command that checks out the code of a session, and its own; empty where they are not on record."""
    commit = re.fullmatch(r"([0-9a-f]{7,40})\+?", str(facts.get("commit", "")))
    return f"git checkout {commit[1]}" if commit else "", on_record(facts.get("command", ""))


def _of_archive(about: Mapping[str, Any]) -> list[str]:
    """Return the commands that made the archive that variants were added to, with remarks; none where there is none."""
    known, sessions = archived(about), about.get("sessions") or []
    if not known or len(sessions) < 2:
        return []
    made = f"# the archive {checked_name(known['archive'], 'name of an archive')} was made by"
    return [made, *_of_session(sessions[1]), "# and what was added to it by"]


def space(study: Study) -> list[dict[str, str]]:
    """Return the search space: name, low, high and scale of each hyperparameter."""
    rows = []
    for name, range_ in study.design.space.items():
        kinds = ["log-uniform" if range_.log else "uniform"]
        kinds += ["whole numbers"] if range_.integer else []
        kinds += [f"drawn as 1 - {name}"] if range_.complement else []
        rows.append({"name": name, "low": plain(range_.low), "high": plain(range_.high), "scale": ", ".join(kinds)})
    return rows


def knobs(study: Study, task: str, only: str = "") -> str:
    """Return the knobs of a task as text, such as `lag 50`; only: the name of one knob."""
    node = study.design.tasks.get(task) or {}
    kept = {k: v for k, v in node.items() if k not in ("_target_", "label") and (not only or k == only)}
    kept = {k: v for k, v in kept.items() if v is not None and v != ""}
    return ", ".join(f"{k} {plain(v)[:12] if k == 'sha256' else plain(v)}" for k, v in kept.items())


def settings(study: Study) -> Pairs:
    """Return how models were built and trained; a hyperparameter of the search space is called searched."""
    design = study.design
    pairs = [("engine that ran", ", ".join(sorted(set(study.table["engine"]) - {""})) or "–")]
    pairs += [("match", design.match), ("sampler", design.sampler), ("seed", str(design.seed))]
    return [*pairs, *_parts(study)]


def _parts(study: Study) -> Iterator[tuple[str, str]]:
    searched = {range_.key for range_ in study.design.space.values()}
    values = study.design.as_dict()
    for part in ("initialisation", "model", "training"):
        for key, value in (flat(values[part]) if values[part] else {}).items():
            if key != "_target_":
                title = key if part == "training" else f"{part}.{key}"
                name = part if key == "label" else title
                yield name, "searched" if f"{part}.{key}" in searched else plain(value)


def versions(study: Study) -> Pairs:
    """Return commit, Python, machine and versions of the packages."""
    about = study.about
    pairs = [("code", str(about.get("commit") or "unknown"))]
    pairs += [(key, str(about[key])) for key in ("python", "machine") if about.get(key)]
    return pairs + sorted((str(k), str(v)) for k, v in (about.get("versions") or {}).items())


def plain(value: Any) -> str:
    """Return a setting as text.

    >>> plain(0.0001), plain(50), plain("adam")
    ('0.0001', '50', 'adam')
    """
    return f"{value:g}" if isinstance(value, float) else str(value)
