"""What the first screen of the page says: what a search has found, how sure that is, and what the controls say."""

from __future__ import annotations

from pathlib import Path

from runs.arguments import command
from runs.console.text import counted
from runs.discovery.plan import MUTATION, RANDOM, START

from ..words import listed, spoken
from .search import Search, Standing
from .shares import many
from .verdict import Verdict


def headline(search: Search, verdict: Verdict | None) -> str:
    """Return one sentence on what was found."""
    if not search.best:
        return "No cell has passed all gates yet." if unfinished(search) else "No cell has passed all gates."
    best = search.best[0].score
    if verdict is None or not verdict.found:
        if best <= max([1.0, *search.names]):
            return f"No cell stands out from the GRU in the search; the best one reaches {best:.2f} of it."
        return f"The best cell reaches {best:.2f} of the GRU in the search; whether that is luck is not known yet."
    better = [row for row in verdict.found if row.better and not row.worse]
    cells = counted(len(verdict.found), "cell")
    so_far = "" if verdict.finished else ", as far as their study has run"
    if not better:
        return f"None of the best {cells} is better than the GRU with fresh points and seeds{so_far}."
    return (
        f"{len(better)} of the best {cells} {'is' if len(better) == 1 else 'are'} better than the GRU somewhere, "
        f"and nowhere worse, with fresh points and seeds{so_far}."
    )


def sentences(search: Search, verdict: Verdict | None) -> list[str]:
    """Return the sentences below the headline."""
    said = [_tried(search)]
    if search.best:
        said += [_score(search.best[0], search)]
    said += [_noise(search)] if search.names else []
    said += [_random(search)]
    said += [_known(search)]
    said += [_unsure(search)] if verdict is None else _sure(verdict)
    return [sentence for sentence in said if sentence]


def unfinished(search: Search) -> bool:
    """Return whether candidates of the plan are still to be tried."""
    return len(search.table) < search.plan.length


def _tried(search: Search) -> str:
    counts = {arm: len(search.new(arm)) for arm in (MUTATION, RANDOM)}
    tasks = listed([spoken(task) for task in search.plan.tasks])
    said = f"{counts[MUTATION]:,} mutants and {counts[RANDOM]:,} random cells were tried on {tasks}."
    if unfinished(search):
        said += f" The search is not finished: {len(search.table):,} of {search.plan.length:,} candidates were tried."
    return said


def _score(best: Standing, search: Search) -> str:
    task = min(best.ratios, key=lambda name: best.ratios[name])
    points = counted(best.evaluations * search.plan.points, "point")
    return (
        f"The score of a cell is the smallest of its ratios to the best GRU at the same points; that of the best one, "
        f"{best.score:.3f}, is from {spoken(task)}, at {points}."
    )


def _noise(search: Search) -> str:
    """Return how much of a score is noise: the GRU under other names, which the search did not choose."""
    low, high, names = search.names[-1], search.names[0], len(search.names)
    said = f"The GRU itself, entered under {counted(names, 'other name')}, reaches {low:.2f} to {high:.2f}"
    if not search.best:
        return f"{said}: so much is noise."
    above = sum(each.score > high for each in search.best)
    if not above:
        return f"{said}: no cell lies above what the GRU reaches by luck."
    found = len(search.best)
    return (
        f"{said}. Of {many(found, 'scored mutant')} {above} {'lies' if above == 1 else 'lie'} above that; but among "
        f"so many, luck goes further than among {names}."
    )


def _random(search: Search) -> str:
    last = search.random[-1] if search.random else []
    new = len(search.new(RANDOM))
    if not new:
        return ""
    cells = many(new, "random cell")
    if not last:
        return f"Of {cells} none passed all gates: what mutation finds, it has learned."
    best = f"The best of {cells} reaches {last[0].score:.2f}"
    if not search.best:
        return f"{best}."
    more = search.best[0].score - last[0].score
    if more <= 0:
        return f"{best}, which is no less than what mutation finds."
    return f"{best}, {more:.2f} less than the best mutant."


def _known(search: Search) -> str:
    """Return the scores of the cells that the search was given, without the GRU, whose score is 1."""
    shares = [f"{spoken(label)} {each.score:.2f}" for label, each in search.known.items() if each.arm == START]
    return f"Known cells in the same search: {listed(shares)}." if shares else ""


def _unsure(search: Search) -> str:
    if not search.best:
        return ""
    return (
        "All these are scores of a search: the best of many, at few points, which luck flatters. Nothing here says "
        "that a cell is better than the GRU; a study with fresh points and seeds can say so."
    )


def following(search: Search, verdict: Verdict | None, results: Path) -> str:
    """Return the command that comes next: the verdict; empty where there is one, or nothing to confirm.

    results: folder of all studies.
    """
    if verdict is not None or not search.best:
        return ""
    return command("runs.discover", results=results, name=search.name, action="verdict")


def _sure(verdict: Verdict) -> list[str]:
    """Return sentences on the study of the verdict."""
    confirmed = [row for row in verdict.found if row.confirmed is not None]
    said = []
    if confirmed:
        first = confirmed[0]
        sentence = f"The best confirmed score is {first.confirmed:.2f}, of {first.key}"
        if first.search is not None:
            sentence += f", which had {first.search:.2f} in the search"
        said.append(f"{sentence}.")
    if verdict.optimism is not None and verdict.optimism > 0:
        said.append(f"On average the search promised {verdict.optimism:.2f} more than was kept: the winner's curse.")
    better, worse, neither = (
        sum(getattr(row, name) for row in verdict.found) for name in ("better", "worse", "neither")
    )
    said.append(
        f"Study {verdict.study}, {counted(verdict.points, 'point')} a cell, compared these cells with the GRU, on each "
        f"task in ease and in quality: {better} times better, {worse} times worse, {neither} times no difference is "
        "shown. The 95 % intervals hold for all cells of a task together, not for all tasks."
    )
    return said
