"""The report of a study: one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from runs.files import write_whole

from .. import words
from ..figures.effect_matrix import ALL_LOSSES
from ..figures.gallery import TWO_STUDIES, Shown, without_curves
from ..figures.marginals import FIGURE as MARGINALS
from ..figures.pairs import FIGURE as PAIRS
from ..figures.shares import FIGURE as SHARES
from ..statistics.anova import FEWEST
from ..statistics.endpoints import SEARCH
from ..study import Study
from ..tables.claim_rules import UNTESTED, answered
from ..tables.comparisons import MARGIN
from ..tables.conditions import conditions, starts
from ..tables.edges import edges
from ..tables.settings import NARROW, recommended
from ..tables.two_studies import TwoStudies
from . import reproduction
from .answer import answer, found_sentences, title
from .archived import of_archive
from .change_sentences import change_sentences, counted_changes
from .claims import ABOUT, by_paper, may_differ
from .condition_sentences import (
    condition_sentences,
    conditions_table,
    start_sentences,
    starts_table,
    without_conditions,
)
from .difference_tables import evidence, lag_evidence
from .effect_tables import parts_of
from .notices import notices, planned, urgent
from .pages import page
from .pictures import groups, picture
from .stage_sentences import Section
from .tables import baselines_table, best_table, settings_table, summary_table, two_studies_table
from .terms import TERMS

OF_LOSSES = (
    "On a task without a criterion of success the loss of the best decile is the mean test loss of the trials with "
    "the lowest validation losses, in the unit of the task; a loss above that of the best constant answer counts as "
    "that loss, and so does a missing one (where no such answer is on record, the median loss before training stands "
    "for it). Diverged and exploded trials count; failed ones, in which the program broke, do not. Score: 0 is the "
    "best model without memory, 1 the reference. Expected loss: that of the best trial of a search of 20, or of all "
    "where there are fewer."
)
MAP_OF_LOSSES = (
    "Which variant reaches the lowest test loss? The darker a cell, the lower the loss. It is the mean test loss of "
    "the best tenth of the trials, chosen by their validation loss; the palest cell stands for the floor, the loss of "
    "the best model without memory, the darkest for the reference. Whether a difference is more than chance, the "
    "intervals of the evidence say."
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a report shows; everything but the study may be left out.

    study: the study.
    figures: drawn and saved, in their order; they are embedded.
    verdicts: sentences of `report.sentences`.
    claims: of `tables.claims`.
    both: the comparison with a second study.
    settings: of `tables.settings`; computed where it is not given.
    stages: of `report.stage_sentences`.
    best: the best configurations, of `tables.stages`.
    absent: titles of the figures that are left out, by the command that makes what they need.
    on_request: titles of the figures that a large study gets on request, by the command that draws them.
    edges: of `tables.edges`; computed where it is not given.
    conditions: of `tables.conditions`; computed where it is not given.
    lags: sentences of `report.lag_sentences`.
    comparisons: of `tables.comparisons`; None where the variants are not compared.
    lag_tables: of `tables.lags`, by name.
    cells: drawings of the cells as SVG, by variant.
    effects: of `tables.effects`; None in a study without factors.
    latent: sentences of `report.bound_sentences`.
    """

    study: Study
    figures: Sequence[Shown] = ()
    verdicts: Sequence[str] = ()
    claims: pd.DataFrame | None = None
    both: TwoStudies | None = None
    settings: pd.DataFrame | None = None
    stages: Sequence[Section] = ()
    best: pd.DataFrame | None = None
    absent: Mapping[str, Sequence[str]] = field(default_factory=dict)
    on_request: Mapping[str, Sequence[str]] = field(default_factory=dict)
    edges: pd.DataFrame | None = None
    conditions: pd.DataFrame | None = None
    lags: Sequence[str] = ()
    comparisons: pd.DataFrame | None = None
    lag_tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    cells: Mapping[str, str] = field(default_factory=dict)
    effects: pd.DataFrame | None = None
    latent: Sequence[str] = ()

    def write(self, path: Path) -> Path:
        """Write the report as one file that needs no other; returns its path.

        path: of the file. Figures whose files lie in its folder are linked, too.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, self.html(path.parent))
        return path

    def summary(self) -> dict[str, Any]:
        """Return what the index of all studies says of this one, see `report.index.write_summary`."""
        study = self.study
        return {
            "title": title(study),
            "found": " ".join(found_sentences(study, self.comparisons, self.effects)),
            "variants": study.variants if study.design.factors is None else list(study.design.factors.levels),
            "tasks": list(study.series),
            "trials": len(study.table),
            "date": str(study.about.get("created", ""))[:10],
        }

    def html(self, folder: Path) -> str:
        """Return the text of the file; folder: the one that it will be in."""
        found = edges(self.study) if self.edges is None else self.edges
        table = self._conditions_of(found)
        explorer = (folder / "explorer.html").is_file()
        parts = (
            self._head(found),
            {"answer": answer(self.study, self.comparisons, table, self.effects)},
            self._figures(folder),
            self._conditions(table),
            self._claims(),
            self._settings(),
            self._reproduction(),
            parts_of(self.study, self.effects),
        )
        pairwise = self.study.design.factors is None
        compared = self.comparisons if pairwise else self._beside()
        return page(
            "report.html.jinja",
            **{name: value for part in parts for name, value in part.items()},
            explorer=explorer,
            verdicts=[*(self.verdicts if pairwise else []), *self.latent],
            lag_sentences=self.lags if pairwise else [],
            evidence=evidence(self.study, compared),
            beside=self.study.beside,
            lag_evidence=lag_evidence(self.study, self.lag_tables) if pairwise else [],
            both=self._two_studies(folder),
            solving=any(map(self.study.solvable, self.study.tasks)),
            losses="" if all(map(self.study.solvable, self.study.tasks)) else OF_LOSSES,
            stages=self.stages,
            best=None if self.best is None else best_table(self.best),
            summary=summary_table(self.study, explorer=explorer),
            baselines=baselines_table(self.study),
            search=SEARCH,
            few=bool((self.study.summary["trials"] < SEARCH).any()),
            terms=TERMS,
            cells=self.cells,
            pairwise=pairwise,
            spoken=words.spoken,
            the=words.the,
            capital=words.capital,
        )

    def _beside(self) -> pd.DataFrame | None:
        """Return the comparisons of the cells beside the combinations of a study with factors."""
        found = self.comparisons
        return None if found is None else found[found["variant"].isin(self.study.beside)]

    def _conditions_of(self, found: pd.DataFrame) -> pd.DataFrame | None:
        """Return the table of conditions; None where the variants cannot be compared at all."""
        if not self.study.comparable or self.study.trials.empty:
            return None
        return conditions(self.study, found) if self.conditions is None else self.conditions

    def _figures(self, folder: Path) -> dict[str, Any]:
        """Return the figures of each part of the report, and what is not drawn."""
        own = [shown for shown in self.figures if shown.figure.name != TWO_STUDIES.name]
        first = [shown for shown in own if shown.figure.part == "answer"]
        if not any(map(self.study.solvable, self.study.tasks)):
            caption = MAP_OF_LOSSES if self.study.design.factors is None else ALL_LOSSES
            first = [replace(shown, words=caption) for shown in first]
        more = [shown for shown in own if shown.figure.part not in ("answer", "evidence")]
        return {
            "map": [picture(shown, folder, plain=True) for shown in first],
            "shown": groups([shown for shown in own if shown.figure.part == "evidence"], folder),
            "groups": groups(more, folder),
            "enough": FEWEST,
            "absent": self.absent,
            "on_request": self.on_request,
            "without_curves": ", ".join(without_curves(self.study)),
            "unexplained": self._unexplained(),
        }

    def _unexplained(self) -> str:
        """Return titles of the figures that need more trials of a variant on a task; empty for none."""
        most = int(self.study.summary["trials"].max()) if len(self.study.summary) else 0
        if most >= FEWEST or not self.study.hyperparameters:
            return ""
        return ", ".join(entry.title for entry in (MARGINALS, SHARES, PAIRS))

    def _head(self, found: pd.DataFrame) -> dict[str, Any]:
        study = self.study
        return {
            "study": study,
            "done": len(study.table),
            "planned": planned(study),
            "archived": of_archive(study),
            "created": study.about.get("created", ""),
            "commit": study.about.get("commit", ""),
            "notices": notices(study, found),
            "urgent": urgent(study),
            "knobs": {task: reproduction.knobs(study, task) for task in study.tasks},
            "lags": {task: reproduction.knobs(study, task, "lag") for task in study.tasks},
        }

    def _conditions(self, table: pd.DataFrame | None) -> dict[str, Any]:
        """Return what the study can answer; None where there is no table of conditions."""
        if table is None:
            return {"conditions": None}
        study, started = self.study, starts(self.study)
        return {
            "conditions": {
                "sentences": [
                    *condition_sentences(table),
                    *filter(None, [without_conditions(study)]),
                    *start_sentences(study, started),
                ],
                "table": conditions_table(table),
                "lags": bool((started["lag"] > 0).any()),
                "starts": None if started.empty else starts_table(study, started),
            }
        }

    def _claims(self) -> dict[str, Any]:
        rows: list[dict[Any, Any]] = [] if self.claims is None else self.claims.fillna("").to_dict("records")
        rows.sort(key=lambda row: not answered(row["verdict"]))
        tested = by_paper(row for row in rows if row["verdict"] != UNTESTED)
        return {
            "claims_by_paper": [{"source": source, "rows": own} for source, own in tested.items()],
            "may_differ": may_differ,
            "untested": [row for row in rows if row["verdict"] == UNTESTED],
            "about": ABOUT,
            "verdicts_on_claims": _counted([row["verdict"] for row in rows]),
            "margin": MARGIN,
            "highest": max([int(count) for count in self.study.summary["trials"]], default=0),
        }

    def _settings(self) -> dict[str, Any]:
        settings = recommended(self.study) if self.settings is None else self.settings
        return {
            "settings": settings_table(self.study, settings),
            "narrow": NARROW,
            "again": [command for command in settings["command"] if command],
        }

    def _two_studies(self, folder: Path) -> dict[str, Any] | None:
        if self.both is None:
            return None
        return {
            "study": self.both.study,
            "other": self.both.other,
            "counted": counted_changes(self.both),
            "sentences": change_sentences(self.both),
            "settings": self.both.settings.to_dict("records"),
            "figures": [picture(shown, folder) for shown in self.figures if shown.figure.name == TWO_STUDIES.name],
            "table": two_studies_table(self.both),
        }

    def _reproduction(self) -> dict[str, Any]:
        return {
            "commands": reproduction.commands(self.study.about, self.study.name),
            "space": reproduction.space(self.study),
            "training": reproduction.settings(self.study),
            "versions": reproduction.versions(self.study),
        }


def _counted(verdicts: Sequence[str]) -> str:
    """Return how many claims have each verdict; those that are not tested are not counted."""
    counts = pd.Series([v for v in verdicts if v != UNTESTED], dtype=object).value_counts()
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
