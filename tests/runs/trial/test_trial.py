import hashlib
import json

import pytest

import variants.engine
from runs.trial.classes import construct
from runs.trial.trial import ENGINES, Model, Outcome, Training, Trial
from tasks import Task
from variants import Cell

TRIAL = Trial(
    variant={"_target_": "variants.cells.lstm.Peephole", "label": "peephole", "peepholes": ("i", "o")},
    task={"_target_": "tasks.synthetic.adding.Adding", "label": "adding", "lag": 7},
    initialisation={"_target_": "variants.initialisation.Gaussian", "label": "gaussian", "std": 0.2},
    model=Model(hidden_size=5),
    training=Training(budget=11),
    seed=3,
)


def test_a_trial_survives_json_with_its_id():
    assert Trial.from_dict(json.loads(json.dumps(TRIAL.as_dict()))).id == TRIAL.id


def test_the_id_is_that_of_the_plain_values():
    text = json.dumps(TRIAL.as_dict(), sort_keys=True, separators=(",", ":"))
    assert TRIAL.id == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_the_id_does_not_depend_on_the_order_of_keys():
    turned = Trial.from_dict({k: TRIAL.as_dict()[k] for k in reversed(TRIAL.as_dict())})
    assert turned.id == TRIAL.id


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"data_seed": 1}, {"model": Model(hidden_size=6)}, {"training": Training(budget=12)}]
)
def test_the_id_changes_with_what_is_run(change):
    assert Trial(**{**TRIAL.__dict__, **change}).id != TRIAL.id


def test_an_outcome_survives_json():
    outcome = Outcome(
        status="solved",
        curve_steps=(0, 1),
        curve_losses=(0.5, 0.25),
        train_losses=(None, 0.4),
        test_metrics={"loss": 0.1},
    )
    assert Outcome.from_dict(json.loads(json.dumps(outcome.as_dict()))) == outcome


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        (Training, "learning_rate", 0.0),
        (Training, "learning_rate", float("nan")),
        (Training, "momentum", 1.0),
        (Training, "batch_size", 0),
        (Training, "budget", 0),
        (Training, "evaluations", 0),
        (Training, "clip_norm", -1.0),
        (Training, "input_noise", -0.1),
        (Training, "optimiser", "adamw"),
        (Training, "loss", "median"),
        (Training, "criterion", "test"),
        (Training, "confirmations", -1),
        (Training, "training_sequences", -1),
        (Model, "hidden_size", 0),
        (Model, "layers", 0),
        (Model, "engine", "cuda"),
        (Model, "dropout", 1.0),
        (Model, "recurrent_dropout", -0.1),
        (Model, "zoneout", True),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_name_and_itself(part, name, value):
    with pytest.raises(ValueError, match=rf"{part.__name__.lower()}\.{name} must .*, got {value!r}"):
        part(**{name: value})


def test_a_batch_is_not_larger_than_the_training_set():
    with pytest.raises(
        ValueError, match=r"^training\.batch_size must be at most training\.training_sequences \(10\), got 11$"
    ):
        Training(training_sequences=10, batch_size=11)


@pytest.mark.parametrize(
    ("training", "updates"),
    [
        ({"budget": 11}, 11),
        ({"budget": 11, "training_sequences": 10, "batch_size": 4}, 11),
        ({"budget": 11, "training_sequences": 10, "batch_size": 4, "epochs": 6}, 18),
        ({"budget": 11, "training_sequences": 12, "batch_size": 4, "epochs": 6}, 18),
    ],
)
def test_epochs_decide_the_number_of_updates(training, updates):
    assert Training(**training).updates == updates


def test_a_trial_of_a_version_without_training_sets_is_read_with_fresh_data_and_a_mean_loss():
    values = TRIAL.as_dict()
    for name in ("training_sequences", "epochs", "loss", "criterion"):
        del values["training"][name]
    assert Trial.from_dict(values) == TRIAL


def test_the_engines_are_those_that_there_are():
    assert ENGINES == variants.engine.ENGINES


def test_construct_builds_what_a_node_describes():
    assert construct(TRIAL.variant, Cell).knobs["peepholes"] == ("i", "o")


@pytest.mark.parametrize("target", ["nowhere.Cell", "variants.cells.lstm.Nothing", "variants.cells.lstm"])
def test_construct_names_a_target_that_it_cannot_use(target):
    with pytest.raises(ValueError, match=target.replace(".", r"\.")):
        construct({"_target_": target}, Cell)


def test_construct_names_a_knob_that_the_class_does_not_have():
    with pytest.raises(ValueError, match=r"adding: .*lagg"):
        construct({"_target_": "tasks.synthetic.adding.Adding", "label": "adding", "lagg": 3}, Task)
