"""Trials on copies of TIMIT and IAM-OnDB run from the data to the outcome."""

import pytest
import torch

from runs.trial.data import sized
from runs.trial.training import run
from runs.trial.trial import Model, Training, Trial
from tasks.contract import try_out
from tasks.real.iam_ondb import IamOnDB
from tasks.real.timit import Timit
from tests.tasks.real.copies import keep_in, without_fits, write_iam, write_timit

torch.set_num_threads(1)  # the tensors are tiny


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    keep_in(tmp_path, monkeypatch)
    without_fits(monkeypatch)


def outcome_of(task, bidirectional, epochs):
    training = sized(Training(epochs=epochs, batch_size=2, learning_rate=0.02), task)
    trial = Trial(
        variant={"_target_": "variants.Vanilla", "label": "vanilla"},
        task={"_target_": f"tasks.{type(task).__name__}", "label": task.name, "path": task.path},
        initialisation={"_target_": "variants.GlorotOrthogonal", "label": "glorot_orthogonal"},
        model=Model(hidden_size=6, bidirectional=bidirectional, engine="eager"),
        training=training,
        seed=1,
        data_seed=6,
    )
    return run(trial)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_network_learns_to_read_lines(tmp_path, bidirectional):
    task = IamOnDB(path=str(write_iam(tmp_path / "iam")))
    try_out(task)
    outcome = outcome_of(task, bidirectional, epochs=6)
    assert outcome.error == ""
    assert outcome.status == "finished"
    assert outcome.curve_losses[-1] < 0.8 * outcome.curve_losses[0]
    assert set(outcome.test_metrics) == {"loss", "label_error_rate", "unaligned"}


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_network_learns_to_name_phones(tmp_path, bidirectional):
    pytest.importorskip("soundfile", reason="needs soundfile")
    task = Timit(path=str(write_timit(tmp_path / "TIMIT", train=5, test=1)))
    try_out(task)
    outcome = outcome_of(task, bidirectional, epochs=2)
    assert outcome.error == ""
    assert outcome.status == "finished"
    assert outcome.curve_losses[-1] < outcome.curve_losses[0]
    assert set(outcome.test_metrics) == {"loss", "accuracy"}
