import hashlib
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runs.networks.network import Setting
from runs.networks.reader import Reader
from runs.study.design import Design
from runs.study.plan import Search, matched, require_key
from runs.study.space import Dimension
from runs.trial.classes import construct
from runs.trial.trial import Model, Training
from tasks import Task
from tests.runs.conftest import make_design
from variants import Cell, Scheme, streams

ROOT = Path(__file__).resolve().parents[3]


def test_all_variants_share_points_and_seeds(design):
    a, b = design.trial("adding", "vanilla", 2), design.trial("adding", "gru", 2)
    assert (a.training, a.seed, a.data_seed) == (b.training, b.seed, b.data_seed)


def test_points_seeds_and_data_differ_between_tasks(design):
    a, b = design.trial("adding", "vanilla", 2), design.trial("recall", "vanilla", 2)
    assert a.training != b.training
    assert a.seed != b.seed
    assert a.data_seed != b.data_seed


def test_the_evaluation_data_of_a_task_is_fixed_over_points(design):
    assert design.trial("adding", "vanilla", 0).data_seed == design.trial("adding", "gru", 1).data_seed


def test_more_points_keep_the_first_ones(design):
    more = replace(design, points=9)
    assert [more.trial("adding", "gru", p).id for p in range(3)] == [
        design.trial("adding", "gru", p).id for p in range(3)
    ]


SERIES = {
    "tasks": {
        "adding_9": {"_target_": "tasks.Adding", "label": "adding_9", "lag": 9},
        "recall": {"_target_": "tasks.DelayedRecall", "label": "recall", "lag": 3},
        "adding_12": {"_target_": "tasks.Adding", "label": "adding_12", "lag": 12},
    },
    "levels": {"adding": ("adding_9", "adding_12")},
}


@pytest.mark.parametrize("sampler", ["random", "sobol"])
def test_tasks_of_a_series_share_points_and_seeds_with_the_task_that_has_its_name(sampler):
    series, single = make_design(sampler=sampler, **SERIES), make_design(sampler=sampler)
    for point in range(3):
        trials = [series.trial(t, "gru", point) for t in ("adding_9", "adding_12")]
        trials.append(single.trial("adding", "gru", point))
        assert len({(t.training, t.model.hidden_size, t.seed, t.data_seed) for t in trials}) == 1
        assert [t.task["lag"] for t in trials] == [9, 12, 4]
        assert series.trial("recall", "gru", point).id == single.trial("recall", "gru", point).id


def test_a_task_without_a_series_is_its_own():
    design = make_design(**SERIES)
    assert [design.series_of(t) for t in ("adding_9", "adding_12", "recall", "other")] == [
        "adding",
        "adding",
        "recall",
        "other",
    ]


def test_a_series_and_same_widths_survive_json_and_earlier_designs_have_neither():
    variants, same_width = matched(make_design().variants, "vanilla", "both", {})
    design = make_design(**SERIES, match="both", variants=variants, same_width=same_width)
    stored = json.loads(json.dumps(design.as_dict()))
    again = Design.from_dict(stored)
    assert (again.levels, again.same_width) == ({"adding": ("adding_9", "adding_12")}, {"gru_same_width": "gru"})
    assert again.as_dict() == design.as_dict()
    del stored["levels"], stored["same_width"]
    assert (Design.from_dict(stored).levels, Design.from_dict(stored).same_width) == ({}, {})


def test_differences_of_a_series_are_its_lags():
    design = make_design(**SERIES)
    three = {"adding_20": {"_target_": "tasks.Adding", "label": "adding_20", "lag": 20}}
    more = replace(design, tasks={**design.tasks, **three}, levels={"adding": ("adding_9", "adding_12", "adding_20")})
    assert design.differences(more) == ["tasks.adding.lag: [9, 12] there, [9, 12, 20] here"]
    assert make_design().differences(design) == ["tasks.adding.lag: 4 there, [9, 12] here"]


def test_differences_of_another_match_do_not_list_the_variants_that_it_adds():
    variants, same_width = matched(make_design().variants, "vanilla", "both", {})
    both = make_design(match="both", variants=variants, same_width=same_width)
    assert make_design().differences(both) == ["match: 'parameters' there, 'both' here"]


