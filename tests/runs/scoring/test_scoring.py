"""What is measured for a scorecard, and the file that keeps it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from runs.record.archive import Archive
from runs.record.rows import tidy
from runs.scoring import speed
from runs.scoring.measured import Measured, Reach, Speed, read_measured, write_measured
from runs.scoring.reach import best_trial, chosen_task, reach_of
from tests.analysis.synthetic import study as synthetic
from tests.runs.conftest import make_design
from variants import GRU, Clockwork

MEASURED = Measured(
    variant="gru",
    facts={"processor": "a processor"},
    engine="fused",
    speeds=(Speed("width", 32, 32, 100, 32, 0.5, 0.4, 0.6, 0.01, 31),),
    task="adding",
    reaches=(Reach("gru", "id", 3, 9, "solved", [1.0, 0.5], [1.0, 0.9]),),
    notes=("speed at 128 units: no",),
)


def test_what_is_written_is_read(tmp_path):
    write_measured(tmp_path / "score" / "gru.json", MEASURED)
    assert read_measured(tmp_path / "score" / "gru.json") == MEASURED


@pytest.mark.parametrize(
    "damage",
    [
        lambda values: {**values, "format": "another"},
        lambda values: {k: v for k, v in values.items() if k != "speeds"},
        lambda values: {**values, "speeds": [{**values["speeds"][0], "ratio": "fast"}]},
        lambda values: {**values, "reaches": [{"variant": "gru"}]},
        lambda values: {**values, "facts": []},
        lambda values: [values],
    ],
)
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / "gru.json"
    write_measured(path, MEASURED)
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(ValueError, match=r"gru\.json is not a file of python -m runs\.score"):
        read_measured(path)


def test_widths_of_as_many_parameters_and_of_cells_that_refuse_some():
    assert speed.cell_units(GRU(), 32, "parameters") == 37  # 3H(H+3) = 4,440 beside the LSTM's 4,480
    assert speed.cell_units(Clockwork(periods=(1, 2, 4)), 32, "width") == 33


def test_both_steps_are_timed_in_turns():
    seen = []
    times = speed.in_turns(lambda: seen.append("mine"), lambda: seen.append("other"), turns=4)
    assert seen == ["mine", "other"] * 5  # the first turn is not counted
    assert times.shape == (4, 2)


def test_a_cell_that_cannot_be_fused_says_why(monkeypatch):
    monkeypatch.setattr(speed, "WIDTHS", (4,))
    monkeypatch.setattr(speed, "TURNS", 1)
    monkeypatch.setattr(speed, "STEPS", 3)
    engine, why, found, notes = speed.speeds({"_target_": "variants.NativeGRU", "label": "native_gru"})
    assert (engine, notes, len(found)) == ("torch", (), 2)
    assert why


def archive(*rows):
    """An archive of trials of which only these columns matter."""
    template = synthetic(("vanilla",), points=1)[0][0]
    usual = {
        **template,
        "study": "study",
        "stage": "search",
        "variant": "gru",
        "task": "adding",
        "status": "finished",
        "lag": 4,
    }
    numbers = {"validation_loss": 0.1, "solved_step": None, "hidden_size": 5, "learning_rate": 0.01, "size": 4}
    design = make_design()
    return Archive(tidy([{**usual, **numbers, "point": k, **row} for k, row in enumerate(rows)]), design, {})


def test_the_task_is_the_longest_that_is_solved():
    rows = [{"task": "recall", "lag": 3, "status": "solved"}, {"task": "adding", "lag": 4}]
    assert chosen_task(archive(*rows), "gru") == "recall"
    rows[1]["status"] = "solved"
    assert chosen_task(archive(*rows), "gru") == "adding"
    assert chosen_task(archive(*rows), "vanilla") == ""


def test_where_nothing_is_solved_the_task_is_the_shortest():
    assert chosen_task(archive({"task": "recall", "lag": 3}, {"task": "adding", "lag": 4}), "gru") == "recall"


def test_the_best_trial_has_the_width_and_the_values_of_its_row():
    rows = [{"validation_loss": 0.01}, {"status": "solved", "solved_step": 4.0, "validation_loss": 0.5, "size": 7}]
    point, trial = best_trial(archive(*rows), "adding", "gru")
    assert (point, trial.model.hidden_size, trial.training.learning_rate) == (1, 5, 0.01)
    assert best_trial(archive(*rows), "recall", "gru") is None


def test_gradients_are_relative_to_one_step_back():
    found, missing = reach_of(archive({}), "adding", "gru", {})
    assert missing == ""
    assert found.start[0] == found.trained[0] == 1.0
    assert all(math.isfinite(x) and x >= 0 for x in [*found.start, *found.trained])
    again, _ = reach_of(archive({}), "adding", "gru", {found.trial_id: found._replace(start=[7.0])})
    assert again.start == [7.0]  # what is known is not measured again


def test_a_design_that_says_too_little_is_a_note():
    one = archive({})
    found, missing = reach_of(replace(one, design=replace(one.design, initialisation={})), "adding", "gru", {})
    assert found is None
    assert "no trial can be trained again" in missing


def test_a_trial_without_a_loss_is_a_note():
    found, missing = reach_of(archive({"validation_loss": np.nan}), "adding", "gru", {})
    assert found is None
    assert "no trial on adding has a validation loss" in missing
