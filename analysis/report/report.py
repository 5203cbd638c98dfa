"""The report of a study: one HTML file that needs no network."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from runs.arguments import on_record
from runs.files import write_whole

from ..figures.gallery import BESIDE, Shown
from ..figures.plots import forest_texts, units
from ..statistics.endpoints import ENDPOINTS
from ..study import Study
from ..tables.claims import CLAIMS, MARGIN, UNTESTED
from ..tables.comparisons import FEWEST_FOR_INFERENCE
from ..tables.settings import BEST, NARROW, recommended
from ..tables.summary import baseline_of, cells, order
from ..tables.two_studies import ADVANTAGE, TwoStudies
from .change_sentences import change_sentences

if TYPE_CHECKING:
    from jinja2 import Environment

Design = Mapping[str, Any]
# bytes; beyond it the report holds a PNG of 256 colours, so that it stays small enough for a phone
LARGEST_SVG = 200_000

COLUMNS: list[tuple[str, str, str]] = [  # column of `cells`, heading, format
    ("task", "task", ""),
    ("variant", "variant", ""),
    ("trials", "N", "d"),
    ("solved", "solved", "d"),
    ("diverged", "diverged", "d"),
    ("failed", "failed", "d"),
    ("solve_rate", "solve rate, 95 % interval", ".0%"),
    ("restricted_steps", "steps to solve", ",.0f"),
    ("decile_score", "score, best decile", ".3f"),
    ("expected_best_20", "expected best of 20", ".3f"),
    ("decile_loss", "loss, best decile", ".3g"),
    ("decile_parameters", "parameters, best decile", ",.0f"),
    ("seconds", "seconds per trial", ".3g"),
]


def render(
    table: pd.DataFrame,
    design: Design,
    figures: Sequence[Shown],
    path: Path,
    verdicts: Sequence[str] = (),
    claims: pd.DataFrame | None = None,
    beside: TwoStudies | None = None,
    settings: pd.DataFrame | None = None,
    absent: Mapping[str, Sequence[str]] | None = None,
    stages: Sequence[Mapping[str, Any]] = (),
    best: pd.DataFrame | None = None,
) -> Path:
    """Write the report; returns its path.

    figures: drawn and saved, in order; they are embedded. verdicts: sentences computed from the numbers. claims: of
    `claims.held_against`.
    beside: a second study. settings: of `recommend.recommended`, computed here where it is not given.
    absent: titles of figures that are left out, by the command that makes what they need.
    stages: of `stages.sections`. best: of `stages.best_configurations`.
    """
    held = [] if claims is None else claims.to_dict("records")
    tested, untested = ([row for row in held if (row["verdict"] == UNTESTED) == left] for left in (False, True))
    numbers = cells(table, design)
    variants, tasks, baseline = (
        order(table, design, "variant"),
        order(table, design, "task"),
        baseline_of(table, design),
    )
    settings = recommended(Study.of(table, design)) if settings is None else settings
    facts = {"name": "unnamed", "created": "", "commit": "", "command": "", **design}
    planned = len(variants) * len(tasks) * int(design.get("points") or table["point"].max() + 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = (
        _environment()
        .get_template("report.html.jinja")
        .render(
            design=facts,
            variants=variants,
            tasks=tasks,
            baseline=baseline,
            done=len(table),
            planned=planned,
            comparable=Study.of(table, design).comparable,
            notices=_notices(table, design, numbers, planned),
            verdicts=verdicts,
            claims=tested,
            untested=untested,
            margin=MARGIN,
            highest=max([int(n) for n in numbers["trials"]], default=0),
            stages=stages,
            best=None if best is None else _best(best),
            few=bool((numbers["trials"] < 20).any()),
            columns=[{"title": title, "text": form == ""} for _, title, form in COLUMNS],
            rows=[_row(record, baseline) for record in numbers.to_dict("records")],
            groups=[
                {"title": title, "figures": [_figure(shown, path.parent) for shown in group]}
                for title, group in groupby((f for f in figures if f.group != BESIDE), key=lambda shown: shown.title)
            ],
            beside=_beside(beside, [_figure(f, path.parent) for f in figures if f.group == BESIDE]) if beside else None,
            settings=_settings(settings, design),
            narrow=NARROW,
            again=[r for r in settings[["task", "variant", "command"]].to_dict("records") if r["command"]],
            absent=absent or {},
            commands=_commands(facts),
            space=_space(design),
            knobs={t: ", ".join(f"{k} {_plain(v)}" for k, v in _knobs(design, t)) for t in tasks},
            lags={t: ", ".join(f"{k} {_plain(v)}" for k, v in _knobs(design, t) if k == "lag") for t in tasks},
            training=_training(table, design),
            versions=_versions(design),
        )
    )
    write_whole(path, text)
    return path


def render_claims(results: Path) -> Path:
    """Write `claims.html` beside the studies: every claim, and what each study that was analysed says of it."""
    columns = ["source", "claim", "verdict", "evidence"]
    found = [pd.DataFrame(columns=[*columns, "study"])]
    for csv in sorted(Path(results).glob("*/claims.csv")):
        try:
            found.append(pd.read_csv(csv, keep_default_na=False)[columns].assign(study=csv.parent.name))
        except (ValueError, KeyError, OSError) as error:
            print(
                f"{csv} is left out of claims.html: {type(error).__name__}; python -m analysis study=... writes it anew",
                file=sys.stderr,
            )
    every = pd.concat(found)
    tested = every[every["verdict"] != UNTESTED]
    by_claim = {key: list(rows.to_dict("records")) for key, rows in tested.groupby(["claim", "source"])}
    groups = [
        {"claim": c.text, "source": c.source, "rows": by_claim.get((c.text, c.source), []), "studies": c.studies}
        for c in CLAIMS
    ]
    path = Path(results) / "claims.html"
    write_whole(path, _environment().get_template("claims.html.jinja").render(groups=groups, margin=MARGIN))
    return path


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )


def _notices(table: pd.DataFrame, design: Design, numbers: pd.DataFrame, planned: int) -> list[str]:
    """What a reader must know before the numbers."""
    notices = []
    if not Study.of(table, design).comparable:
        notices.append(
            "This is a search: each variant got trials of its own or had some cut short. Nothing here compares variants."
        )
    if len(table) < planned:
        notices.append(f"The study is not complete: {len(table)} of {planned} trials have been run.")
    failed = table[table["status"] == "failed"]
    if len(failed):
        kinds = failed["error"].map(lambda text: (text.strip().splitlines() or ["no message"])[-1]).value_counts()
        shown = "; ".join(f"{count} × {message[:160]}" for message, count in kinds.head(3).items())
        more = f" and {len(kinds) - 3} other messages" if len(kinds) > 3 else ""
        notices.append(
            f"{len(failed)} trials failed, that is, the program broke in them; they are left out of all statistics: {shown}{more}."
        )
    notices += _sessions(table, design)
    notices += [
        f"The eager engine ran {count} trials of {variant}, several times as slowly as the fused one would: {reason}."
        for (variant, reason), count in table[table["why_eager"] != ""]
        .groupby(["variant", "why_eager"], sort=False)
        .size()
        .items()
    ]
    ran = numbers["trials"][numbers["trials"] > 0]
    if len(ran) and ran.max() < FEWEST_FOR_INFERENCE:
        notices.append(
            f"With at most {ran.max()} trials per variant and task nothing can be concluded from differences between variants."
        )
    absent = numbers[numbers["trials"] == 0]
    if len(absent):
        pairs = ", ".join(f"{r['variant']} on {r['task']}" for r in absent.head(6).to_dict("records"))
        notices.append(f"Without any trial: {pairs}{' and others' if len(absent) > 6 else ''}.")
    return notices


def _sessions(table: pd.DataFrame, design: Design) -> list[str]:
    """What to say where trials ran under different code, versions or processors."""
    from runs.record.facts import changes

    sessions, counts = design.get("sessions") or [], table["session"].value_counts().sort_index()
    ran = [(k, sessions[k]) for k in counts.index if k < len(sessions)]
    different = [(k, changed) for k, facts in ran[1:] if (changed := changes(ran[0][1], facts))]
    if not different:
        return []
    shown = "; ".join(f"{counts[k]} trials in session {k} ({', '.join(changed)})" for k, changed in different[:3])
    more = f"; and {len(different) - 3} other sessions" if len(different) > 3 else ""
    return [
        "The study went on under other code, versions or on another processor than it began with, so that its numbers may differ in the "
        f"last bits or more: {shown}{more}. The column session of the archive says which trial ran in which."
    ]


def _row(record: Mapping[str, Any], baseline: str | None) -> dict[str, Any]:
    cells_of_row = []
    for column, _, form in COLUMNS:
        value = record.get(column)
        missing = value is None or (isinstance(value, float) and not np.isfinite(value))
        if missing:
            shown, value = "–", ""
        elif column == "solve_rate":
            shown = f"{100 * value:.0f} % ({100 * record['solve_low']:.0f}–{100 * record['solve_high']:.0f})"
        else:
            shown = format(value, form) if form else str(value)
        cells_of_row.append({"value": value, "shown": shown, "text": form == ""})
    return {"cells": cells_of_row, "baseline": record["variant"] == baseline}


def _cell(value: Any, form: str, shown: str | None = None) -> dict[str, Any]:
    """A cell of a table: its value for sorting, and what is read."""
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return {"value": "", "shown": "–", "text": form == ""}
    return {"value": value, "shown": shown or (format(value, form) if form else str(value)), "text": form == ""}


def _settings(settings: pd.DataFrame, design: Design) -> dict[str, Any]:
    """The table of recommended settings: the best trial of each pair in a row, with the scores of the next ones."""
    names = [n for n in (design.get("space") or {}) if n in settings]
    titles = [
        "task",
        "variant",
        *(n.replace("_", " ") for n in names),
        "width",
        "parameters",
        "score",
        "steps to solve",
    ]
    titles += [f"score of the {place}" for place in ("second", "third")[: BEST - 1]] + ["best of N"]
    rows = []
    for (task, variant), own in settings.groupby(["task", "variant"], sort=False):
        best, next_ones = own.iloc[0], own["score"].tolist()[1:]
        row = [_cell(task, ""), _cell(variant, "")]
        for n in names:
            low, high = (_short(best[f"{n}_{end}"]) for end in ("low", "high"))
            row.append(_cell(float(best[n]), ".3g", f"{_short(best[n])} ({low}–{high})"))
        row += [
            _cell(int(best["hidden_size"]), "d"),
            _cell(int(best["parameters"]), ",d"),
            _cell(float(best["score"]), ".3f"),
        ]
        row += [
            _cell(float(best["solved_step"]), ",.0f"),
            *(_cell(float(x), ".3f") for x in [*next_ones, np.nan, np.nan][: BEST - 1]),
        ]
        rows.append([*row, _cell(int(best["trials"]), "d")])
    return {"titles": [{"title": t, "text": k < 2} for k, t in enumerate(titles)], "rows": rows}


def _short(value: float) -> str:
    """Two significant digits in as few characters as can be."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"