def test_with_match_both_a_variant_is_there_with_equal_parameters_and_with_equal_width():
    variants, same_width = matched(make_design().variants, "vanilla", "both", {})
    assert list(variants) == ["vanilla", "gru", "gru_same_width"]
    both = Search(make_design(match="both", variants=variants, same_width=same_width))
    alike = [Search(make_design(match=match)) for match in ("parameters", "width")]
    for point in range(3):
        own = [both.trial("adding", v, point).model for v in ("vanilla", "gru", "gru_same_width")]
        theirs = [search.trial("adding", "gru", point).model for search in alike]
        assert own == [alike[0].trial("adding", "vanilla", point).model, *theirs]
        assert own[1] != own[2]


def test_no_variant_may_have_the_name_of_a_second_one():
    variants = {**make_design().variants, "gru_same_width": {"_target_": "variants.GRU", "label": "gru_same_width"}}
    with pytest.raises(ValueError, match="with match=both no variant may be called gru_same_width, as gru with"):
        matched(variants, "vanilla", "both", {})


def test_equal_width_is_the_nearest_that_the_cell_accepts():
    clockwork = {"_target_": "variants.Clockwork", "label": "clockwork", "periods": (1, 2, 4, 8)}  # four groups
    variants = {**make_design().variants, "clockwork": clockwork}
    space = {"size": Dimension(key="model.hidden_size", low=5, high=11, integer=True)}
    search = Search(make_design(match="width", variants=variants, space=space))
    width = {n: search.trial("adding", "clockwork", 0, {"size": n}).model.hidden_size for n in range(5, 12)}
    assert width == {5: 4, 6: 4, 7: 8, 8: 8, 9: 8, 10: 8, 11: 12}


@pytest.mark.parametrize("sampler", ["random", "sobol"])
def test_points_of_an_empty_space_differ_in_their_seeds_only(sampler):
    search = Search(make_design(space={}, sampler=sampler))
    a, b = (search.trial("adding", "gru", point) for point in range(2))
    assert a.seed != b.seed
    assert replace(a, seed=0) == replace(b, seed=0)


def test_matched_variants_have_the_nearest_number_of_parameters(design):
    search = Search(design)
    task = construct(design.tasks["adding"], Task)
    gru, vanilla = (construct(design.variants[v], Cell) for v in ("gru", "vanilla"))
    for point in range(20):
        wanted = Reader().parameter_count(Setting(vanilla, task, search.trial("adding", "vanilla", point).model))
        size = search.trial("adding", "gru", point).model.hidden_size
        distance = [
            abs(Reader().parameter_count(Setting(gru, task, Model(hidden_size=size + d))) - wanted) for d in (-1, 0, 1)
        ]
        assert distance[1] == min(distance)


def test_width_matching_gives_all_variants_the_width_of_the_point():
    design = Search(make_design(match="width"))
    assert design.trial("adding", "vanilla", 1).model == design.trial("adding", "gru", 1).model


def test_the_predicted_number_of_parameters_is_that_of_the_network(design):
    for options in ({}, {"bidirectional": True}, {"layer_norm": True}):
        model = Model(hidden_size=5, layers=2, **options)
        for node in design.variants.values():
            cell, task = construct(node, Cell), construct(design.tasks["adding"], Task)
            setting = Setting(cell, task, model)
            network = Reader().build(setting, construct(design.initialisation, Scheme), streams(0))
            assert network.parameter_count == Reader().parameter_count(setting)


def test_a_design_survives_json(design):
    again = Design.from_dict(json.loads(json.dumps(design.as_dict())))
    assert not again.differences(design)
    assert again.trial("adding", "gru", 1).id == design.trial("adding", "gru", 1).id


def test_differences_name_key_and_both_values(design):
    other = replace(design, seed=5, points=99)
    assert design.differences(other) == ["seed: 0 there, 5 here"]


