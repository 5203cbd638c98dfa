import json
from dataclasses import replace

import pytest

from runs.networks.readout import Network
from runs.study.design import Design, Dimension, network_parameters
from runs.trial.trial import Model, construct
from tasks import Task
from variants import Cell, Scheme, streams

from .conftest import make_design


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


def test_matched_variants_have_the_nearest_number_of_parameters(design):
    task = construct(design.tasks["adding"], Task)
    gru, vanilla = (construct(design.variants[v], Cell) for v in ("gru", "vanilla"))
    for point in range(20):
        wanted = network_parameters(vanilla, task, Model(), design.trial("adding", "vanilla", point).model.hidden_size)
        size = design.trial("adding", "gru", point).model.hidden_size
        distance = [abs(network_parameters(gru, task, Model(), size + d) - wanted) for d in (-1, 0, 1)]
        assert distance[1] == min(distance)


def test_width_matching_gives_all_variants_the_width_of_the_point():
    design = make_design(match="width")
    assert design.trial("adding", "vanilla", 1).model == design.trial("adding", "gru", 1).model


def test_the_predicted_number_of_parameters_is_that_of_the_network(design):
    for options in ({}, {"bidirectional": True}, {"layer_norm": True}):
        model = Model(hidden_size=5, layers=2, **options)
        for node in design.variants.values():
            cell, task = construct(node, Cell), construct(design.tasks["adding"], Task)
            network = Network(cell, task, model, construct(design.initialisation, Scheme), streams(0))
            assert network.parameter_count == network_parameters(cell, task, model, 5)


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
        ({"match": "size"}, "match must be one of parameters, width, got 'size'"),
        ({"baseline": "lstm"}, "baseline must be one of the variants vanilla, gru, got 'lstm'"),
        ({"variants": {}}, "variants of a study must not be empty"),
        ({"tasks": {}}, "tasks of a study must not be empty"),
        ({"space": {}}, "space must have at least one"),
        ({"name": "a/b"}, "name of a study .* got 'a/b'"),
    ],
)
def test_a_design_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_design(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": "training.speed"}, "space: key must be one of .* got 'training.speed'"),
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
        make_design(space=space)
