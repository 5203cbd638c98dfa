"""Which of the four conditions hold, from studies whose numbers are set by hand."""

from __future__ import annotations

import pytest

from analysis.report.condition_sentences import (
    condition_sentences,
    control_sentences,
    start_sentences,
    starts_table,
    with_controls,
)
from analysis.tables.conditions import INSIDE, MEMORY, ROOM, START, conditions, start_ratio, starts
from runs.study.design import Design
from tests.analysis.lagged import lagged
from tests.analysis.synthetic import by_hand

ROOMY = (16, 10, 4)


def holds(study, condition):
    table = conditions(study).set_index("condition")
    return table.loc[condition, "holds"]


@pytest.mark.parametrize(
    ("at_longest", "answer"),
    # of 20: the lower end of the Wilson interval of 3 is .052, of 2 it is .028; 1 of 20 is 5 %
    [(3, "no"), (2, "unknown"), (1, "yes"), (0, "yes")],
)
def test_a_task_needs_memory_where_the_control_fails_at_the_longest_lag(at_longest, answer):
    assert holds(lagged({"vanilla": ROOMY, "rnn": (20, 20, at_longest)}), MEMORY) == answer


def test_without_a_control_it_is_unknown_whether_memory_is_needed():
    assert holds(lagged({"vanilla": ROOMY}), MEMORY) == "unknown"


def test_few_trials_of_a_control_that_fails_prove_nothing():
    assert holds(lagged({"vanilla": (8, 5, 2), "rnn": (0, 0, 0)}, points=10), MEMORY) == "unknown"


def test_the_control_is_known_by_its_class_whatever_its_label():
    study = lagged({"vanilla": ROOMY, "plain": (20, 20, 20), "rnn": (0, 0, 0)})
    nodes = {"vanilla": {"_target_": "variants.Vanilla"}, "plain": {"_target_": "variants.RNN"}}
    nodes["rnn"] = {"_target_": "variants.GRU"}
    values = study.design.as_dict() | {"variants": nodes}
    named = type(study)(study.every, Design.from_dict(values), study.about)
    assert named.controls == ["plain"]
    assert holds(named, MEMORY) == "no"


def test_a_plain_network_with_attention_is_no_control():
    study = lagged({"vanilla": ROOMY, "rnn": (0, 0, 0), "rnn_attention": (20, 20, 20)})
    nodes = {
        "vanilla": {"_target_": "variants.Vanilla"},
        **{label: {"_target_": "variants.RNN"} for label in ("rnn", "rnn_attention")},
    }
    networks = {"rnn_attention": {"_target_": "runs.networks.attention.Attention", "label": "attention"}}
    design = Design.from_dict(study.design.as_dict() | {"variants": nodes, "networks": networks})
    attending = type(study)(study.every, design, study.about)
    assert attending.controls == ["rnn"]
    assert holds(attending, MEMORY) == "yes"


@pytest.mark.parametrize(
    ("baseline", "answer"),
    [((16, 10, 4), "yes"), ((20, 10, 4), "yes"), ((20, 20, 4), "no"), ((20, 0, 0), "no"), ((0, 0, 0), "no")],
)
def test_the_baseline_must_solve_some_and_fail_some_at_most_lags(baseline, answer):
    assert holds(lagged({"vanilla": baseline, "gru": ROOMY}), ROOM) == answer


def test_four_trials_of_the_baseline_are_too_few():
    assert holds(lagged({"vanilla": (3, 2, 1)}, points=4), ROOM) == "unknown"


@pytest.mark.parametrize(
    ("kept", "answer"),
    [
        ({"vanilla": 0.731, "gru": 0.731, "no_forget_gate": 1.0}, "yes"),
        ({"vanilla": 0.731, "gru": 0.5}, "no"),
        ({"vanilla": 0.99, "gru": 0.98}, "no"),  # 100 steps against 50
        ({}, "unknown"),
    ],
)
def test_variants_start_equal_where_they_keep_their_state_equally_long(kept, answer):
    names = dict.fromkeys(["vanilla", "gru", *kept], ROOMY)
    assert holds(lagged(names, kept=kept), START) == answer


def test_the_ratio_is_that_of_the_times_over_which_the_state_fades():
    # sqrt(.5) a step fades half as fast as .5
    assert start_ratio({"a": 0.5, "b": 0.5**0.5}) == pytest.approx(2.0)


def test_the_best_settings_lie_inside_the_space_unless_they_pile_up():
    space = {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}}
    for best, answer in ((59, "no"), (30, "yes")):
        rows = [
            {"point": p, "u_learning_rate": (p + 0.5) / 60, "score": 0.9, "validation_loss": 1.0 + abs(p - best)}
            for p in range(60)
        ]
        assert holds(by_hand(*rows, space=space), INSIDE) == answer