@pytest.mark.parametrize(
    ("dimension", "u", "value"),
    [
        (Dimension(key="training.learning_rate", low=1e-4, high=1e-2, log=True), 0.5, 1e-3),
        (Dimension(key="training.input_noise", low=0.0, high=1.0), 0.25, 0.25),
        (Dimension(key="training.momentum", low=0.01, high=1.0, log=True, complement=True), 0.5, 0.9),
        (Dimension(key="model.hidden_size", low=4, high=9, integer=True), 0.0, 4),
        (Dimension(key="model.hidden_size", low=4, high=9, integer=True), 0.999999, 9),
    ],
)
def test_a_coordinate_becomes_a_value_as_the_space_says(dimension, u, value):
    assert dimension.value(u) == pytest.approx(value)


def test_every_whole_number_of_a_range_gets_the_same_share():
    dimension = Dimension(key="model.hidden_size", low=4, high=9, integer=True)
    counts = [sum(dimension.value(k / 6000) == n for k in range(6000)) for n in range(4, 10)]
    assert max(counts) - min(counts) <= 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": 0}, "points must be at least 1, got 0"),
        ({"match": "size"}, "match must be one of parameters, width, both, got 'size'"),
        ({"baseline": "lstm"}, "baseline must be one of the variants vanilla, gru, got 'lstm'"),
        ({"variants": {}}, "variants of a study must not be empty"),
        ({"tasks": {}}, "tasks of a study must not be empty"),
        ({"space": {}, "sampler": "tpe"}, r"space must have a hyperparameter with sampler=tpe, got \[\]"),
        ({"match": "both"}, "variants must be vanilla, gru, gru_same_width with match=both, got "),
        ({"same_width": {"gru": "vanilla"}}, "variants must be vanilla, gru with match=parameters, got "),
        ({"name": "a/b"}, "name of a study .* got 'a/b'"),
    ],
)
def test_a_design_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Search(make_design(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"low": 2.0}, "low must be below high for training.learning_rate"),
        ({"low": 0.0}, "a log range must have low > 0 for training.learning_rate, got 0.0"),
    ],
)
def test_a_range_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Dimension(**{"key": "training.learning_rate", "low": 1e-3, "high": 1.0, "log": True} | changes)


def test_a_space_that_leads_out_of_range_is_refused_before_anything_runs():
    space = {"momentum": Dimension(key="training.momentum", low=0.5, high=1.5)}
    with pytest.raises(ValueError, match=r"training\.momentum must be in \[0, 1\)"):
        Search(make_design(space=space))


@pytest.mark.parametrize("key", ["training.speed", "", "learning_rate"])
def test_a_hyperparameter_that_sets_nothing_in_a_trial_is_refused(key):
    with pytest.raises(ValueError, match=f"space: key must be one of .* got '{key}'"):
        require_key(key)
    with pytest.raises(ValueError, match=f"space: key must be one of .* got '{key}'"):
        Search(make_design(space={"x": Dimension(key=key, low=0.0, high=1.0)}))


# Without torch, and tolerant of other versions
# -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["runs.study.space", "runs.study.design", "runs.trial.trial"])
def test_a_design_is_read_without_torch(module):
    heavy = "{'torch', 'llvmlite', 'optuna', 'pandas', 'scipy'}"
    code = f"import sys, {module}; sys.exit(' '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("values", [["a", "b"], {"a": {"_target_": "x"}, "b": {}}, [{"label": "a"}, {"name": "b"}]])
def test_labels_are_read_from_lists_and_mappings(values):
    design = Design.from_dict({"name": "x", "variants": values, "tasks": values})
    assert (list(design.variants), list(design.tasks)) == (["a", "b"], ["a", "b"])


def test_what_an_archive_does_not_say_has_its_default():
    design = Design.from_dict({"name": "x", "variants": ["a"]})
    assert (design.baseline, design.match, design.seed, design.points) == ("", "parameters", 0, 0)
    assert (design.space, design.tasks, design.initialisation) == ({}, {}, {})
    assert (design.model, design.training, design.comparison) == (Model(), Training(), True)


def test_facts_beside_a_design_are_left_out(design):
    values = {**design.as_dict(), "commit": "abc", "sessions": [{}], "stages": {}, "tracking_uri": "default"}
    assert Design.from_dict(values) == design


def test_a_range_without_a_key_is_read():
    space = {"rate": {"low": 1e-4, "high": 1e-1, "log": True, "integer": False, "of_another_version": 1}}
    design = Design.from_dict({"name": "x", "space": space})
    assert design.space == {"rate": Dimension(key="", low=1e-4, high=1e-1, log=True)}


