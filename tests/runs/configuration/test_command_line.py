"""Bad input at the shell: one line that names the thing, the rule and the value, and exit code 2."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf.errors import MissingMandatoryValue

from runs import __main__ as runs_main
from runs import sweep
from runs.configuration.command_line import command_line
from runs.configuration.knobs import for_its_class
from runs.configuration.nodes import variant_node
from runs.configuration.schema import node_of, plain
from runs.configuration.study import checked, design_from
from runs.configuration.trial import trial_from
from runs.console.early import CONF
from runs.console.manual import manual
from runs.networks.building import untrained
from runs.trial.classes import construct
from runs.trial.trial import Model
from tasks import Task
from tests.tasks.real.instances import INSTANCES, in_place_of_music21
from variants import Cell, Options, Scheme, knobs_of

ROOT = CONF.parent
TINY = [
    "training.budget=3",
    "training.evaluation_sequences=8",
    "model.hidden_size=4",
    "task.lag=5",
    "tracking.enabled=false",
]


def call(monkeypatch, capsys, main, name, *arguments):
    """Exit code and output of `python -m runs...` with these arguments, in this process."""
    monkeypatch.setattr(sys, "argv", ["runs", *arguments])
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    GlobalHydra.instance().clear()
    with pytest.raises(SystemExit) as stop:
        command_line(main, name)
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("variant=foo", "unknown variant 'foo'; there is: .*coupled, .*vanilla"),
        ("task=foo", "unknown task 'foo'; there is: adding, "),
        ("initialisation=foo", "unknown initialisation 'foo'; there is: chrono, "),
        ("training=foo", "unknown training 'foo'; there is: default, "),
        ("task.lagg=3", "unknown key 'task.lagg'"),
        ("trainin.budget=3", "unknown key 'trainin.budget'"),
        ("task.lag=-3", "adding: lag must be at least 2, got -3"),
        ("task.lag=abc", "task.lag=abc: Value 'abc' .* Integer"),
        ("model.hidden_size=0", "model.hidden_size must be at least 1, got 0"),
        ("model.hidden_size=ten", "model.hidden_size=ten: Value 'ten' .* Integer"),
        ("model.dropout=0.5", "model.layers must be at least 2 with model.dropout, got 1"),
        ("model.recurrent_dropout=1", r"model.recurrent_dropout must be in \[0, 1\), got 1.0"),
        ("model.zoneout=some", r"model.zoneout must be in \[0, 1\), got 'some'"),
        ("model.zoneout={c: -1}", r"model.zoneout.c must be in \[0, 1\), got -1"),
        ("model.zoneout={q: 0.5}", r"vanilla: zoneout must be on a field that remembers \(y, c\), got 'q'"),
        ("training.learning_rate=0", "training.learning_rate must be positive and finite, got 0.0"),
        ("training.optimiser=adamw", "training.optimiser must be one of adam, nesterov, sgd, got 'adamw'"),
        ("variant.peepholes=[q]", r"vanilla: peepholes must be on gates that the cell has \(i, f, o\), got 'q'"),
        ("variant._target_=nowhere.Cell", "cell: cannot import 'nowhere.Cell'"),
    ],
)
def test_a_mistake_in_a_trial_is_one_line_and_exit_code_2(monkeypatch, capsys, tmp_path, argument, message):
    code, _, err = call(monkeypatch, capsys, runs_main.main, "trial", argument, f"results={tmp_path}")
    assert code == 2
    assert len(err.strip().splitlines()) == 1, err
    import re

    assert re.match(f"error: {message}", err), err


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("study=foo", "unknown study 'foo'; there is: .*quick, .*smoke"),
        ("space=foo", "unknown space 'foo'; there is: greff, "),
        ("variants=[vanilla,foo]", "unknown variant 'foo'; there is: "),
        ("variants=[gru]", "baseline must be one of the variants gru, got 'vanilla'"),
        ("variants=[vanilla,vanilla]", "variants must be different, got 'vanilla'"),
        ("+tasks.foo={}", "unknown task 'foo'; there is: adding, "),
        ("tasks.adding.lag=0", "adding: lag must be at least 2, got 0"),
        ("+tasks.adding.speed=0", "task adding: unknown knob 'speed'; its knobs are: lag"),
        ("points=0", "points must be at least 1, got 0"),
        ("workers=0", "workers must be at least 1, got 0"),
        ("workers=x", "workers=x: Value 'x' .* Integer"),
        ("action=go", "action must be one of run, status, stop, retry, repair, export, restore, got 'go'"),
        ("storage.url=sqlite:///a.db", "storage: SQLite is refused"),
        (
            "storage.url=postgresql+psycopg://me@127.0.0.1:1/db",
            "storage: cannot open postgresql\\+psycopg://me@127.0.0.1:1/db: ",
        ),
        (
            "storage.url=postgresql://me:secret@host/db",
            "a password on the command line ends up in process lists and logs; ",
        ),
        (
            "storage.url='postgresql://host/db?user=me&password=secret'",
            "a password on the command line ends up in process lists and logs; ",
        ),
        ("worker=-1", "worker must be at least 0, got -1"),
        ("storage=foo", "unknown storage 'foo'; there is: journal, postgres"),
        ("sampler=foo", "sampler must be one of random, sobol, tpe, cmaes, got 'foo'"),
        ("pruner=foo", "pruner must be one of none, asha, median, got 'foo'"),
        ("action=status", "study 'smoke' has not been started in "),
        ("space.learning_rate.low=1", "space: low must be below high for training.learning_rate"),
        ("+space.learning_rate.lo=1", "space.learning_rate: unknown key 'lo'; did you mean 'low'"),
        ("pointz=3", "unknown key 'pointz'"),
        ("stage=foo", "stage must be one of search, confirm, horizon, got 'foo'"),
        (
            "stage=confirm",
            "stage=confirm: study 'smoke' has not been started in .*; first the same command without stage=confirm",
        ),
        ("confirm.blocks=0", "confirm.blocks must be at least 1, got 0"),
        ("confirm.repeat=1", "unknown key 'confirm.repeat'"),
        ("horizon.runs_per_lag=2", r"horizon.runs_per_lag must be at least horizon.best \(3\), got 2"),
        ("horizon.above=x", "horizon.above=x: Value 'x' .* Integer"),
    ],
)
def test_a_mistake_in_a_study_is_one_line_and_exit_code_2(monkeypatch, capsys, tmp_path, argument, message):
    arguments = [argument, f"results={tmp_path}"] + ([] if argument.startswith("study=") else ["study=smoke"])
    code, _, err = call(monkeypatch, capsys, sweep.main, "sweep", *arguments)
    assert code == 2
    assert len(err.strip().splitlines()) == 1, err
    import re

    assert re.match(f"error: {message}", err), err


@pytest.mark.parametrize(("main", "name"), [(runs_main.main, "trial"), (sweep.main, "sweep")])
def test_a_results_folder_that_cannot_be_written_is_named(monkeypatch, capsys, tmp_path, main, name):
    (tmp_path / "file").touch()
    code, _, err = call(monkeypatch, capsys, main, name, f"results={tmp_path}/file")
    assert (code, "cannot write into" in err, str(tmp_path) in err) == (2, True, True)


@pytest.mark.parametrize(("main", "name"), [(runs_main.main, "trial"), (sweep.main, "sweep")])
def test_a_task_that_breaks_its_contract_is_refused_before_anything_is_started(
    monkeypatch, capsys, tmp_path, main, name
):
    from tasks.synthetic.adding import Adding

    original = Adding.batch

    def double(self, size, generator):
        batch = original(self, size, generator)
        return batch._replace(inputs=batch.inputs.double())

    monkeypatch.setattr(Adding, "batch", double)
    arguments = ["task=adding"] if name == "trial" else ["study=smoke"]
    code, _, err = call(monkeypatch, capsys, main, name, *arguments, f"results={tmp_path}")
    assert (code, err) == (2, "error: adding: inputs must be torch.float32, got torch.float64; use .float()\n")
    assert list(tmp_path.iterdir()) == []


def test_a_trial_prints_why_the_eager_engine_ran(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("variants.engine.fused.why_not", lambda cell, layers: "step calls lgamma")
    code, out, _ = call(
        monkeypatch, capsys, runs_main.main, "trial", "variant=gru", "task=adding", *TINY, f"results={tmp_path}"
    )
    assert code == 0
    assert ", eager engine (step calls lgamma), " in " ".join(out.split())


def test_a_trial_prints_how_it_went_and_writes_its_outcome(monkeypatch, capsys, tmp_path):
    code, out, _ = call(monkeypatch, capsys, runs_main.main, "trial", *TINY, f"results={tmp_path}")
    assert code == 0
    assert "vanilla on adding: not solved in 3 steps; test loss" in out
    assert len(list((tmp_path / "trials").glob("*.json"))) == 1


def test_a_trial_of_a_cell_outside_the_folder_runs_by_its_import_path(monkeypatch, capsys, tmp_path):
    (tmp_path / "cells_of_ones_own.py").write_text(
        "from variants.cells.lstm import Vanilla\n\n\nclass Leaky(Vanilla):\n"
        "    def __init__(self, *, leak: float = 0.5) -> None:\n"
        "        super().__init__()\n        self.leak = leak\n\n"
        "    def output_activation(self, c):\n        return self.leak * c\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    extra = ["variant._target_=cells_of_ones_own.Leaky", "+variant.leak=0.25"]
    code, out, _ = call(monkeypatch, capsys, runs_main.main, "trial", *TINY, *extra, f"results={tmp_path}")
    assert code == 0
    assert out.startswith("Leaky on adding: not solved")


def test_the_module_answers_at_the_shell_with_exit_code_2():
    done = subprocess.run([sys.executable, "-m", "runs", "variant=foo"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown variant 'foo'")


def options(group):
    return sorted({p.stem for p in (CONF / group).glob("*.yaml")})


@pytest.mark.parametrize(
    "variant",
    sorted({*Cell.registry, *options("variant")} - {n for n, c in Cell.registry.items() if "tests" in c.__module__}),
)
def test_every_variant_and_preset_composes_into_a_cell(composed, variant):
    cfg = composed("trial", overrides=[f"variant={variant}"])
    assert cfg.variant.label == variant
    assert isinstance(construct(plain(cfg.variant), Cell), Cell)


@pytest.fixture
def own_file(tmp_path):
    """A file of sequences for what cannot be made without one."""
    rows = [f"{sequence},{step * sequence % 5},{'ab'[sequence % 2]}" for sequence in range(40) for step in range(6)]
    (tmp_path / "own.csv").write_text("\n".join(["sequence,x,label", *rows]))
    return tmp_path / "own.csv"


@pytest.mark.parametrize("task", sorted({*Task.registry, *options("task")}))
def test_every_task_and_preset_composes_into_a_trial(composed, task, tmp_path, monkeypatch):
    needed = []
    if task in INSTANCES:
        path = getattr(INSTANCES[task](tmp_path, monkeypatch), "path", "")
        needed = ["training.batch_size=1", *([f"task.path={path}"] if path else [])]
    assert trial_from(composed("trial", overrides=[f"task={task}", *needed])).task["label"] == task


def test_a_study_of_ones_own_data_names_their_fingerprint_and_asks_for_their_file(composed, own_file):
    asked = ["study=own_data", f"tasks.sequences.path={own_file}"]
    (node,) = design_from(composed("sweep", overrides=asked)).tasks.values()
    assert node["sha256"] == Task.registry["sequences"](path=str(own_file)).fingerprint
    with pytest.raises(MissingMandatoryValue, match="path"):
        design_from(composed("sweep", overrides=["study=own_data"]))


@pytest.mark.parametrize("scheme", sorted(Scheme.registry))
def test_every_initialisation_composes(composed, scheme):
    assert trial_from(composed("trial", overrides=[f"initialisation={scheme}"])).initialisation["label"] == scheme


@pytest.mark.parametrize("training", options("training"))
def test_every_training_preset_composes(composed, training):
    trial_from(composed("trial", overrides=[f"training={training}"]))


# a value of each option of the network that is not its default, and where the built layer shows it
OPTIONS = {
    "hidden_size": ("5", lambda layer: layer.hidden_size == 5),
    "layers": ("3", lambda layer: layer.layers == 3),
    "bidirectional": ("true", lambda layer: layer.directions == 2),
    "engine": ("eager", lambda layer: layer.asked_engine == "eager"),
    "dropout": ("0.25", lambda layer: layer.dropout == 0.25),
    "recurrent_dropout": ("0.25", lambda layer: layer.recurrent_dropout == 0.25),
    "zoneout": ("{c: 0.25}", lambda layer: layer.zoneout == {"c": 0.25}),
    "layer_norm": ("true", lambda layer: layer.layer_norm is True),
}


def test_every_option_of_a_layer_is_a_field_of_the_model():
    of_the_trial = {"initialisation", "stream", "generator"}
    options = {f.name for f in fields(Options)} - of_the_trial
    assert options | {"hidden_size"} == {f.name for f in fields(Model)}


@pytest.mark.parametrize("name", [f.name for f in fields(Model)])
def test_every_option_of_a_layer_can_be_set_from_the_command_line(composed, name):
    value, shows = OPTIONS[name]
    needed = ["model.layers=2"] if name == "dropout" else []
    usual, _ = untrained(trial_from(composed("trial", overrides=needed)))
    network, _ = untrained(trial_from(composed("trial", overrides=[*needed, f"model.{name}={value}"])))
    assert (shows(usual.recurrent), shows(network.recurrent)) == (False, True)


def test_every_option_of_a_layer_is_in_the_help():
    assert [f.name for f in fields(Model) if f"model.{f.name} " not in manual("trial")] == []


@pytest.mark.parametrize("option", ["dropout=0.5", "recurrent_dropout=0.5", "zoneout=0.5", "layer_norm=true"])
def test_a_control_of_the_library_refuses_what_it_does_not_have(monkeypatch, capsys, tmp_path, option):
    arguments = ["variant=native_gru", "model.layers=2", f"model.{option}", f"results={tmp_path}"]
    code, _, err = call(monkeypatch, capsys, runs_main.main, "trial", *arguments)
    name, _, value = option.partition("=")
    assert (code, err) == (2, f"error: native_gru: a control takes no {name}, got {value.capitalize()}\n")


def test_a_study_refuses_a_variant_that_cannot_be_regularised(composed):
    arguments = ["study=smoke", "variants=[vanilla,native_gru]", "space=regularised"]
    with pytest.raises(ValueError, match="native_gru: a control takes no dropout, got "):
        checked(composed("sweep", overrides=arguments), arguments)


@pytest.mark.parametrize("space", options("space"))
def test_every_space_makes_a_design(composed, space):
    design_from(composed("sweep", overrides=["study=smoke", f"space={space}"]))


@pytest.mark.parametrize("study", options("study"))
def test_every_study_makes_a_design(composed, study, own_file, tmp_path, monkeypatch):
    needed = {"own_data": [f"tasks.sequences.path={own_file}"]}.get(study, [])
    config = composed("sweep", overrides=[f"study={study}", *needed])
    if "chorales" in config.tasks:
        in_place_of_music21(tmp_path, monkeypatch)
    assert design_from(config).name == study


def test_a_knob_of_a_class_is_an_option_with_its_default():
    for group in (Cell, Task, Scheme):
        for name, cls in group.registry.items():
            node = node_of(cls, name)()
            for knob, parameter in knobs_of(cls).items():
                value = getattr(node, knob)
                assert (tuple(value) if isinstance(value, list) else value) == parameter.default, f"{name}.{knob}"


def test_a_replaced_target_sheds_the_knobs_of_the_option_it_came_from():
    node = {"_target_": "my.Cell", "label": "vanilla", "peepholes": [], "keep_bias": 1.0, "leak": 2}
    assert for_its_class("variant", node, "vanilla") == {"_target_": "my.Cell", "label": "Cell", "leak": 2}


def test_a_study_takes_a_variant_by_its_import_path(composed):
    assert variant_node("variants.cells.gru.GRU") == {
        "_target_": "variants.cells.gru.GRU",
        "label": "gru",
        "keep_bias": 1.0,
    }


def test_a_class_of_ours_in_the_place_of_another_has_all_its_knobs():
    node = {"_target_": "variants.GRU", "label": "vanilla", "peepholes": [], "keep_bias": 1.0}
    assert for_its_class("variant", node, "vanilla") == {"_target_": "variants.GRU", "label": "gru", "keep_bias": 1.0}


def test_no_yaml_stands_in_a_folder_without_a_group():
    groups = {
        "variant",
        "task",
        "training",
        "space",
        "study",
        "discovery",
        "hydra",
        "storage",
        "tracking",
        "initialisation",
        "model",
    }
    assert {p.relative_to(CONF).parts[0] for p in Path(CONF).rglob("*.yaml") if p.parent != CONF} <= groups
