"""The first screen of a report: what was found, what the study can and cannot tell, as whole sentences."""

from __future__ import annotations

import pytest

from analysis.report.answer import answer, found_sentences, places, title
from analysis.report.difference_tables import evidence
from tests.analysis.report.test_sentences import QUALITY, compared, solved
from tests.analysis.synthetic import by_hand

TWO = ("adding", "copying")
LOSS = {"endpoint": "best_decile_loss", "question": "quality", "unit": "nats"}


def found(*rows, tasks=("adding",), **facts):
    variants = ("vanilla", *dict.fromkeys(row.get("variant", "gru") for row in rows))
    return found_sentences(solved(50, variants, tasks), compared(*rows, **facts))


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([{"verdict": "better"}], "The GRU succeeds more often than the LSTM on adding two numbers."),
        ([{"verdict": "worse"}], "The GRU succeeds less often than the LSTM on adding two numbers."),
        ([{}], "No variant is shown to differ from the LSTM in how often it succeeds."),
        ([{"verdict": "nothing learned"}], "Hardly anything was learned, so that nothing can differ."),
        ([{"verdict": "everything solved"}], "Nearly every trial is solved, so that nothing can differ."),
        (
            [{"verdict": "worse", "variant": "rnn"}, {"verdict": "better"}],
            "The plain tanh network succeeds less often than the LSTM on adding two numbers. "
            "The GRU succeeds more often than the LSTM on adding two numbers.",
        ),
    ],
)
def test_ease_is_one_sentence_in_words(rows, sentence):
    assert found(*rows) == [sentence]


def test_quality_has_a_sentence_of_its_own():
    assert found({}, {**QUALITY, "verdict": "worse"})[1] == (
        "After tuning, the GRU reaches a worse score than the LSTM on adding two numbers."
    )


def test_scores_and_losses_have_a_sentence_each():
    sentences = found({**QUALITY, "verdict": "worse"}, {**LOSS, "task": "copying", "verdict": "better"}, tasks=TWO)
    assert sentences == [
        "After tuning, the GRU reaches a worse score than the LSTM on adding two numbers.",
        "After tuning, the GRU reaches a lower loss than the LSTM on copying symbols.",
    ]


def test_the_mean_loss_has_a_sentence_beside_that_of_solve_rates():
    row = {**LOSS, "endpoint": "mean_loss", "question": "ease", "task": "copying", "verdict": "better"}
    assert found({"verdict": "worse"}, row, tasks=TWO) == [
        "The GRU succeeds less often than the LSTM on adding two numbers.",
        "Over all its settings, the GRU reaches a lower loss than the LSTM on copying symbols.",
    ]


def test_variants_that_differ_on_other_tasks_each_have_theirs():
    rows = [
        {"variant": "rnn", "verdict": "worse"},
        {"variant": "rnn", "verdict": "worse", "task": "copying"},
        {"variant": "gru", "verdict": "worse", "task": "copying"},
    ]
    assert found(*rows, tasks=TWO) == [
        "The plain tanh network (on both tasks) and the GRU (on copying symbols) succeed less often than the LSTM."
    ]


def test_few_points_are_described_and_nothing_is_said_of_differences():
    nan = float("nan")
    sentences = found({"low": nan, "high": nan, "points": 9})
    assert sentences[0] == "With 9 points, fewer than 10, differences between variants may be chance."
    assert sentences[1].startswith("Adding two numbers is solved in 50 of 100 trials by the LSTM")


def test_what_stays_open_is_what_the_study_cannot_tell():
    said = answer(solved(50), compared({"low": -0.05, "high": 0.41}), None)
    assert said.can[0] == (
        "Observed differences in how often a variant succeeds that are larger than 23 percentage points, with 30 "
        "trials of each variant on a task."
    )
    assert said.cannot[0] == (
        "Whether the GRU succeeds more or less often than the LSTM: differences of up to 41 percentage points "
        "remain possible."
    )


def test_a_difference_of_losses_that_shows_may_be_larger_than_the_span():
    said = answer(solved(50), compared({**LOSS, "difference": 0.5, "low": -1.0, "high": 2.0, "span": 0.8}), None)
    assert said.can[0].startswith("Observed differences in the test loss after tuning that are larger than 1.50 nats,")


def test_losses_of_two_units_have_no_common_size():
    rows = [{**LOSS, "low": -1.0, "high": 2.0}, {**LOSS, "task": "copying", "unit": "bits"}]
    said = answer(solved(50, tasks=TWO), compared(*rows), None)
    assert said.cannot[0] == "Whether the GRU does better or worse after tuning than the LSTM on any task."
    (table,) = evidence(solved(50, tasks=TWO), compared(*rows))
    assert table.unit == "Loss on test data of the best tenth of the trials"
    assert table.heads == ["adding two numbers in nats", "copying symbols in bits"]


def test_the_title_counts_cells_tasks_and_lags():
    assert title(solved(50, ("vanilla", "gru", "rnn"), TWO)) == "Three recurrent cells on two tasks"
    levels = {"adding": ["adding_30", "adding_60"]}
    trials = [{"task": f"adding_{lag}", "lag": lag} for lag in (30, 60)]
    study = by_hand(*trials, levels=levels, tasks=["adding_30", "adding_60"])
    assert title(study) == "One recurrent cell on adding two numbers, at two lags"


def test_equal_variants_have_the_margin_of_each_unit():
    same = {**LOSS, "endpoint": "mean_loss", "question": "ease", "verdict": "same"}
    rows = [{**same, "task": "adding", "span": 2.0}, {**same, "task": "copying", "unit": "bits", "span": 0.5}]
    said = answer(solved(50, tasks=TWO), compared(*rows), None)
    assert "That the GRU equals the LSTM within 0.20 nats on adding two numbers." in said.can
    assert "That the GRU equals the LSTM within 0.050 bits on copying symbols." in said.can


def test_the_title_of_cells_in_networks_counts_both():
    levels = {"cell": ("vanilla", "gru"), "network": ("reader", "attention")}
    cells = {"vanilla": ("vanilla", "reader"), "gru": ("gru", "reader"), "gru_attention": ("gru", "attention")}
    study = by_hand(*({"variant": label} for label in cells), factors={"levels": levels, "cells": cells})
    assert title(study) == "Two recurrent cells in two networks on adding two numbers"


def test_lags_of_a_series_are_named_together():
    tasks = ["adding_30", "adding_60", "copying"]
    study = by_hand(*[{"task": t, "lag": k} for k, t in enumerate(tasks)], levels={"adding": tasks[:2]}, tasks=tasks)
    assert places(study, tasks[:2]) == "on adding two numbers (both lags)"
    assert places(study, tasks) == "on all three tasks"


def test_the_table_of_a_question_has_every_difference_with_its_interval_and_verdict():
    (table,) = evidence(solved(50), compared({"verdict": "worse", "difference": -0.18, "low": -0.31, "high": -0.05}))
    assert [(row.name, row.code, *row.cells[0]) for row in table.rows] == [
        ("LSTM", "vanilla", "52", ""),
        ("GRU", "gru", "▼ −18 [−31, −5]", "worse"),
        ("Half-width of the intervals (median)", "", "13", ""),
    ]
