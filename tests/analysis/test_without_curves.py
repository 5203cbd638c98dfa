"""An archive without learning curves: what needs them says so, and everything else has the same numbers."""

import pandas as pd
import pytest

from analysis.explorer.data import content
from analysis.figures import gallery
from analysis.figures.gallery import draw_all, without_curves
from analysis.report.notices import urgent
from analysis.report.report import Report
from analysis.study import Study
from analysis.tables.gaps import gaps
from runs.record.archive import Archive
from runs.record.rows import tidy
from runs.record.shipping import ship
from tests.analysis.real import chorales
from tests.analysis.synthetic import TWENTY, as_study, study

SENTENCE = (
    "The archive of this study holds no learning curves: they are in synthetic.curves.parquet, and are read where that "
    "file lies beside the archive."
)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Returns the study that is read from the shipped archive of a study."""

    def read(rows, values):
        path = tmp_path_factory.mktemp("shipped") / "a.parquet"
        ship(Archive.of(tidy(rows), values), path)
        return Study.read(path)

    return read


@pytest.fixture(scope="module")
def curveless(bare):
    return bare(*study(("vanilla", "gru"), points=6))


def test_the_gaps_of_a_training_set_are_the_same(bare):
    whole = chorales()
    pd.testing.assert_frame_equal(gaps(bare(*whole)), gaps(as_study(*whole)), check_exact=True)


def test_losses_are_limited_by_the_same_loss_before_training(bare):
    rows, values = chorales(("greff_v", "greff_nfg"))
    without = {key: value for key, value in values.items() if key != "baselines"}
    assert bare(rows, without).goals == as_study(rows, without).goals
    assert bare(rows, without).goals["chorales"].limit > 40  # nats per step, of untrained networks


def test_why_there_is_no_curve_is_one_sentence(curveless):
    assert curveless.curveless == SENTENCE
    assert as_study(*study(("vanilla",), points=3)).curveless == ""
    assert as_study(*study(("vanilla",), points=3, failed=1.0)).curveless == (
        "No trial of this study has a learning curve."
    )


@pytest.mark.parametrize("whole", [True, False])
def test_figures_of_curves_are_drawn_only_where_there_are_some(bare, whole, tmp_path, monkeypatch):
    made = chorales(("greff_v", "greff_nfg"), points=12)
    shown = as_study(*made) if whole else bare(*made)
    monkeypatch.setattr(gallery, "FIGURES", [entry for entry in gallery.FIGURES if entry.of_curves])
    drawn = draw_all(shown, {"gaps": gaps(shown)}, tmp_path)
    titles = [entry.title for entry in gallery.FIGURES]
    assert titles == ["Learning curves", "Training and validation loss"]
    assert ([figure.figure.title for figure in drawn], without_curves(shown)) == (
        (titles, []) if whole else ([], titles)
    )


def test_the_report_says_which_figures_are_not_drawn(curveless, tmp_path):
    html = Report(study=curveless, figures=[], verdicts=[], claims=None).html(tmp_path)
    assert f"Not drawn: Learning curves. {SENTENCE}" in html


def test_the_explorer_says_why_there_is_no_curve(curveless):
    assert content(curveless, lambda trials: [""] * len(trials))["curveless"] == SENTENCE


def test_a_report_names_the_few_pairs_that_lack_trials():
    rows, values = study(("vanilla", "gru"), points=6)
    part = as_study([row for row in rows if row["variant"] == "vanilla" or row["point"] < 4], values)
    assert "The study is not complete: 10 of 12 trials have been run. Missing: 2 of gru on adding." in urgent(part)


def test_a_report_counts_the_trials_that_many_pairs_lack():
    rows, values = study(TWENTY[:7], points=3)
    part = as_study([row for row in rows if row["point"] < 2], values)
    assert "The study is not complete: 14 of 21 trials have been run." in urgent(part)
