"""Weights, gradient norms and states of trained cells, and the command that saves them."""

import doctest
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import runs
from runs.inside import main
from runs.study.inspection import best_trials, differences, inspect_best, inspect_study, model_file, up_to_date
from runs.study.plan import Search
from runs.study.storage.opening import open_storage
from runs.study.study import Study
from runs.trial.diagnosis import diagnose, gradients, specification
from runs.trial.diagnosis_file import Diagnosis, read_diagnosis, write_diagnosis
from runs.trial.training import run, trained
from runs.trial.trial import Model, Outcome, Training, Trial
from runs.trial.weights import load_model, read_about, save_model
from tasks import Batch
from tasks.synthetic.adding import Adding
from variants import Cell, streams

ALL = sorted(name for name in Cell.registry if not Cell.registry[name].__module__.startswith("a_users"))


def trial_of(name, **changes):
    cls = Cell.registry[name]
    layers = max(1, cls().min_layers)
    values = {
        "variant": {"_target_": f"{cls.__module__}.{cls.__qualname__}", "label": name},
        "task": {
            "_target_": "tasks.synthetic.delayed_recall.DelayedRecall",
            "label": "delayed_recall",
            "lag": 5,
            "symbols": 3,
            "distractors": 2,
        },
        "initialisation": {"_target_": "variants.initialisation.GlorotOrthogonal", "label": "glorot_orthogonal"},
        "model": Model(hidden_size=8, layers=layers, engine="auto" if cls.control else "eager"),
        "training": Training(budget=3, evaluations=2, evaluation_sequences=16, batch_size=4),
        "seed": 5,
    }
    return Trial(**values | changes)


@pytest.mark.parametrize("name", ALL)
def test_a_loaded_network_gives_the_same_bits(name, tmp_path):
    trial = trial_of(name)
    network, outcome = trained(trial)
    save_model(tmp_path / "a.safetensors", network, trial, outcome, {"trial_id": trial.id})
    loaded, again = load_model(tmp_path / "a.safetensors")
    assert again == trial
    assert again.id == trial.id
    _, task = specification(trial)
    batch = task.batch(7, streams(3)("any"))
    with torch.no_grad():
        assert torch.equal(loaded(batch), network.eval()(batch))


def test_a_loaded_network_runs_on_the_engine_of_its_trial(tmp_path):
    trial = trial_of("vanilla", model=Model(hidden_size=3, engine="fused"))
    network, outcome = trained(trial)
    save_model(tmp_path / "a.safetensors", network, trial, outcome, {})
    assert load_model(tmp_path / "a.safetensors")[0].recurrent.engine == "fused"


def test_weights_shared_by_layers_are_stored_once_and_loaded_shared(tmp_path):
    grid = {"_target_": "variants.cells.grid.Grid", "label": "grid", "tied": True}
    trial = trial_of("grid", variant=grid, model=Model(hidden_size=4, layers=3, engine="eager"))
    network, outcome = trained(trial)
    save_model(tmp_path / "a.safetensors", network, trial, outcome, {})
    loaded, _ = load_model(tmp_path / "a.safetensors")
    assert loaded.parameter_count == network.parameter_count == sum(p.numel() for p in loaded.parameters())
    assert loaded.recurrent.parts[1]["R_zd"] is loaded.recurrent.parts[2]["R_zd"]