def test_a_range_without_ends_is_refused_by_name():
    with pytest.raises(ValueError, match=r"space\.rate must have low and high, got \{'low': 1\}"):
        Design.from_dict({"name": "x", "space": {"rate": {"low": 1}}})


def test_what_only_another_version_knows_is_kept_and_makes_another_design(design):
    values = design.as_dict()
    values["training"]["speed"], values["model"]["depth"] = 3, 2
    other = Design.from_dict(values)
    assert other.training == design.training
    assert other.as_dict() == values
    assert other.differences(design) == [
        "model.depth: 2 there, 'absent' here",
        "training.speed: 3 there, 'absent' here",
    ]


def test_a_design_that_is_no_mapping_is_refused():
    with pytest.raises(ValueError, match="the design of a study must be a mapping, got list"):
        Design.from_dict(["not", "a", "design"])


def test_a_target_that_is_no_text_is_left_as_it_is():
    assert Design.from_dict({"name": "x", "variants": {"a": {"_target_": 3}}}).variants == {"a": {"_target_": 3}}


# Ranges, to the digit
# -------------------------------------------------------------------------------------------------------------

SIZE = Dimension(key="model.hidden_size", low=8, high=128, log=True, integer=True)


@pytest.mark.parametrize(("u", "value"), [(0.02, 8), (0.1, 10), (0.5, 31), (0.9, 97), (0.9999999, 128)])
def test_a_whole_number_is_the_nearest_to_where_its_coordinate_lies(u, value):
    # 7.5 * (128.5 / 7.5) ** u is 7.94, 9.96, 31.04, 96.7 and 128.49996, each rounded
    assert SIZE.value(u) == value


@pytest.mark.parametrize(
    ("dimension", "value", "u"),
    [
        (SIZE, 8, math.log(8 / 7.5) / math.log(128.5 / 7.5)),
        (SIZE, 128, math.log(128 / 7.5) / math.log(128.5 / 7.5)),
        (Dimension(key="model.layers", low=1, high=4, integer=True), 1, 0.125),
        (Dimension(key="model.layers", low=1, high=4, integer=True), 4, 0.875),
        (Dimension(key="training.momentum", low=0.01, high=1.0, log=True, complement=True), 0.9, 0.5),
        (Dimension(key="training.input_noise", low=0.0, high=2.0), 0.5, 0.25),
        (Dimension(key="training.input_noise", low=0.0, high=2.0), 3.0, 1.0),
    ],
)
def test_the_coordinate_of_a_value(dimension, value, u):
    assert dimension.coordinate(value) == pytest.approx(u, abs=1e-12)


@pytest.mark.parametrize("value", range(8, 129))
def test_the_coordinate_of_a_whole_number_leads_back_to_it(value):
    assert SIZE.value(SIZE.coordinate(value)) == value


def test_limits_and_axis_of_a_complement_are_those_of_the_value():
    momentum = Dimension(key="training.momentum", low=0.01, high=1.0, log=True, complement=True)
    assert (momentum.limits, momentum.log_axis) == ((0.0, 0.99), False)
    assert (SIZE.limits, SIZE.log_axis) == ((8, 128), True)


# Seeds, to the digit
# -------------------------------------------------------------------------------------------------------------


def test_seeds_are_those_of_the_first_version(design):
    trial = design.trial("adding", "gru", 2)
    assert trial.seed == int.from_bytes(hashlib.sha256(b"0/trial/adding/2").digest()[:8], "little") >> 1
    assert trial.data_seed == int.from_bytes(hashlib.sha256(b"0/data/adding").digest()[:8], "little") >> 1


def test_points_are_drawn_from_the_seed_the_task_and_their_number(design):
    seed = int.from_bytes(hashlib.sha256(b"0/points/adding/2").digest()[:8], "little")
    assert list(design.unit("adding", 2).values()) == np.random.default_rng(seed).random(2).tolist()


def test_the_points_of_a_sobol_sequence_do_not_depend_on_their_number(design):
    few, many = (replace(design, sampler="sobol", points=points) for points in (5, 60))
    assert [few.unit("adding", k) for k in range(5)] == [many.unit("adding", k) for k in range(5)]
