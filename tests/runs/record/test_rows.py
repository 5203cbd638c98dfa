"""The tidy table: its columns, their types, gaps and order, and the part of it that MLflow holds."""

import numpy as np
import pandas as pd
import pytest

from runs.record.rows import COLUMNS, ORDER, names_of, of_stage, tidy
from runs.record.tracked import of_runs
from runs.study.design import Design
from tests.analysis.synthetic import study


def row(**changes):
    """A row that says nothing, but for some columns."""
    empty = {"text": "", "integer": 0, "float": 0.0, "integers": [], "floats": []}
    return {column.name: empty[column.kind] for column in COLUMNS} | {"stage": "search"} | changes


def test_a_column_stands_once_and_says_what_it_means():
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names) == 50
    assert all(column.meaning for column in COLUMNS)
    assert set(ORDER) <= set(names)


def test_a_table_has_the_columns_in_their_order_and_hyperparameters_last():
    table = tidy([{"u_rate": 0.5, "rate": 0.1, **row()}])
    assert list(table) == [*(column.name for column in COLUMNS), "u_rate", "rate"]


def test_gaps_are_empty_texts_zeros_and_nan():
    lists = {name: [] for name in names_of("integers", "floats")}
    gaps = dict.fromkeys((column.name for column in COLUMNS), None) | lists | {"curve_losses": [None, 0.5]}
    (found,) = tidy([gaps]).to_dict("records")
    assert [found[name] for name in ("variant", "error", "why_eager")] == ["", "", ""]
    assert [found[name] for name in ("point", "seed", "lag", "parameters")] == [0, 0, 0, 0]
    numbers = [found["solved_step"], found["test_loss"], found["score"], found["curve_losses"][0]]
    assert np.isnan(numbers).all()
    assert (found["stage"], found["block"], found["replicate"], found["session"]) == ("search", -1, 0, 0)


@pytest.mark.parametrize(
    ("column", "value"), [("stage", "search"), ("block", -1), ("replicate", 0), ("session", 0), ("why_eager", "")]
)
def test_a_column_that_an_earlier_version_did_not_have_is_filled(column, value):
    assert tidy([{k: v for k, v in row().items() if k != column}])[column].tolist() == [value]


def test_the_series_of_an_earlier_table_is_its_task():
    rows = [row(task="adding_9", series="adding"), row(task="recall", series=None)]
    assert tidy(rows)["series"].tolist() == ["adding", "recall"]
    assert tidy([{k: v for k, v in row(task="recall").items() if k != "series"}])["series"].tolist() == ["recall"]


def test_what_a_trial_of_an_earlier_version_kept_is_not_known():
    assert np.isnan(tidy([{k: v for k, v in row().items() if k != "kept"}])["kept"][0])


def test_a_table_names_the_columns_it_lacks():
    rows, _ = study(points=2)
    with pytest.raises(ValueError, match=r"needs the columns lag, floor$"):
        tidy([{k: v for k, v in row.items() if k not in ("floor", "lag")} for row in rows])


def test_a_table_of_failed_trials_has_the_types_of_any_other():
    rows, _ = study(points=4, failed=1.0)
    table = tidy(rows)
    assert table["validation_loss"].dtype == np.float64
    assert table["solved_step"].isna().all()
    assert table["point"].dtype == np.int64
    assert all(len(curve) == 0 for curve in table["curve_losses"])


def test_rows_are_sorted_by_stage_task_lag_block_replicate_point_and_variant():
    places = [
        {"stage": "search", "task": "a", "lag": 5, "point": 0, "variant": "gru"},
        {"stage": "search", "task": "a", "lag": 5, "point": 0, "variant": "vanilla"},
        {"stage": "search", "task": "a", "lag": 5, "point": 1, "variant": "gru"},
        {"stage": "search", "task": "b", "lag": 2, "point": 0, "variant": "gru"},
        {"stage": "confirm", "task": "a", "lag": 5, "block": -1, "replicate": 1, "point": 0, "variant": "gru"},
        {"stage": "confirm", "task": "a", "lag": 5, "block": 0, "replicate": 0, "point": 3, "variant": "gru"},
        {"stage": "confirm", "task": "a", "lag": 5, "block": 1, "replicate": 0, "point": 1, "variant": "gru"},
        {"stage": "confirm", "task": "a", "lag": 9, "block": -1, "replicate": 0, "point": 0, "variant": "gru"},
        {"stage": "horizon", "task": "a", "lag": 2, "block": -1, "replicate": 1, "point": 0, "variant": "gru"},
        {"stage": "horizon", "task": "a", "lag": 10, "block": -1, "replicate": 0, "point": 0, "variant": "gru"},
        {"stage": "another", "task": "a", "lag": 1, "point": 0, "variant": "gru"},
    ]
    for order in (range(11), reversed(range(11)), (3, 9, 1, 7, 5, 0, 10, 2, 8, 6, 4)):
        table = tidy([row(trial_id=str(k), **{"block": -1} | places[k]) for k in order])
        assert table["trial_id"].tolist() == [str(k) for k in range(11)]


