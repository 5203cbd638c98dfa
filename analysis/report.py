"""The report of a study: one HTML file that needs no network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .claims import CLAIMS, UNTESTED
from .compare import FEWEST_FOR_INFERENCE, comparable
from .gallery import Shown
from .summary import baseline_of, cells, order

if TYPE_CHECKING:
    from jinja2 import Environment

Design = Mapping[str, Any]
LARGEST_SVG = 200_000  # bytes; beyond it the report holds a PNG of 256 colours, so that it stays small enough for a phone

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
    stages: Sequence[Mapping[str, Any]] = (),
    best: pd.DataFrame | None = None,
) -> Path:
    """Write the report; returns its path.

    figures: drawn and saved, in order; they are embedded. verdicts: sentences computed from the numbers. claims: of `claims.held_against`.
    stages: of `stages.sections`. best: of `stages.best_configurations`.
    """
    tested = [] if claims is None else [row for row in claims.to_dict("records") if row["verdict"] != UNTESTED]
    numbers = cells(table, design)
    variants, tasks, baseline = order(table, design, "variant"), order(table, design, "task"), baseline_of(table, design)
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
            comparable=comparable(design),
            notices=_notices(table, design, numbers, planned),
            verdicts=verdicts,
            claims=tested,
            untested=0 if claims is None else len(claims) - len(tested),
            stages=stages,
            best=None if best is None else _best(best),
            few=bool((numbers["trials"] < 20).any()),
            columns=[{"title": title, "text": form == ""} for _, title, form in COLUMNS],
            rows=[_row(record, baseline) for record in numbers.to_dict("records")],
            groups=[
                {"title": title, "figures": [_figure(shown, path.parent) for shown in group]}
                for title, group in groupby(figures, key=lambda shown: shown.title)
            ],
            commands=_commands(facts),
            space=_space(design),
            training=sorted((k, _plain(v)) for k, v in _flat(design.get("training") or {})),
            versions=_versions(design),
        )
    )
    path.write_text(text, encoding="utf-8")
    return path


def render_claims(results: Path) -> Path:
    """Write `claims.html` beside the studies: every claim, and what each study that was analysed says of it."""
    found = [pd.read_csv(path, keep_default_na=False).assign(study=path.parent.name) for path in sorted(Path(results).glob("*/claims.csv"))]
    every = pd.concat(found) if found else pd.DataFrame(columns=["source", "claim", "verdict", "evidence", "study"])
    tested = every[every["verdict"] != UNTESTED]
    by_claim = {key: list(rows.to_dict("records")) for key, rows in tested.groupby(["claim", "source"])}
    groups = [{"claim": c.text, "source": c.source, "rows": by_claim.get((c.text, c.source), [])} for c in CLAIMS]
    path = Path(results) / "claims.html"
    path.write_text(_environment().get_template("claims.html.jinja").render(groups=groups), encoding="utf-8")
    return path


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


def _notices(table: pd.DataFrame, design: Design, numbers: pd.DataFrame, planned: int) -> list[str]:
    """What a reader must know before the numbers."""
    notices = []
    if not comparable(design):
        notices.append("This is a search: each variant got trials of its own or had some cut short. Nothing here compares variants.")
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
    ran = numbers["trials"][numbers["trials"] > 0]
    if len(ran) and ran.max() < FEWEST_FOR_INFERENCE:
        notices.append(f"With at most {ran.max()} trials per variant and task nothing can be concluded from differences between variants.")
    absent = numbers[numbers["trials"] == 0]
    if len(absent):
        pairs = ", ".join(f"{r['variant']} on {r['task']}" for r in absent.head(6).to_dict("records"))
        notices.append(f"Without any trial: {pairs}{' and others' if len(absent) > 6 else ''}.")
    return notices


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


def _best(best: pd.DataFrame) -> dict[str, list[Any]]:
    """Headings and rows of the table of best configurations."""
    names = [c for c in best.columns if c not in ("point", "runs", "solved", "lowest", "highest")]
    titles = {"hidden_size": "width", "search_score": "score in the search", "median": "median score, fresh seeds (range)"}
    rows = []
    for row in best.to_dict("records"):
        shown = [f"{row[c]:.3g}" if isinstance(row[c], float) else str(row[c]) for c in names[:-1]]
        spread = f"{row['median']:.2f} ({row['lowest']:.2f}–{row['highest']:.2f})"
        rows.append([*shown, spread, f"{row['solved']} of {row['runs']}"])
    return {"columns": [*(titles.get(c, c) for c in names), "solved"], "rows": rows}


def _figure(shown: Shown, folder: Path) -> dict[str, Any]:
    image, kind = shown.file("svg").read_bytes(), "svg+xml"
    if len(image) > LARGEST_SVG:
        image, kind = _small_png(shown.file("png")), "png"
    uri = f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
    links = [path.relative_to(folder).as_posix() for path in shown.files if path.is_relative_to(folder)]
    return {
        "name": shown.name,
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
    checkout = f"git checkout {str(facts['commit']).rstrip('+')}" if facts["commit"] else ""
    stages = [str(stage["command"]) for stage in (facts.get("stages") or {}).values() if stage.get("command")]
    lines = [checkout, str(facts["command"]), *stages, f"python -m analysis from=results/{name}/trials.parquet"]
    return "\n".join(line for line in lines if line)


def _space(design: Design) -> list[dict[str, str]]:
    rows = []
    for name, node in (design.get("space") or {}).items():
        kinds = ["log-uniform" if node.get("log") else "uniform"]
        kinds += ["whole numbers"] if node.get("integer") else []
        kinds += [f"drawn as 1 - {name}"] if node.get("complement") else []
        rows.append({"name": name, "low": _plain(node["low"]), "high": _plain(node["high"]), "scale": ", ".join(kinds)})
    return rows


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
