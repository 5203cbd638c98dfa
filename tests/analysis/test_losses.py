"""Tasks without a criterion of success, which their test loss decides: tables, sentences and figures."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from analysis import run
from analysis.figures import boxes, forest, heat_map, learning_curves, over_fitting, two_studies
from analysis.figures.gallery import FIGURES
from analysis.goals import Goal, goals_of
from analysis.report.condition_sentences import without_conditions
from analysis.report.gap_sentences import gap_sentences
from analysis.report.notices import notices
from analysis.report.sentences import verdicts
from analysis.report.tables import baselines_table, settings_table, summary_table
from analysis.statistics.endpoints import ENDPOINTS
from analysis.tables.claims import held_against
from analysis.tables.comparisons import FLOOR, NOTHING_LEARNED, comparisons, verdict_of
from analysis.tables.conditions import conditions
from analysis.tables.gaps import gaps
from analysis.tables.importance import COLUMNS, outcomes
from analysis.tables.lags import several
from analysis.tables.settings import recommended
from analysis.tables.two_studies import changes
from runs.record import tracking
from runs.record.archive import write_values
from runs.record.baselines import FILE, identity, write_baselines
from tests.analysis.real import BASELINES, chorale_study, chorales, losses_by_hand, mixed
from tests.analysis.synthetic import as_study

FEW = {"swaps": 199}


def two(losses, others, **columns):
    """A study of `greff_v` with these losses, on validation and test data, and of `greff_nfg` with the others."""
    both = (("greff_v", losses), ("greff_nfg", others))
    rows = [{"variant": v, "test_loss": x, "validation_loss": x, **columns} for v, xs in both for x in xs]
    return losses_by_hand(*rows, baseline="greff_v")


TWENTY = [8.4 + 0.05 * k for k in range(20)]


def test_the_mean_test_loss_decides_ease_and_that_of_the_best_decile_quality():
    table = comparisons(two(TWENTY, [x + 0.3 for x in TWENTY]), **FEW)
    assert table["endpoint"].tolist() == ["mean_loss", "best_decile_loss", "expected_best_20_loss"]
    assert table["question"].tolist() == ["ease", "quality", ""]
    row = table.iloc[1]
    assert (round(row["value"], 3), round(row["reference"], 3), row["unit"]) == (8.725, 8.425, "nats per step")
    assert round(row["span"], 3) == 0.87


def test_a_variant_with_surely_higher_losses_is_worse():
    table = comparisons(two(TWENTY, [x + 0.3 for x in TWENTY]), **FEW)
    assert table["verdict"].tolist() == ["worse"] * 3
    assert (table["low"] > 0).all()


def test_a_loss_above_that_of_a_model_without_memory_counts_as_that_in_the_mean():
    table = comparisons(two([8.5, 8.7, 9.0], [8.5, 700.0, np.nan]), **FEW).set_index("endpoint")
    row = table.loc["mean_loss"]
    assert row["reference"] == pytest.approx((8.5 + 8.7 + 9.0) / 3)
    assert row["value"] == pytest.approx((8.5 + 9.25 + 9.25) / 3)


@pytest.mark.parametrize(("ours", "theirs", "learned"), [(9.3, 9.25, False), (9.3, 9.2, True), (9.2, 9.3, True)])
def test_nothing_is_learned_where_no_best_decile_is_below_the_floor(ours, theirs, learned):
    sides = [{"best_decile_loss": loss, FLOOR: 9.25} for loss in (ours, theirs)]
    verdict = verdict_of(ENDPOINTS["best_decile_loss"], (0.01, 0.3, 0.6), 0.87, sides)
    assert (verdict != NOTHING_LEARNED) == learned


def test_a_loss_that_is_missing_or_beyond_that_of_a_constant_answer_counts_as_that():
    study = two([700.0, np.nan, 8.5], [8.6] * 3)
    with_baselines = losses_by_hand({"test_loss": 700.0}, baselines={"chorales": BASELINES})
    assert sorted(outcomes(study.trials[study.trials["variant"] == "greff_v"], study.goals["chorales"])) == [
        8.5,
        60,
        60,
    ]
    assert with_baselines.goals["chorales"].limit == 10.79


def test_margins_are_of_the_floor_where_there_is_no_reference():
    assert Goal(2.0, np.nan, unit="bits", scale=1.5).span == 3.0


def test_losses_are_in_the_unit_of_the_task():
    study = losses_by_hand({"test_loss": 2.0, "unit": "bits per character", "unit_scale": 1.5})
    assert study.summary["decile_loss"].tolist() == [3.0]
    assert boxes.numbers(study).x.tolist() == [3.0, 3.0]


def test_a_task_counts_as_without_criterion_only_where_no_trial_has_one():
    assert goals_of(two([8.5], [8.6]).every, {})["chorales"].solvable is False
    assert mixed(("vanilla", "gru"), points=2).goals["adding"].solvable is True


@pytest.mark.parametrize(
    ("stops", "status", "solvable"), [(True, "finished", True), (False, "solved", True), (False, "finished", False)]
)
def test_a_criterion_that_ends_nothing_and_that_no_trial_meets_leaves_the_losses_to_decide(stops, status, solvable):
    study = two([8.5, 8.6], [8.7, 8.8], solved_loss=8.0)
    table = study.every.assign(status=["finished", status, "finished", "finished"])
    goal = goals_of(table, {}, stops=stops)["chorales"]
    assert goal.solvable is solvable
    assert solvable or goal.reference == 8.0


def test_the_tables_of_a_report_leave_out_what_needs_solving_and_show_the_metrics():
    study = two([8.5], [8.6], test_metrics=json.dumps({"loss": 8.5, "accuracy": 0.25}))
    titles = [column.title for column in summary_table(study).columns]
    assert not {"solved", "solve rate, 95 % interval", "steps to solve"} & set(titles)
    assert {"accuracy, best decile", "unit of the loss", "epochs"} <= set(titles)
    assert study.summary["decile_accuracy"].tolist() == [0.25, 0.25]


def test_recommended_settings_show_losses_in_place_of_scores():
    study = two([8.5], [8.6])
    titles = [column.title for column in settings_table(study, recommended(study)).columns]
    assert "test loss" in titles
    assert not {"score", "steps to solve"} & set(titles)


def test_sentences_give_losses_with_their_unit_and_what_they_are_held_against():
    study = two(TWENTY, [x + 0.3 for x in TWENTY])
    text = " ".join(verdicts(study, comparisons(study, **FEW)))
    assert "has a test loss of 8.43 nats per step (9.25 without memory, 8.38 the reference)" in text
    assert "Worse than greff_v: greff_nfg by 0.30 nats per step" in text
    assert "Ease: the settings of greff_v have a mean test loss of 8.87 nats per step" in text
    assert "solve" not in text


def test_a_claim_about_quality_is_held_against_the_best_losses_and_the_mean_stands_beside_it():
    study = two(TWENTY, [x + 0.3 for x in TWENTY])
    claims = held_against(study, comparisons(study, **FEW), pd.DataFrame(columns=COLUMNS["shares"])).set_index("claim")
    found = claims.loc["The forget gate is critical: without it the LSTM does worse."]
    assert found["verdict"] == "agrees"
    assert found["beside"].startswith("Ease, the other question, not counted: greff_nfg on chorales: worse by 0.2")
    assert "greff_nfg on chorales: worse by 0.30 nats per step" in found["evidence"]


def test_the_gap_is_taken_at_the_best_look_and_at_the_last_one():
    table = gaps(losses_by_hand({"test_loss": 9.0}))
    row = table.iloc[0]
    assert (row["epochs_best"], row["epochs_end"]) == (1.0, 2.0)
    assert (round(row["gap_best"], 9), round(row["gap_end"], 9)) == (0.2, 1.5)


def test_a_sentence_has_the_gap_of_a_variant():
    study = losses_by_hand({"test_loss": 9.0, "variant": "greff_v"})
    (text,) = gap_sentences(study, gaps(study))
    assert "is +1.50 (greff_v) in nats per step" in text
    assert "by 0.50 nats per step (epoch 1 to 2)" in text


def test_a_sentence_has_the_smallest_and_the_largest_gap_of_several_variants():
    study = losses_by_hand({"test_loss": 9.0, "variant": "greff_v"})
    three = pd.concat(
        [gaps(study).assign(variant=name, gap_end=gap) for name, gap in (("a", 0.5), ("b", -0.3), ("c", 0.1))]
    )
    (text,) = gap_sentences(study, three)
    assert "is −0.30 (b) to +0.50 (a) in nats per step" in text


def test_studies_of_endless_data_have_no_gaps():
    assert gaps(mixed(("vanilla",), points=2).of_task("adding")).empty


def test_learning_curves_count_epochs_where_there_is_a_training_set():
    numbers = learning_curves.numbers(losses_by_hand({"test_loss": 9.0}))
    assert numbers.data["x"].tolist() == [1.0, 2.0] * 2
    assert numbers.looks["chorales"].x_label == "epochs"


def test_nothing_is_said_of_memory_where_a_task_has_no_lag():
    study = two(TWENTY, TWENTY)
    assert conditions(study).empty
    assert several(study) == {}
    assert without_conditions(study).startswith("chorales has no lag and no criterion of success")


def test_exploded_trials_are_counted_beside_diverged_ones():
    study = losses_by_hand({"status": "exploded", "test_loss": 8.8}, {"status": "diverged"}, {"test_loss": 9.0})
    row = study.summary.iloc[0]
    assert (row["trials"], row["exploded"], row["diverged"]) == (3, 1, 1)
    assert "exploded" in [column.title for column in summary_table(study).columns]
    assert any("1 trial exploded" in notice for notice in notices(study))


def test_a_task_that_guessing_solves_is_flagged():
    guessing = {"name": "random weights", "kind": "guessing", "loss": None, "solved": 0.15, "note": ""}
    study = losses_by_hand({"test_loss": 9.0}, baselines={"chorales": [guessing]})
    text = "chorales is solved by 15 % of random guesses of weights: it does not test learning."
    assert text in notices(study)


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text)]


def test_boxes_have_a_line_for_the_best_of_the_last_inputs_and_the_reference_has_its_name():
    found = boxes.numbers(chorale_study(("greff_v", "greff_nfg"), points=3)).levels["chorales"]
    assert sorted((line.value, line.name) for line in found) == [
        (8.38, "reference: LSTM of Greff et al."),
        (8.93, "last 4 frames, logistic"),
        (9.25, "floor"),
    ]


def test_better_is_to_the_right_in_the_forest_of_losses():
    study = two(TWENTY, [x + 0.3 for x in TWENTY])
    axes = forest.draw(forest.numbers(study, comparisons(study, **FEW))).axes[0]
    left, right = axes.get_xlim()
    assert left > right
    assert "nats per step" in axes.get_xlabel()


def test_losses_without_a_unit_are_in_view_beside_those_of_another_study():
    study = losses_by_hand({"variant": "greff_v", "test_loss": 8.5, "unit": ""}, baseline="greff_v")
    axes = two_studies.draw(two_studies.numbers(study, changes(study, study, **FEW))).axes[0]
    low, high = axes.get_xlim()
    assert low < 8.5 < high


def test_a_task_without_criterion_has_no_place_in_the_map_of_solve_rates():
    numbers = heat_map.numbers(mixed(("vanilla", "gru"), points=2))
    assert [(one.column, one.tasks) for one in numbers.maps] == [
        ("solve_rate", ["adding"]),
        ("restricted_steps", ["adding"]),
        ("decile_loss", ["chorales"]),
    ]
    assert len(heat_map.draw(numbers).axes) == 3


def test_the_figure_of_over_fitting_marks_the_lowest_validation_loss_and_writes_the_gaps():
    study = losses_by_hand({"test_loss": 9.0, "variant": "greff_v"})
    figure = over_fitting.draw(over_fitting.numbers(study, gaps(study)))
    marked = [line for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in marked] == [(1.0, 9.0)]
    assert "gap at best +0.20\nat the end +1.50\n1 trial" in texts(figure)


NEEDLESS = [entry for entry in FIGURES if not entry.needs]


@pytest.mark.parametrize("entry", NEEDLESS, ids=lambda entry: entry.name)
def test_a_figure_of_both_kinds_of_tasks_says_lag_0_nowhere_and_nothing_is_solved_there(entry):
    study = mixed(("vanilla", "gru"), points=4).of_task("chorales")
    figure, _ = entry.drawn(study)
    shown = " ".join(texts(figure))
    assert "lag 0" not in shown
    assert "solved 0" not in shown


def test_an_axis_of_losses_shows_the_best_of_each_variant_but_nothing_above_a_constant_answer():
    low, high = Goal(9.0, np.nan, 8.0, limit=11.0).axis([8.5, 10.5, 700.0])
    assert low < 8.0
    assert 10.5 < 11.0 < high < 12.0


def test_report_lists_simple_models_in_the_unit_of_the_task():
    study = losses_by_hand({"test_loss": 9.0}, baselines={"chorales": BASELINES})
    rows = [[cell.shown for cell in row] for row in baselines_table(study).rows]
    assert rows[2][:5] == [
        "Bach's chorales",
        "last 4 frames, logistic",
        "sees some of the inputs so far",
        "8.93",
        "nats per step",
    ]


def test_losses_of_simple_models_are_scaled_to_the_unit():
    study = losses_by_hand({"test_loss": 9.0, "unit_scale": 2.0}, baselines={"chorales": BASELINES})
    assert [row[3].shown for row in baselines_table(study).rows] == ["21.6", "18.5", "17.9", "16.8"]


def test_a_reference_of_zero_is_none_so_that_boxes_have_a_log_axis():
    study = losses_by_hand(*({"test_loss": loss, "reference": 0.0, "floor": 0.5} for loss in (0.2, 2.0, 9.0)))
    assert np.isnan(study.goals["chorales"].reference)
    assert boxes.numbers(study).scales["chorales", "all trials"].low == 0.2


# The whole analysis
# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path):
    """An archive of a study of `chorales`, beside the baselines of its task; one loss is above all limits."""
    node = {"_target_": "tasks.Chorales"}
    rows, values = chorales(("greff_v", "greff_nfg"), points=3)
    rows[0] |= {"test_loss": 700.0, "validation_loss": 8.0}  # the best decile of greff_v
    del values["baselines"]  # an archive has none, they are in a file beside it
    made = as_study(rows, {**values, "tasks": {"chorales": node}})
    write_values(made.every, {**made.design.as_dict(), **made.about}, tmp_path / made.name)
    records = [{**record, "of": identity(made.design.tasks["chorales"])} for record in BASELINES]
    write_baselines(tmp_path / made.name / FILE, {"chorales": records})
    return tmp_path / made.name / "trials.parquet"


class Stop(Exception):
    """The end of an analysis of which only the first part matters."""


@pytest.mark.parametrize("part", ["importance", "compare_studies", "tabulate"])
def test_every_part_of_an_analysis_limits_losses_by_the_constant_answer_on_record(part, archive, monkeypatch):
    def stop(study, *others):
        raise Stop(study.goals["chorales"].limit)

    monkeypatch.setattr(run, part, stop)
    with pytest.raises(Stop, match=r"^10\.79$"):
        run.analyse(run.Options(results=archive.parent.parent, archive=archive, other=archive))


def test_the_dashboard_gets_losses_limited_by_the_constant_answer_on_record(archive, monkeypatch):
    published = []
    nowhere = tracking.Published("", "", "")
    monkeypatch.setattr(tracking, "publish", lambda *arguments: published.append(arguments) or nowhere)
    run.publish([archive], archive.parent.parent, "sqlite:///unused.db")
    pairs = {(task, variant): metrics for task, variant, metrics in published[0][4]}
    assert pairs["chorales", "greff_v"]["decile_loss"] == 10.79