def _beside(beside: TwoStudies, figures: list[dict[str, Any]]) -> dict[str, Any]:
    """What the section on a second study shows."""
    rows = []
    for row in beside.pairs[beside.pairs["primary"]].to_dict("records"):
        endpoint = ENDPOINTS[row["endpoint"]]
        scale, form, unit = units(endpoint)
        signed = format if row["what"] != ADVANTAGE else (lambda x, f: format(x, f"+{f}").replace("-", "−"))
        shown = forest_texts(pd.Series(row), scale, form)
        rows.append(
            [
                *(_cell(row[c], "") for c in ("task", "variant")),
                _cell("its advantage" if row["what"] == ADVANTAGE else "itself", ""),
                _cell(f"{endpoint.title}{', %' if unit == ' %' else ''}", ""),
                *(_cell(row[c], form, signed(scale * row[c], form)) for c in ("study", "other")),
                _cell(row["difference"], form, shown[0]),
                _cell(row["p_holm"], ".3f", shown[1]),
                _cell(row["points"], "d", f"{row['points']} {'paired' if row['paired'] else 'unpaired'}"),
                _cell(row["same_outcome"] / row["pairs"] if row["pairs"] else None, ".0%"),
                _cell(row["time"], ".2f", f"{row['time']:.2f} [{row['time_low']:.2f}, {row['time_high']:.2f}]"),
            ]
        )
    titles = [
        "task",
        "variant",
        "what",
        "endpoint",
        beside.study,
        beside.other,
        "difference [95 %]",
        "p, Holm",
        "N",
        "same outcome",
        "time per step",
    ]
    return {
        "study": beside.study,
        "other": beside.other,
        "sentences": change_sentences(beside),
        "settings": beside.settings.to_dict("records"),
        "figures": figures,
        "titles": [{"title": t, "text": k < 4} for k, t in enumerate(titles)],
        "rows": rows,
    }


