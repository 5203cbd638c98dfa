"""Every task with data keeps the contract: parts, floors, fingerprint, docstring.

A new task is covered once it has an entry in `instances.INSTANCES`.
"""

import inspect
import math

import pytest
import torch

from tasks import DataTask, Task
from tasks.contract import try_out
from tasks.task import PARTS
from tests.tasks.real.instances import INSTANCES

REAL = {
    name for name, cls in Task.registry.items() if issubclass(cls, DataTask) and cls.__module__.startswith("tasks.")
}


@pytest.fixture(scope="module", params=sorted(INSTANCES))
def task(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield INSTANCES[request.param](tmp_path_factory.mktemp(request.param), patch)


def sequences(batch):
    """Each sequence of a batch as bytes, with its answers."""
    lengths = [len(batch.inputs)] * batch.size if batch.lengths is None else batch.lengths.tolist()
    return [
        batch.inputs[:n, b].numpy().tobytes() + batch.targets[:, b].numpy().tobytes() for b, n in enumerate(lengths)
    ]


def test_every_task_with_data_has_an_instance():
    assert set(INSTANCES) == REAL, "add the missing ones to tests/tasks/real/instances.py"


def test_the_contract_holds(task):
    try_out(task)


def test_no_sequence_is_in_two_parts(task):
    held = [set(sequences(task.part(name))) for name in PARTS]
    assert not held[0] & held[1]
    assert not held[0] & held[2]
    assert not held[1] & held[2]


def test_a_part_is_the_same_batch_each_time(task):
    assert all(task.part(name) is task.part(name) for name in PARTS)


def test_the_order_of_sequences_does_not_depend_on_their_lengths(task):
    lengths = task.part("train").lengths
    if lengths is not None and len(lengths.unique()) > 2:
        assert lengths.tolist() not in (lengths.sort().values.tolist(), lengths.sort(descending=True).values.tolist())


def test_the_floor_lies_below_a_model_without_input_and_above_the_reference(task):
    without = [loss for name, loss in task.baselines().items() if name.startswith("no input")]
    assert all(task.floor < loss for loss in without)
    assert task.score(task.floor) == 0
    assert task.score(task.reference or 0.0) == 1
    assert task.reference is None or task.reference_source


def test_losses_of_simple_models_are_numbers(task):
    assert all(math.isfinite(loss) and loss > 0 for loss in task.baselines().values())


def test_the_fingerprint_is_that_of_the_data(task):
    knobs = inspect.signature(type(task)).parameters
    again = {name: value for name, value in vars(task).items() if name in knobs and value is not None}
    assert len(task.fingerprint) == 64
    assert type(task)(**{**again, "sha256": task.fingerprint}).fingerprint == task.fingerprint
    with pytest.raises(ValueError, match="the data must be those"):
        type(task)(**{**again, "sha256": "0" * 64})


def test_the_last_knob_is_the_fingerprint(task):
    assert list(inspect.signature(type(task)).parameters)[-1] == "sha256"


def test_a_task_that_predicts_its_input_is_causal(task):
    batch = task.part("test")
    seen = batch.inputs.argmax(-1) if batch.targets.dim() == 2 else batch.inputs  # classes as one-hot vectors
    if len(batch.targets) > 1 and batch.targets.shape == seen.shape:
        asked = slice(None) if batch.weights is None else batch.weights[1:, 0] > 0
        later = torch.equal(batch.targets[:-1, 0][asked], seen[1:, 0][asked])
        assert task.causal or not later


@pytest.mark.parametrize("name", sorted(REAL))
def test_every_docstring_draws_an_example_and_explains_floor_score_and_knobs(name):
    text = inspect.getdoc(Task.registry[name])
    lines = [line.split()[:1] for line in text.splitlines()]
    assert lines.index(["input"]) < lines.index(["target"])
    assert all(word in text for word in ("without memory", "score", "Source:"))
    assert all(f"\n{knob}: " in text for knob in inspect.signature(Task.registry[name]).parameters)