def test_a_file_that_is_none_of_ours_is_refused_in_one_line(tmp_path):
    from safetensors.torch import save_file

    torch.save({"w": torch.zeros(2)}, tmp_path / "pickled.pt")
    save_file({"w": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    for name, says in (
        ("pickled.pt", "is not a file of weights"),
        ("foreign.safetensors", "is not a model of this suite"),
        ("no", "no file"),
    ):
        with pytest.raises(ValueError, match=says) as error:
            load_model(tmp_path / name)
        assert "\n" not in str(error.value)


def test_a_loaded_network_is_ready_to_evaluate(tmp_path):
    trial = trial_of("rnn", model=Model(hidden_size=4, layers=2, dropout=0.5))
    network, outcome = trained(trial)
    save_model(tmp_path / "a.safetensors", network.train(), trial, outcome, {})
    assert not load_model(tmp_path / "a.safetensors")[0].training


def test_the_example_of_loading_a_network_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trial = trial_of("gru", task={"_target_": "tasks.Adding", "label": "adding", "lag": 5})
    network, outcome = trained(trial)
    save_model(model_file(tmp_path / "results" / "quick" / "models", "adding", "gru"), network, trial, outcome, {})
    (example,) = doctest.DocTestFinder().find(load_model, globs={"torch": torch})
    assert doctest.DocTestRunner().run(example).failed == 0
    assert runs.load_model is load_model


def test_what_loads_networks_does_not_import_torch_before_it_is_asked_for():
    code = "import sys, runs; sys.exit('torch' in sys.modules or not callable(runs.load_model))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_weights_of_another_format_are_refused(tmp_path, monkeypatch):
    network, outcome = trained(trial_of("rnn"))
    monkeypatch.setattr("runs.trial.weights.FORMAT", "lstm-variants model 0")
    save_model(tmp_path / "a.safetensors", network, trial_of("rnn"), outcome, {})
    monkeypatch.undo()
    with pytest.raises(ValueError, match="its format is 'lstm-variants model 0', not 'lstm-variants model 1'"):
        load_model(tmp_path / "a.safetensors")


def test_a_file_of_weights_says_what_it_belongs_to(tmp_path):
    trial = trial_of("rnn")
    network, outcome = trained(trial)
    save_model(tmp_path / "a.safetensors", network, trial, outcome, {"commit": "c0ffee"})
    found = read_about(tmp_path / "a.safetensors")
    assert Trial.from_dict(found["trial"]) == trial
    assert Outcome.from_dict(found["outcome"]) == outcome
    assert found["about"] == {"commit": "c0ffee"}


def test_weights_of_another_width_are_refused_by_name(tmp_path):
    network, outcome = trained(trial_of("rnn"))
    wider = trial_of("rnn", model=Model(hidden_size=9))
    save_model(tmp_path / "a.safetensors", network, wider, outcome, {})
    with pytest.raises(ValueError, match=r"do not fit.*recurrent.parts.0.R_h"):
        load_model(tmp_path / "a.safetensors")


@pytest.mark.parametrize("name", ALL)
def test_a_diagnosis_has_gradients_by_lag_and_every_state_over_a_sequence(name):
    trial = trial_of(name)
    network, outcome = trained(trial)
    about, arrays = diagnose(trial, network, outcome)
    steps, layers, width = 6, trial.model.layers, trial.model.hidden_size
    assert arrays["lag"].tolist() == [1, 2, 3, 4, 5]
    for phase in ("start", "trained"):
        norms, by_layer = arrays[f"gradient_{phase}"], arrays[f"gradient_{phase}_by_layer"]
        assert norms.shape == (5,)
        assert by_layer.shape == (layers, 5)
        assert np.isfinite(norms).all()
        assert (norms > 0).all()
        assert (norms <= by_layer.sum(0) * (1 + 1e-12)).all()
    cell = Cell.registry[name]()
    sizes = {name: cell.size_of(name, width) for name in cell.State._fields}
    fields = [field for field, size in sizes.items() if size == width]
    states = {key for key in arrays if ".state." in key}
    assert states == {f"{layer}.state.{field}" for layer in range(layers) for field in fields}
    assert all(arrays[key].shape == (steps, width) for key in arrays if key[0].isdigit())
    assert set(about["functions"]) == {key for key in arrays if ".gate." in key}
    assert arrays["relevant"].nonzero()[0].tolist() == [0, 5]
    assert arrays["relevant_by_lag"].tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("name", ["peephole", "gru", "depth_gated", "grid", "clockwork", "irnn"])
def test_gradient_norms_are_those_of_finite_differences_of_the_carried_state(name):
    network, task = specification(trial_of(name))
    batch = task.batch(2, streams(1)("any"))
    batch = Batch(batch.inputs.double(), batch.targets, batch.reads)
    found = gradients(network, task, batch)
    recurrent, lag, step = network.recurrent, 3, 1e-6
    cut = len(batch.inputs) - lag
    with torch.no_grad():
        _, state = recurrent(batch.inputs[:cut])

        def losses(changed):
            outputs, _ = recurrent(batch.inputs[cut:], changed)
            answers = network.readout(outputs[-1:])
            return torch.stack(
                [task.loss(answers[:, [b]], batch._replace(targets=batch.targets[:, [b]])) for b in range(2)]
            )

        squares = torch.zeros(2, dtype=torch.float64)
        for layer, s in enumerate(state):
            for field in s._fields:
                if field == "wait":  # a counter: the loss jumps with it
                    continue
                for unit in range(recurrent.hidden_size):
                    ends = []
                    for sign in (step, -step):
                        moved = getattr(s, field).clone()
                        moved[:, unit] += sign
                        ends.append(losses((*state[:layer], s._replace(**{field: moved}), *state[layer + 1 :])))
                    squares += ((ends[0] - ends[1]) / (2 * step)).square()
    assert found.norms[lag - 1] == pytest.approx(float(squares.sqrt().mean()), rel=1e-6)


def test_a_linear_accumulator_carries_the_gradient_undiminished():
    trial = trial_of("irnn", task={"_target_": "tasks.synthetic.adding.Adding", "label": "adding", "lag": 9})
    network, task = specification(trial)
    with torch.no_grad():  # all units stay in the linear part of relu, and R is the identity
        network.recurrent.parts[0]["W_h"].abs_()
    batch = task.batch(4, streams(1)("any"))
    found = gradients(network, task, Batch(batch.inputs.double(), batch.targets.double(), batch.reads))
    assert found.norms == pytest.approx(np.full(8, found.norms[0]), rel=1e-12)


def test_only_the_last_answer_counts():
    task = {"_target_": "tasks.synthetic.copying.Copying", "label": "copying", "lag": 2, "length": 2, "symbols": 3}
    network, copying = specification(trial_of("gru", task=task))
    batch = copying.batch(3, streams(1)("any"))
    batch = Batch(batch.inputs.double(), batch.targets, batch.reads)
    other = batch._replace(targets=torch.cat([(batch.targets[:-1] + 1) % 3, batch.targets[-1:]]))
    assert gradients(network, copying, batch).norms.tolist() == gradients(network, copying, other).norms.tolist()


def test_sequences_of_several_lengths_have_lags_of_their_own():
    task = {"_target_": "tasks.synthetic.temporal_order.TemporalOrder", "label": "temporal_order", "lag": 20}
    network, order = specification(trial_of("rnn", task=task))
    batch = order.batch(12, streams(1)("any"))
    found = gradients(network, order, Batch(batch.inputs.double(), *batch[1:]))
    assert found.sequences[0] == 12
    assert len(found.norms) == int(batch.lengths.max()) - 1
    assert 0 < found.sequences[-1] < 12


def test_a_diagnosis_is_read_as_it_was_written(tmp_path):
    arrays = {"lag": np.arange(1, 4), "0.gate.f": np.linspace(0, 1, 6, dtype=np.float32).reshape(3, 2)}
    write_diagnosis(tmp_path / "a.npz", Diagnosis({"task": "adding", "lag": 3}, arrays))
    about, found = read_diagnosis(tmp_path / "a.npz")
    assert (about["task"], about["lag"]) == ("adding", 3)
    assert list(found) == list(arrays)
    for name, values in arrays.items():
        assert found[name].dtype == values.dtype
        assert np.array_equal(found[name], values)


def test_a_diagnosis_of_another_format_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr("runs.trial.diagnosis_file.FORMAT", "lstm-variants diagnosis 1")
    write_diagnosis(tmp_path / "a.npz", Diagnosis({}, {}))
    monkeypatch.undo()
    assert read_diagnosis(tmp_path / "a.npz") is None


def test_a_diagnosis_is_read_without_torch():
    code = "import sys, runs.trial.diagnosis_file; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_files_of_a_model_have_no_sign_of_a_path_in_their_names(tmp_path):
    assert model_file(tmp_path, "a b/c", "..x y") == tmp_path / "a_b_c" / "..x_y.safetensors"


@pytest.mark.parametrize("options", [{"zoneout": 0.3}, {"layer_norm": True}, {"dropout": 0.5, "layers": 2}])
def test_a_regularised_network_is_diagnosed_without_its_masks(options):
    trial = trial_of("gru", model=Model(hidden_size=5, **options))
    network, outcome = trained(trial)
    first, second = (diagnose(trial, network, outcome).arrays for _ in range(2))
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert {"0.gate.r", "0.gate.u", "0.gate.n", "0.state.h"} <= first.keys()


def test_both_directions_are_refused_with_the_reason():
    with pytest.raises(ValueError, match="rnn: a network that reads in both directions has no lag"):
        specification(trial_of("rnn", model=Model(hidden_size=3, bidirectional=True)))


@pytest.fixture
def studied(design, tmp_path):
    design = replace(design, model=Model(engine="eager"))
    folder = tmp_path / design.name
    study = Study.create(open_storage("", folder), Search(design), {})
    while (claim := study.claim()) is not None:
        study.finish(claim, run(claim.trial))
    return study, folder


def test_the_best_trial_is_the_one_with_the_lowest_validation_loss(studied):
    study, _ = studied
    losses = {}
    for finished in study.finished_trials():
        losses.setdefault((finished.task, finished.variant), []).append(finished.outcome.validation_loss)
    best = best_trials(study)
    assert {key: b.outcome.validation_loss for key, b in best.items()} == {
        key: min(values) for key, values in losses.items()
    }


def test_a_pruned_trial_is_never_the_best_and_of_equals_the_first_is(design, tmp_path):
    one_task = replace(design, tasks={"adding": design.tasks["adding"]})
    study = Study.create(open_storage("", tmp_path), Search(one_task), {})
    outcomes = {
        0: Outcome(status="pruned", validation_loss=0.1),
        1: Outcome(status="finished", validation_loss=0.5),
        2: Outcome(status="finished", validation_loss=0.5),
    }
    while (claim := study.claim()) is not None:
        study.finish(claim, outcomes[claim.index])
    assert {best.point for best in best_trials(study).values()} == {1}


def test_a_study_is_looked_into_once_and_gives_the_networks_on_record(studied):
    study, folder = studied
    lines = list(inspect_study(study, folder / "models"))
    assert [worked for worked, _ in lines] == [True] * 4
    assert not any("not as recorded" in line for _, line in lines)
    for (task, variant), best in best_trials(study).items():
        path = model_file(folder / "models", task, variant)
        assert read_about(path)["about"]["reproduced"] is True
        assert load_model(path)[1] == best.trial
        assert up_to_date(path, best.trial)
        assert not up_to_date(path, replace(best.trial, seed=1))
    before = {p: p.stat().st_mtime_ns for p in (folder / "models").rglob("*.*")}
    assert [line for _, line in inspect_study(study, folder / "models")] == ["4 of 4 are there and up to date"]
    assert {p: p.stat().st_mtime_ns for p in (folder / "models").rglob("*.*")} == before


def test_a_network_that_is_not_the_one_on_record_is_saved_with_its_own_outcome_and_said(studied):
    study, folder = studied
    best = best_trials(study)["adding", "gru"]
    other = replace(best.outcome, test_loss=99.0)
    worked, line = inspect_best(best._replace(outcome=other), folder / "models", {})
    assert worked
    assert "not as recorded (test_loss)" in line
    path = model_file(folder / "models", "adding", "gru")
    about = read_diagnosis(path.with_suffix(".npz")).about
    assert (about["test_loss"], about["reproduced"]) == (best.outcome.test_loss, False)
    assert read_about(path)["about"]["reproduced"] is False


def test_a_missing_diagnosis_is_made_again(studied):
    study, folder = studied
    list(inspect_study(study, folder / "models"))
    path = model_file(folder / "models", "adding", "gru").with_suffix(".npz")
    path.write_bytes(path.read_bytes()[:50])
    assert len(list(inspect_study(study, folder / "models"))) == 2
    assert np.load(path, allow_pickle=False)["lag"].tolist() == [1, 2, 3]


def test_what_came_out_otherwise_is_named():
    a = Outcome(status="finished", test_loss=0.5, seconds=1.0)
    assert differences(a, replace(a, seconds=2.0)) == []
    assert differences(a, replace(a, test_loss=0.6)) == ["test_loss"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [([], "say which study"), (["study=absent"], "has not been started"), (["workers=0", "study=a"], "workers")],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments, says, tmp_path, capsys):
    assert main([f"results={tmp_path}", *arguments]) == 2
    message = capsys.readouterr().err
    assert says in message
    assert message.count("\n") == 1


def test_the_command_saves_and_says_so(studied, capsys):
    _, folder = studied
    assert main([f"study={folder.name}", f"results={folder.parent}"]) == 0
    assert "saved in" in capsys.readouterr().out
    assert len(list((folder / "models").glob("*/*.safetensors"))) == 4


def test_the_task_of_the_shown_sequence_marks_its_numbers():
    batch = Adding(lag=6).batch(3, streams(1)("any"))
    assert Adding(lag=6).relevant(batch).sum(0).tolist() == [2, 2, 2]
