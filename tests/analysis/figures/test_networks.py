"""Figures of trained networks, made from diagnoses as they are saved."""

from __future__ import annotations

import json

import numpy as np
import pytest

from analysis.figures import activations, attention_maps, gradients
from analysis.figures.activations import MOST_UNITS, unit_order
from analysis.tables import diagnosis
from runs.trial.diagnosis_file import FORMAT
from tests.analysis.synthetic import by_hand

GATES = {"gru": "run", "rnn": "", "my_own_cell": ("a+b", "k", "r", "u", "w", "v", "q", "e")}


def save(folder, table, task, variant, *, steps=12, units=9, seed=0, **changes):
    """One made-up diagnosis of the best trial of a pair in a table, as `runs.inside` saves it."""
    rng = np.random.default_rng([seed, *variant.encode()])
    own = table[(table["task"] == task) & (table["variant"] == variant)]
    lag = np.arange(1, steps)
    arrays = {"lag": lag, "gradient_start": 0.6**lag, "gradient_trained": 0.9**lag, "sequences": np.full(steps - 1, 32)}
    arrays |= {
        "relevant_by_lag": (lag > steps - 3) * 0.5,
        "inputs": rng.random((steps, 2)),
        "reads": np.array([steps - 1]),
    }
    arrays["relevant"] = np.arange(steps) == 1
    alpha = rng.random((3, 4, steps))
    arrays["attention"] = alpha / alpha.sum(2, keepdims=True)
    arrays |= {"attention_reads": np.full((3, 4), steps - 1), "attention_relevant": np.tile(arrays["relevant"], (3, 1))}
    names = {f"0.gate.{g}": "sigmoid" for g in GATES.get(variant, "zifo")}
    arrays |= {name: rng.random((steps, units)) for name in names}
    arrays |= {f"0.state.{f}": rng.normal(size=(steps, units)) for f in ("y", "c")}
    about = {
        "format": FORMAT,
        "task": task,
        "variant": variant,
        "trial_id": own["trial_id"].iloc[0],
        "hidden_size": units,
    }
    about |= {"status": "solved", "test_loss": 0.0025, "reproduced": True}
    arrays["about"] = np.array(
        json.dumps({**about, "functions": names, "layers": 1, "lag": 5} | changes.pop("about", {}))
    )
    path = folder / task / f"{variant}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays | changes)


def diagnosed(folder, study, **options):
    """Diagnoses of the best trial of each pair with trials, saved and read."""
    for task, variant in study.table[["task", "variant"]].drop_duplicates().itertuples(index=False):
        save(folder, study.table, task, variant, **options)
    return diagnosis.read(folder)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.fixture(scope="module")
def gru():
    return by_hand({"variant": "gru"})


@pytest.mark.parametrize(
    ("module", "table"), [(gradients, "gradients"), (activations, "sequences"), (attention_maps, "attention")]
)
def test_pairs_without_a_diagnosis_are_left_out(module, table, tmp_path):
    study = by_hand({}, {"variant": "gru"}, {"task": "copying"}, {"task": "copying", "variant": "gru"})
    save(tmp_path, study.table, "copying", "gru")
    data = module.numbers(study, diagnosis.read(tmp_path)[table]).data
    assert data[["task", "variant"]].drop_duplicates().to_numpy().tolist() == [["copying", "gru"]]


def test_only_the_highest_layer_is_on_top(tmp_path):
    save(tmp_path, by_hand({}).table, "adding", "vanilla", about={"layers": 2}, **{"1.state.y": np.ones((12, 9))})
    found = diagnosis.read(tmp_path)["sequences"].query("layer >= 0")
    assert {(row["layer"], row["top"]) for row in found.to_dict("records")} == {(0, False), (1, True)}


def test_vanished_and_exploded_gradients_are_not_drawn(tmp_path):
    study = by_hand({})
    save(tmp_path, study.table, "adding", "vanilla", gradient_trained=np.array([2.0, 1.0, 0.5, *np.zeros(7), np.inf]))
    numbers = gradients.numbers(study, diagnosis.read(tmp_path)["gradients"])
    lags, norms = numbers.curve("adding", "vanilla", "trained")
    assert (lags.tolist(), norms.tolist()) == ([1, 2, 3], [1.0, 0.5, 0.25])
    assert gradients.draw(numbers).axes[0].lines[1].get_xdata().tolist() == [1, 2, 3]


def test_gradients_of_a_task_share_an_axis_that_shows_the_smallest_worth_showing(tmp_path):
    study = by_hand({})
    falling = np.array([1.0, 0.01, *np.full(9, 1e-12)])
    save(tmp_path, study.table, "adding", "vanilla", gradient_start=np.ones(11), gradient_trained=falling)
    low, high = gradients.numbers(study, diagnosis.read(tmp_path)["gradients"]).limits["adding"]
    assert (low, high) == pytest.approx((1e-9 / 1e9**0.12, 1e9**0.06))


