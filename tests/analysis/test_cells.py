"""Figures of trained cells, drawn from diagnoses as they are saved."""

from __future__ import annotations

import json

import numpy as np
import pytest

from analysis.figures.gallery import FIGURES, absent, parts
from analysis.figures.plots_cells import MOST_UNITS, activations, gradients, unit_order
from analysis.load import tidy
from analysis.tables import diagnosis as diagnostics
from runs.trial.diagnosis_file import FORMAT

from .synthetic import FIVE, TASKS, TWENTY, study

SPECS = [spec for spec in FIGURES if spec.name in ("gradients", "activations")]
GATES = {"gru": "run", "rnn": "", "my_own_cell": ("a+b", "k", "r", "u", "w", "v", "q", "e")}


def save(folder, table, task, variant, *, steps=12, units=9, seed=0, **changes):
    """One made-up diagnosis of the best trial of a pair in a table, as `runs.inside` would save it."""
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


CASES = {
    "five variants": {"variants": FIVE, "tasks": ("adding", "copying")},
    "one": {"variants": ("gru",)},
    "twenty variants": {"variants": TWENTY},
    "seven tasks": {"variants": ("vanilla", "rnn", "my_own_cell"), "tasks": tuple(TASKS)},
}


def saved(folder, case, **options):
    rows, design = study(**CASES[case], points=2)
    table = tidy(rows)
    for task, variant in table[["task", "variant"]].drop_duplicates().itertuples(index=False):
        save(folder, table, task, variant, **options)
    return table, design, diagnostics.read(folder)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_figure_draws_and_fits_a_page(spec, case, tmp_path):
    table, design, tables = saved(tmp_path, case)
    drawn = spec.draw(*next(parts(spec, table, design, tables))[1])
    drawn.figure.draw_without_rendering()
    width, height = drawn.figure.get_size_inches()
    assert width <= 7.3
    assert height <= 12.0
    assert len(drawn.data)


@pytest.mark.parametrize("draw", [gradients, activations])
def test_pairs_without_a_diagnosis_are_left_out_and_none_at_all_is_said(draw, tmp_path):
    rows, design = study(("vanilla", "gru"), ("adding", "copying"), points=2)
    table = tidy(rows)
    nothing = diagnostics.read(tmp_path)
    name = "gradients" if draw is gradients else "sequences"
    assert "no trained cell" in draw(table, design, nothing[name]).figure.texts[0].get_text()
    save(tmp_path, table, "copying", "gru")
    drawn = draw(table, design, diagnostics.read(tmp_path)[name])
    drawn.figure.draw_without_rendering()
    assert set(drawn.data["variant"]) == {"gru"}


def test_gradients_are_relative_to_lag_1_and_vanished_or_exploded_ones_are_not_drawn(tmp_path):
    rows, design = study(("vanilla",), points=2)
    table = tidy(rows)
    save(tmp_path, table, "adding", "vanilla", gradient_trained=np.array([2.0, 1.0, 0.5, *np.zeros(7), np.inf]))
    found = diagnostics.read(tmp_path)["gradients"]
    trained = found[found["phase"] == "trained"]
    assert trained["relative"].tolist()[:3] == [1.0, 0.5, 0.25]
    figure, _ = gradients(table, design, found)
    figure.draw_without_rendering()
    assert figure.axes[1].lines[0].get_xdata().tolist() == [1, 2, 3]


def notes(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_figures_say_how_the_runs_went_that_gave_the_networks(tmp_path):
    table, design, tables = saved(tmp_path, "one")
    assert "gru: 9 units, solved, test loss 0.0025" in notes(gradients(table, design, tables["gradients"]).figure)


@pytest.mark.parametrize("change", [{"trial_id": "of another day"}, {"reproduced": False}])
def test_a_network_that_is_not_the_one_of_the_table_has_an_asterisk(change, tmp_path):
    table, design, tables = saved(tmp_path, "one")
    shown = gradients(table, design, tables["gradients"].assign(**change)).figure
    assert "gru: 9 units, solved, test loss 0.0025 *" in notes(shown)


def test_all_maps_of_a_variant_have_their_units_in_one_order(tmp_path):
    states = np.outer([1.0, -2.0, 3.0, -1.0], [1.0, 2.0])
    assert unit_order(states).tolist() == [2, 0, 3, 1]
    rows, design = study(("vanilla",), points=2)
    table = tidy(rows)
    y = np.outer(np.ones(12), [0.1, 0.9, -0.5])
    maps = {"0.state.y": y, "0.state.c": 2 * y, "0.gate.i": np.abs(y)} | {f"0.gate.{g}": np.abs(y) for g in "zfo"}
    save(tmp_path, table, "adding", "vanilla", units=3, **maps)
    data = activations(table, design, diagnostics.read(tmp_path)["sequences"]).data
    for name, expected in (("y", [0.9, 0.1, -0.5]), ("c", [1.8, 0.2, -1.0]), ("i", [0.9, 0.1, 0.5])):
        assert data.loc[data["name"] == name, "step_3"].tolist() == pytest.approx(expected)


def test_a_wide_layer_shows_64_of_its_units(tmp_path):
    table, design, tables = saved(tmp_path, "one", units=150)
    data = activations(table, design, tables["sequences"]).data
    assert (data.groupby("name").size() == MOST_UNITS).all()


def test_a_diagnosis_of_another_format_is_left_out(tmp_path):
    rows, _ = study(("vanilla",), points=2)
    save(tmp_path, tidy(rows), "adding", "vanilla", about={"format": "another 2"})
    assert all(frame.empty for frame in diagnostics.read(tmp_path).values())


def test_the_command_that_makes_what_is_not_drawn_is_named(tmp_path):
    _, design, tables = saved(tmp_path, "one")
    titles = [spec.title for spec in SPECS]
    assert absent(design, {}) == {"python -m runs.inside study=synthetic": titles}
    assert absent(design, tables) == {}


def test_the_command_for_what_is_left_out_names_the_folder_and_the_own_classes(monkeypatch):
    monkeypatch.setenv("LSTM_VARIANTS_CLASSES", "my_package.MyCell")
    wanted = "LSTM_VARIANTS_CLASSES=my_package.MyCell python -m runs.inside study=mine results=elsewhere"
    assert set(absent({"name": "mine"}, {}, "elsewhere")) == {wanted}
