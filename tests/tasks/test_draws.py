"""The data of a trial stay the same to the bit, whatever makes them faster to draw."""

import hashlib

import pytest

from runs.trial.data import batches
from runs.trial.trial import Model, Training, Trial
from tasks import DataTask, Task

KNOBS = {
    "adding_1997 logistic": {"logistic": True},
    "delayed_recall cues": {"cues": 2},
    "associative_recall one query": {"queries": 1},
    "embedded_reber free": {"lag": None},
    "long_lag_next fixed": {"random": False},
    "two_sequence noisy_signals": {"noisy_signals": True},
    "two_sequence noisy_targets": {"noisy_targets": True},
}
DRAWS = {
    "adding": "03b63e7698203c14",
    "adding_1997": "9f4bf34fca945301",
    "copying": "7012a455ccce5000",
    "delayed_recall": "9ac705d4e0bafab0",
    "multiplication": "26e8d7b85723da00",
    "temporal_order": "6320ee1e26c212f6",
    "temporal_order_3": "96a1cb5c687f9efa",
    "adding_1997 logistic": "9f4bf34fca945301",
    "delayed_recall cues": "3d0bd96c68508bfb",
    "arithmetic": "1b97084a70c44400",
    "associative_recall": "f097e9ef75fc5a28",
    "associative_recall one query": "caaeef76c746c444",
    "joint_bits": "399a0d2c5cd1921c",
    "captioning": "905e4b18754364c7",
    "permuted_copying": "863f5004365c7a30",
    "cycle": "cd25694a0dcdcdf9",
    "parity": "27b9842c5c2536fd",
    "selective_copying": "4cdd10435a6adfdc",
    "time_warp": "7e2ff7f3df8069d2",
    "xml": "f1d6987fe824a414",
    "embedded_reber": "c84c1cbed19a8fcd",
    "embedded_reber free": "b403e21475c768b1",
    "long_lag": "08cacc336a0eb654",
    "long_lag_next": "4d3de1ff208ba227",
    "long_lag_next fixed": "f13ed4a10d8d9853",
    "two_sequence": "e18403ee2ec493ff",
    "two_sequence noisy_signals": "15e556ccf2a42cb1",
    "two_sequence noisy_targets": "2924321c624999e3",
}
"""Digests of 40 batches of 7 sequences at lag 21, drawn by version 0.3.0, or by the first one that has the task."""


def trial(**training) -> Trial:
    node = {"_target_": "", "label": ""}
    return Trial(variant=node, task=node, initialisation=node, model=Model(), training=Training(**training), seed=3)


def digest(task: Task, count: int, **training) -> str:
    """Return a digest of the first batches of a trial: their numbers, shapes and types."""
    found, drawn = hashlib.sha256(), batches(task, trial(**training))
    for _ in range(count):
        for value in next(drawn):
            if value is not None:
                found.update(f"{value.dtype} {tuple(value.shape)}".encode())
                found.update(value.contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def task_of(case: str) -> Task:
    return Task.registry[case.split()[0]](**{"lag": 21, **KNOBS.get(case, {})})


def test_every_task_that_draws_its_data_has_a_digest():
    drawing = {name for name, cls in Task.registry.items() if not issubclass(cls, DataTask)}
    assert drawing <= {case.split()[0] for case in DRAWS}


@pytest.mark.parametrize("case", DRAWS)
def test_the_data_of_a_task_are_those_of_earlier_versions(case: str) -> None:
    assert digest(task_of(case), 40, batch_size=7) == DRAWS[case]


def test_noise_on_the_inputs_is_that_of_earlier_versions() -> None:
    assert digest(task_of("adding"), 40, batch_size=7, input_noise=0.1) == "0d3ff9807b4df94a"


def test_batches_of_a_training_set_are_those_of_earlier_versions() -> None:
    assert digest(task_of("temporal_order"), 40, batch_size=7, training_sequences=24, epochs=2) == "7410a92cbab13e9d"