def test_foot_of_a_panel_is_the_largest_share_of_relevant_inputs_at_each_lag(tmp_path):
    study = by_hand({}, {"variant": "gru"})
    save(tmp_path, study.table, "adding", "vanilla", relevant_by_lag=np.array([0.0, 0.25, 0.5, *np.zeros(8)]))
    save(tmp_path, study.table, "adding", "gru", relevant_by_lag=np.array([0.0, 0.75, *np.zeros(9)]))
    found = gradients.numbers(study, diagnosis.read(tmp_path)["gradients"]).relevant
    trained = found[found["phase"] == "trained"]
    assert trained[["lag", "relevant"]].to_numpy().tolist() == [[2, 0.75], [3, 0.5]]


def test_figures_say_how_the_runs_went_that_gave_the_networks(gru, tmp_path):
    found = diagnosed(tmp_path, gru)["gradients"]
    numbers = gradients.numbers(gru, found)
    assert numbers.outcomes == {("adding", "gru"): "9 units, solved, test loss 0.0025"}
    assert "9 units\nsolved\ntest loss 0.0025" in texts(gradients.draw(numbers))


@pytest.mark.parametrize("change", [{"trial_id": "of another day"}, {"reproduced": False}])
def test_a_network_that_is_not_the_one_of_the_table_has_an_asterisk(change, gru, tmp_path):
    found = diagnosed(tmp_path, gru)["gradients"].assign(**change)
    assert gradients.numbers(gru, found).outcomes["adding", "gru"] == "9 units, solved, test loss 0.0025 *"


def test_units_are_ordered_by_the_first_principal_component_of_their_states():
    assert unit_order(np.outer([1.0, -2.0, 3.0, -1.0], [1.0, 2.0])).tolist() == [2, 0, 3, 1]


def test_all_maps_of_a_variant_have_their_units_in_one_order(tmp_path):
    study = by_hand({})
    y = np.outer(np.ones(12), [0.1, 0.9, -0.5])
    maps = {"0.state.y": y, "0.state.c": 2 * y, "0.gate.i": np.abs(y)} | {f"0.gate.{g}": np.abs(y) for g in "zfo"}
    save(tmp_path, study.table, "adding", "vanilla", units=3, **maps)
    numbers = activations.numbers(study, diagnosis.read(tmp_path)["sequences"])
    for name, expected in (("y", [0.9, 0.1, -0.5]), ("c", [1.8, 0.2, -1.0]), ("i", [0.9, 0.1, 0.5])):
        assert numbers.data.loc[numbers.data["name"] == name, "step_3"].tolist() == pytest.approx(expected)
    assert [(one.kind, one.name) for one in numbers.maps["adding"]["vanilla"]] == [
        *(("gate", name) for name in "zifo"),
        *(("state", name) for name in "yc"),
    ]


def test_a_sequence_has_its_inputs_and_the_steps_that_decide_and_read_an_answer(gru, tmp_path):
    sequence = activations.numbers(gru, diagnosed(tmp_path, gru)["sequences"]).sequences["adding"]
    assert (sequence.inputs.shape, sequence.marks.tolist(), sequence.reads.tolist()) == ((2, 12), [1], [11])


def test_a_wide_layer_shows_64_of_its_units(gru, tmp_path):
    data = activations.numbers(gru, diagnosed(tmp_path, gru, units=150)["sequences"]).data
    assert (data.groupby("name").size() == MOST_UNITS).all()


def test_a_diagnosis_of_another_format_is_left_out(tmp_path):
    save(tmp_path, by_hand({}).table, "adding", "vanilla", about={"format": "another 2"})
    assert all(frame.empty for frame in diagnosis.read(tmp_path).values())


def test_attention_maps_show_answers_steps_and_the_share_on_inputs_that_decide(gru, tmp_path):
    alpha = np.zeros((2, 1, 12))
    alpha[0, 0, [1, 5]], alpha[1, 0, 1] = (0.25, 0.75), 1.0
    marks = np.tile(np.arange(12) == 1, (2, 1))
    arrays = {"attention": alpha, "attention_reads": np.full((2, 1), 11), "attention_relevant": marks}
    save(tmp_path, gru.table, "adding", "gru", **arrays)
    numbers = attention_maps.numbers(gru, diagnosis.read(tmp_path)["attention"])
    assert numbers.shares == {("adding", "gru"): 0.625}
    data = numbers.data
    assert data.loc[data["attention"] > 0, ["sequence", "step", "attention"]].to_numpy().tolist() == [
        [0, 1, 0.25],
        [0, 5, 0.75],
        [1, 1, 1.0],
    ]
    assert any("62%" in text or "62 %" in text for text in texts(attention_maps.draw(numbers)))


def test_networks_that_do_not_attend_have_no_attention_map(gru, tmp_path):
    save(tmp_path, gru.table, "adding", "gru")
    path = next(tmp_path.glob("*/*.npz"))
    with np.load(path) as file:
        kept = {name: file[name] for name in file.files if not name.startswith("attention")}
    np.savez(path, **kept)
    assert diagnosis.read(tmp_path)["attention"].empty