def test_the_trials_of_a_stage_are_numbered_from_0():
    table = tidy([row(stage="search"), row(stage="confirm", lag=1), row(stage="confirm", lag=2)])
    confirmed = of_stage(table, "confirm")
    assert (confirmed["lag"].tolist(), confirmed.index.tolist()) == ([1, 2], [0, 1])


NUMBERS = {
    "params.seed": "7",
    "params.model.hidden_size": "5",
    "params.training.budget": "6",
    "params.training.batch_size": "2",
    "params.size": "4",
    "metrics.steps": 6.0,
    "metrics.best_step": 3.0,
    "metrics.validation_loss": 0.5,
    "metrics.test_loss": 0.4,
    "metrics.score": 0.25,
    "metrics.parameters": 99.0,
    "metrics.flops_per_step": 80.0,
    "metrics.seconds": 1.5,
}


def tracked(*runs):
    """The table of runs in MLflow with these values, which are of `gru` on adding unless they say otherwise."""
    space = {"rate": {"low": 0.1, "high": 1.0}, "size": {"low": 1, "high": 9, "integer": True}}
    usual = {"tags.study": "s", "tags.task": "adding", "tags.variant": "gru", "tags.status": "finished"}
    usual |= {"tags.engine": "fused", "tags.point": "0", "tags.trial_id": "a", "params.rate": "0.5", **NUMBERS}
    return of_runs(pd.DataFrame([usual | run for run in runs]), Design.from_dict({"name": "s", "space": space}))


def test_runs_in_mlflow_are_the_rows_of_the_table_with_its_types():
    table = tracked(
        {"tags.variant": "vanilla", "tags.point": "10", "params.rate": "0.5", "tags.trial_id": "c"},
        {"tags.variant": "gru", "tags.point": "2", "params.rate": "0.25", "tags.trial_id": "a"},
    )
    assert table["trial_id"].tolist() == ["a", "c"]  # by their points as numbers, not as texts
    assert table["rate"].tolist() == [0.25, 0.5]
    assert table["solved_step"].isna().all()
    types = {name: str(kind) for name, kind in table.dtypes.items()}
    assert types["point"] == types["size"] == types["parameters"] == types["budget"] == types["steps"] == "int64"
    assert types["rate"] == types["test_loss"] == types["seconds"] == "float64"
    wanted = {"seed": 7, "hidden_size": 5, "batch_size": 2, "parameters": 99, "test_loss": 0.4, "status": "finished"}
    assert {name: table[name][0] for name in wanted} == wanted


def test_runs_in_mlflow_are_sorted_by_task_point_and_variant():
    places = [("copying", "0", "gru"), ("adding", "1", "gru"), ("adding", "0", "vanilla"), ("adding", "0", "gru")]
    table = tracked(*({"tags.task": t, "tags.point": p, "tags.variant": v} for t, p, v in places))
    found = table[["task", "point", "variant"]].to_numpy().tolist()
    assert found == [["adding", 0, "gru"], ["adding", 0, "vanilla"], ["adding", 1, "gru"], ["copying", 0, "gru"]]


def test_runs_in_mlflow_are_those_of_the_search_and_of_before_there_were_stages():
    table = tracked(*({"tags.stage": s, "tags.trial_id": s or "old"} for s in ("horizon", None, "search", "confirm")))
    assert table["trial_id"].tolist() == ["old", "search"]