def _best(best: pd.DataFrame) -> dict[str, list[Any]]:
    """Headings and rows of the table of best configurations."""
    names = [c for c in best.columns if c not in ("point", "runs", "solved", "lowest", "highest")]
    titles = {
        "hidden_size": "width",
        "search_score": "score in the search",
        "median": "median score, fresh seeds (range)",
    }
    rows = []
    for row in best.to_dict("records"):
        shown = {c: f"{row[c]:.3g}" if isinstance(row[c], float) else str(row[c]) for c in names[:-1]}
        shown["search_score"] = f"{row['search_score']:.3f}"
        spread = f"{row['median']:.2f} ({row['lowest']:.2f}–{row['highest']:.2f})"
        rows.append([*shown.values(), spread, f"{row['solved']} of {row['runs']}"])
    return {"columns": [*(titles.get(c, c.replace("_", " ")) for c in names), "solved"], "rows": rows}


def _figure(shown: Shown, folder: Path) -> dict[str, Any]:
    image, kind = shown.file("svg").read_bytes(), "svg+xml"
    if len(image) > LARGEST_SVG:
        image, kind = _small_png(shown.file("png")), "png"
    uri = f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
    links = [path.relative_to(folder).as_posix() for path in shown.files if path.is_relative_to(folder)]
    return {
        "name": shown.name,
        "title": shown.title,
        "task": shown.task,
        "caption": shown.caption,
        "uri": uri,
        "links": links,
        "width": round(shown.width * 110),
    }