def test_what_is_kept_over_a_lag_is_a_power():
    table = starts(lagged({"vanilla": ROOMY}, kept={"vanilla": 0.5}))
    assert table["over_lag"].tolist() == pytest.approx([0.5**30, 0.5**60, 0.5**120])


def test_variants_start_equal_where_they_do_so_at_the_points_that_all_have():
    drawn = [{"point": p, "kept": kept, "status": "finished"} for p, kept in enumerate((0.5, 0.7, 0.9))]
    rows = [{**row, "variant": v} for v in ("vanilla", "gru") for row in drawn[: 3 if v == "vanilla" else 2]]
    study = by_hand(*rows)
    assert starts(study)["kept"].tolist() == pytest.approx([0.6, 0.6])
    assert starts(study)["trials"].tolist() == [2, 2]
    assert holds(study, START) == "yes"


def test_variants_without_a_common_point_have_the_starts_of_all_their_trials():
    rows = [{"point": p, "kept": kept, "variant": v} for p, v, kept in ((0, "vanilla", 0.5), (1, "gru", 0.9))]
    assert starts(by_hand(*rows))["kept"].tolist() == pytest.approx([0.5, 0.9])


def test_a_table_without_the_column_has_no_starts():
    study = lagged({"vanilla": ROOMY})
    assert starts(study).empty


# Sentences
# ----------------------------------------------------------------------------------------------------------------------


def test_a_series_says_how_many_conditions_fail_and_what_follows():
    study = lagged({"vanilla": ROOMY, "gru": ROOMY, "rnn": (20, 20, 20)}, kept={"vanilla": 0.731, "gru": 0.5})
    assert condition_sentences(conditions(study)) == ["adding: 2 of 4 conditions fail: it says nothing about memory."]


def test_paragraphs_on_a_task_without_memory_say_so():
    study = lagged({"vanilla": ROOMY, "rnn": (20, 20, 20)})
    (said,) = control_sentences(study).values()
    assert said.startswith(
        "adding does not need memory as measured here: even at lag 120 the plain network rnn solves 20"
    )
    paragraphs = ["Ease: nothing.", "adding_30. Ease.", "adding, lags 30 and 60: text."]
    first, second, third = with_controls(study, paragraphs)
    assert (first, third) == (paragraphs[0], f"{paragraphs[2]} {said}")
    assert (
        second
        == "adding_30. Ease. As adding shows at its longest lag, this task does not need memory as measured here."
    )


def test_a_control_that_fails_leaves_paragraphs_as_they_are():
    study = lagged({"vanilla": ROOMY, "rnn": (0, 0, 0)})
    assert with_controls(study, ["adding_30. Ease."]) == ["adding_30. Ease."]


def test_the_start_has_a_sentence_where_variants_differ_and_where_nothing_is_remembered():
    study = lagged({"vanilla": ROOMY, "gru": ROOMY}, lags=(10, 60, 120), kept={"vanilla": 0.731, "gru": 0.5})
    unequal, forgotten = start_sentences(study, starts(study))
    assert "vanilla keeps 0.73 of its state from one step to the next, gru 0.50" in unequal
    assert forgotten.startswith("At lag 60 (adding_60) vanilla keeps 7e-9 of its state")


def test_a_drawn_start_says_how_many_trials_remember_nothing():
    rows = [{"point": p, "kept": kept, "lag": 60} for p, kept in enumerate((0.5, 0.7, 0.99))]
    (sentence,) = start_sentences(by_hand(*rows), starts(by_hand(*rows)))
    assert "0.70 a step (the median of what was drawn): at the start half of its trials remember nothing" in sentence


def test_the_start_has_no_sentence_where_all_remember():
    study = lagged({"vanilla": ROOMY, "gru": ROOMY}, kept={"vanilla": 0.99, "gru": 0.99})
    assert start_sentences(study, starts(study)) == []


def test_the_table_of_starts_has_a_row_for_each_variant_and_a_column_for_each_lag():
    study = lagged({"vanilla": ROOMY, "rnn": ROOMY}, kept={"vanilla": 0.5})
    table = starts_table(study, starts(study))
    assert [column.title for column in table.columns][1:] == [
        "kept per step", "after 30 steps", "after 60 steps", "after 120 steps",
    ]  # fmt: skip
    assert [[cell.shown for cell in row][:2] for row in table.rows] == [["LSTM", "0.500"]]


def test_what_is_left_after_a_lag_is_a_power_of_what_the_table_says_is_kept():
    rows = [{"task": t, "lag": n, "kept": kept} for t, n, kept in (("a", 1, 0.9), ("b", 2, 0.5), ("c", 3, 0.6))]
    (row,) = starts_table(by_hand(*rows), starts(by_hand(*rows))).rows
    assert [cell.shown for cell in row] == ["LSTM", "0.600 (0.50–0.90)", "0.6", "0.36", "0.22"]
