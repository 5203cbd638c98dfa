"""The sentences of a scorecard beside its verdict: what the cell is, how things were measured, and what is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from runs.console.text import counted

from .. import words
from .card import OVERALL, Card
from .cell import HIDDEN, INPUTS, About
from .panels import HUNDREDTH, reach_text
from .verdict import headline, the, verdict


class Said(NamedTuple):
    """The sentences of a page.

    title: the name of the cell. study: what the card rests on.
    headline: the verdict in one line. sentences: the same by question.
    facts: of the cell. foot: where the numbers come from.
    """

    title: str
    study: str
    headline: str
    sentences: tuple[str, ...]
    facts: tuple[str, ...]
    foot: tuple[str, ...]


def said(card: Card, about: About) -> Said:
    """Return the sentences of a card; about: the cell."""
    first = headline(card)
    tasks = [task for task in card.places["task"] if task != OVERALL]
    name = words.capital(words.spoken(card.variant))
    label = "" if words.spoken(card.variant) == card.variant else f" ({card.variant})"
    return Said(
        title=f"{name}{label}",
        study=f"Scorecard: study {card.study.name}, N = {card.points} points, "
        f"{len(tasks)} task{'s' * (len(tasks) > 1)}, {counted(int(card.places['variants'].max()), 'cell')}",
        headline=first,
        sentences=tuple(sentence for sentence in verdict(card) if sentence != first) if len(card.places) > 1 else (),
        facts=tuple(_facts(card, about)),
        foot=tuple(_foot(card)),
    )


def _facts(card: Card, about: About) -> list[str]:
    facts = []
    if about.parameters:
        layers = f" in {about.layers} layers" if about.layers > 1 else ""
        number = f"{about.parameters:,} with {INPUTS} inputs and {HIDDEN} units{layers}"
        ratio = about.parameters / about.baseline if about.baseline and not card.is_baseline else 0
        beside = f", {ratio:.2f} times those of {the(card.baseline)}" if ratio else ""
        letters = f"{about.formula}: " if about.formula and len(about.formula) < 40 else ""
        facts.append(f"Parameters: {letters}{number}{beside}.")
    if about.source:
        facts.append(f"Source: {about.source}.")
    if about.drawing is None:
        facts.append(f"No diagram: {about.why or 'the cell cannot be drawn'}.")
    return facts


def notes(card: Card) -> dict[str, str]:
    """Return what stands below a panel, or in its place where there is nothing to draw, by the name of the panel."""
    measured = card.measured
    speed = "Not measured: python -m runs.score measures it."
    if measured is not None and measured.speeds:
        row = measured.speeds[0]
        engine = "fused engine" if measured.engine == "fused" else f"{measured.engine} engine: {measured.why}"
        speed = (
            f"{row.steps} steps, {row.batch} sequences, one thread, {engine}; median (quartiles) of {row.turns} turns; "
            "below 1 is faster."
        )
    elif measured is not None and measured.notes:
        speed = f"Not measured: {'; '.join(note for note in measured.notes if note.startswith('speed'))}"
    reach = "Not measured: python -m runs.score trains the cell once more, and measures it."
    missing = [note for note in measured.notes if note.startswith("gradients")] if measured is not None else []
    if missing:
        reach = f"Not measured: {'; '.join(missing)}"
    return {
        "speed": speed,
        "reach": reach,
        "half_lags": "The study has one lag of each task, so there is no half lag." if not card.own_half_lags else "",
        "sensitivity": _sensitivity(card),
    }


def _sensitivity(card: Card) -> str:
    """Return how to read the panel of the settings, or why there is none."""
    own = card.thirds[card.thirds["variant"] == card.variant]
    if own.empty:
        return "Neither learning rate nor keep bias is searched in this study."
    what = "Share of trials solved" if card.places["solvable"].any() else "Share of trials below the floor"
    grey = "" if card.is_baseline else f"; grey: {the(card.baseline)}"
    text = f"{what} in each third of the range, all tasks together{grey}."
    missing = [] if (own["hyperparameter"] == "keep_bias").any() else ["It has no keep bias that is searched."]
    few = "Hollow: fewer than 10 points there, so there is no interval." if own["low"].isna().any() else ""
    return " ".join(filter(None, [text, *missing, few]))


def reach_lines(card: Card) -> list[str]:
    """Return where the gradients fall below a hundredth, for the variant and the baseline."""
    assert card.measured is not None
    found = [
        f"{words.spoken(reach.variant)} {reach_text(reach.start)}, trained {reach_text(reach.trained)}"
        for reach in sorted(card.measured.reaches, key=lambda reach: reach.variant != card.variant)
    ]
    grey = " (grey)" if len(found) > 1 else ""
    return [
        f"{words.capital(words.spoken(card.measured.task))}; dotted: untrained. Below {HUNDREDTH:g} of that one step "
        f"back: {'; '.join(found)}{grey}."
    ]


def _foot(card: Card) -> list[str]:
    others = int(card.places["variants"].max()) - 1
    lines = [
        f"Marks: filled, this cell; hollow, {the(card.baseline)}; grey, the other cells. Intervals: 95 %, of "
        f"differences simultaneous over the {counted(others, 'cell')} compared with a baseline, not over tasks; a "
        "mark is filled where it excludes 0. Places: those that such intervals leave possible (Mogstad et al. 2024). "
        "Half lag: trimmed Spearman-Kärber. Gradients: of the last answer's loss by the state, of the best trial, "
        "trained once more."
    ]
    about = card.study.about
    lines.append(f"Study {card.study.name}: {_origin(about)}.")
    lines += _beside_archive(about)
    if card.measured is not None:
        lines.append(f"Speed and gradients: {_origin(card.measured.facts)}.")
    return lines


def _beside_archive(about: Mapping[str, Any]) -> list[str]:
    """Return what the check of the archive said to which this cell was added; nothing where there was none."""
    sessions = [about, *(s for s in about.get("sessions") or () if isinstance(s, Mapping))]
    checked = [s["against"] for s in sessions if isinstance(s.get("against"), Mapping)]
    known: Mapping[str, Any] = checked[-1] if checked else {}
    reruns = [each for each in (known.get("check") or {}).get("reruns") or () if isinstance(each, Mapping)]
    if not reruns:
        return []
    same = sum(each.get("there") == each.get("here") for each in reruns)
    meant = "" if same == len(reruns) else ", so that paired differences lose some precision"
    return [
        f"Archive {known.get('archive', '')}, to which a cell was added: {same} of {len(reruns)} of its trials that "
        f"were run again gave the same bits{meant}."
    ]


def _origin(facts: Mapping[str, Any]) -> str:
    """Return processors, commits and days of the sessions, as far as they are on record."""
    sessions = [s for s in facts.get("sessions") or () if isinstance(s, Mapping)] or [facts]

    def each(name: str, letters: int | None = None) -> list[str]:
        return [*dict.fromkeys(str(s[name])[:letters] for s in sessions if s.get(name))]

    days = sorted(each("created", 10))
    known = {
        "processor": " and ".join(each("processor")),
        "commit": " and ".join(each("commit", 12)),
        "date": " to ".join(dict.fromkeys((*days[:1], *days[-1:]))),
    }
    return ", ".join(f"{name} {text or 'not on record'}" for name, text in known.items())


# Equations
# ----------------------------------------------------------------------------------------------------------------------

_PLAIN = ((r"\bs\(", "σ("), (r"\s?\*\s?", "·"), (r"\bsqrt\(", "√("))


def equation(text: str) -> str:
    """Return an equation in plain text in the notation of matplotlib: letters in italics, what is below them smaller.

    >>> equation("f = s(W_f x + R_f y' + b_f)")
    '$f$ = σ($W_{f}$ $x$ + $R_{f}$ $y′$ + $b_{f}$)'
    """
    for pattern, sign in _PLAIN:
        text = re.sub(pattern, sign, text)
    return re.sub(r"(?<![A-Za-zσ])([A-Za-z]\d?(?:_\w+)?|[A-Za-z]\w*_\w+)('?)(?![A-Za-z(])", _letter, text)


def _letter(found: re.Match[str]) -> str:
    name, prime = found.groups()
    letter, _, below = name.partition("_")
    letter = letter if len(letter) == 1 else rf"\mathit{{{letter}}}"
    low = f"_{{{below.replace('_', ',')}}}" if below else ""
    return f"${letter}{low}{'′' * len(prime)}$"