def _small_png(path: Path) -> bytes:
    """A picture in 256 colours, a third of its size."""
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def _commands(facts: Mapping[str, Any]) -> str:
    name = facts["name"]
    commit = re.fullmatch(r"([0-9a-f]{7,40})\+?", str(facts["commit"]))
    checkout = f"git checkout {commit[1]}" if commit else ""
    stages = [on_record(stage.get("command")) for stage in (facts.get("stages") or {}).values()]
    lines = [checkout, on_record(facts["command"]), *stages, f"python -m analysis from=results/{name}/trials.parquet"]
    return "\n".join(line for line in lines if line)


def _space(design: Design) -> list[dict[str, str]]:
    rows = []
    for name, node in (design.get("space") or {}).items():
        kinds = ["log-uniform" if node.get("log") else "uniform"]
        kinds += ["whole numbers"] if node.get("integer") else []
        kinds += [f"drawn as 1 - {name}"] if node.get("complement") else []
        rows.append({"name": name, "low": _plain(node["low"]), "high": _plain(node["high"]), "scale": ", ".join(kinds)})
    return rows


def _knobs(design: Design, task: str) -> list[tuple[str, Any]]:
    """The knobs of a task, where the design says them."""
    nodes = design.get("tasks")
    node = nodes.get(task) if isinstance(nodes, Mapping) else None
    return [(k, v) for k, v in (node or {}).items() if k not in ("_target_", "label")]


def _training(table: pd.DataFrame, design: Design) -> list[tuple[str, str]]:
    """How models were built and trained; what the points set is called searched."""
    searched = {node.get("key") for node in (design.get("space") or {}).values()}
    pairs = [("engine that ran", ", ".join(sorted(set(table["engine"]) - {""})) or "–")]
    pairs += [(key, _plain(design[key])) for key in ("match", "sampler", "seed") if key in design]
    for part in ("initialisation", "model", "training"):
        for key, value in _flat(design.get(part) or {}):
            if key != "_target_":
                name = part if key == "label" else key if part == "training" else f"{part}.{key}"
                pairs.append((name, "searched" if f"{part}.{key}" in searched else _plain(value)))
    return pairs


def _versions(design: Design) -> list[tuple[str, str]]:
    pairs = [("code", str(design.get("commit") or "unknown"))]
    pairs += [(key, str(design[key])) for key in ("python", "machine") if design.get(key)]
    return pairs + sorted((str(k), str(v)) for k, v in (design.get("versions") or {}).items())


def _flat(node: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in node.items():
        pairs += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return pairs


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
