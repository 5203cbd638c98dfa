"""A task at several lags becomes a series of tasks."""

import pytest

from runs.configuration.series import task_nodes
from runs.configuration.study import design_from
from runs.study.plan import Search


@pytest.fixture(autouse=True)
def hydra(composed):
    """Names of tasks are looked up among Hydra's presets."""


def lags(nodes):
    return {name: (node["_target_"], node["label"], node["lag"]) for name, node in nodes.items()}


def test_several_lags_are_tasks_of_their_own_the_shortest_first():
    nodes, levels = task_nodes({"recall": {"task": "delayed_recall", "lag": 3}, "adding": {"lag": [60, 30, 120]}})
    assert lags(nodes) == {
        "recall": ("tasks.DelayedRecall", "recall", 3),
        "adding_30": ("tasks.Adding", "adding_30", 30),
        "adding_60": ("tasks.Adding", "adding_60", 60),
        "adding_120": ("tasks.Adding", "adding_120", 120),
    }
    assert levels == {"adding": ("adding_30", "adding_60", "adding_120")}


def test_a_second_label_makes_a_second_series_with_its_own_knobs():
    nodes, levels = task_nodes({"copying": {"lag": 7}, "long": {"task": "copying", "symbols": 3, "lag": [20, 9]}})
    assert lags(nodes)["long_9"] == ("tasks.Copying", "long_9", 9)
    assert [nodes[name]["symbols"] for name in levels["long"]] == [3, 3]
    assert list(levels) == ["long"]


def test_a_list_of_one_lag_is_that_lag():
    assert task_nodes({"adding": {"lag": [30]}}) == task_nodes({"adding": {"lag": 30}})
    assert task_nodes({"adding": {"lag": [30]}})[1] == {}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"adding": {"lag": []}}, r"tasks\.adding\.lag must be a lag or a list of lags, got \[\]"),
        ({"adding": {"lag": [5, 9, 5]}}, r"tasks\.adding\.lag must have each lag once, got \[5, 9, 5\]"),
        ({"adding": {"lag": [5, "x"]}}, r"tasks\.adding\.lag must have whole numbers, got \[5, 'x'\]"),
        ({"adding": {"lag": [5, True]}}, r"tasks\.adding\.lag must have whole numbers, got \[5, True\]"),
        ({"copying": {"symbols": [3, 4]}}, r"tasks\.copying\.symbols must be one value; only the lag .*got \[3, 4\]"),
        ({"adding": {"lag": [5, 9]}, "adding_9": {"task": "adding"}}, r"different names, .*=\[5, 9\] .*got 'adding_9'"),
        ({"adding_9": {"task": "adding"}, "adding": {"lag": [5, 9]}}, r"different names, .*=\[5, 9\] .*got 'adding_9'"),
    ],
)
def test_lists_that_make_no_series_are_refused(entries, message):
    with pytest.raises(ValueError, match=message):
        task_nodes(entries)


def test_the_design_of_a_command_with_several_lags_has_a_series(composed):
    design = design_from(composed("sweep", ["study=smoke", "tasks.adding.lag=[12,8]"]))
    assert list(design.tasks) == ["adding_8", "adding_12", "delayed_recall"]
    assert design.levels == {"adding": ("adding_8", "adding_12")}


def test_a_study_can_match_both_ways_and_search_nothing(composed):
    design = design_from(composed("sweep", ["study=smoke", "match=both", "space=none"]))
    assert list(design.variants) == ["vanilla", "gru", "gru_same_width"]
    assert (design.same_width, design.space) == ({"gru_same_width": "gru"}, {})
    assert [Search(design).trial("adding", v, 0).model.hidden_size for v in design.variants] == [32, 37, 32]
