"""Tests of `python -m analysis.walk`: what it takes, what it refuses, and what it writes."""

import pytest

from analysis.walk.__main__ import main
from analysis.walk.network import planned
from analysis.walk.options import KEYS, options_of
from runs.trial.weights import save_model
from tests.analysis.walk.walks import trained

QUICK = ("training.budget=4", "training.evaluations=1", "training.evaluation_sequences=8", "task.lag=4")


def test_a_page_is_written_into_the_folder(tmp_path, capsys):
    assert main([*QUICK, "variant=gru", "unit=3", f"out={tmp_path / 'new'}"]) == 0
    path = tmp_path / "new" / "gru_on_adding.html"
    assert path.stat().st_size > 20_000
    assert capsys.readouterr().out.splitlines()[-1] == f"page: {path}"


def test_the_page_of_saved_weights_shows_them(tmp_path):
    found = trained("variant=rnn", "task.lag=5", "hidden_size=3")
    path = tmp_path / "quick" / "models" / "adding" / "rnn.safetensors"
    save_model(path, found.after, found.trial, found.outcome, {})
    assert main(["study=quick", "variant=rnn", f"results={tmp_path}"]) == 0
    assert "The weights are those of" in (tmp_path / "walk" / "rnn_on_adding.html").read_text()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["variant=gruu"], "unknown variant 'gruu'; did you mean 'gru'?"),
        (["task=addin"], "unknown task 'addin'; did you mean 'adding'?"),
        (["taks=adding"], "unknown key 'taks'; did you mean 'task'?"),
        (["task.lagg=3"], "unknown key 'task.lagg'; did you mean 'task.lag'?"),
        (["task.lag=0"], "adding: lag must be at least 2, got 0"),
        (["unit=0"], "unit must be a number from 1 on, got '0'"),
        (["unit=9"], "unit must be 1 to 8, since the layer has 8 units; got 9"),
        (["layer=2"], "layer must be 1 to 1, since the network has 1; got 2"),
        (["steps=99", *QUICK], "steps must be 1 to 4, since the sequence has 4; got 99"),
        (["sequence=9", *QUICK], "sequence must be 1 to 8, since the test set has 8; got 9"),
        (["hidden_size=x"], "model.hidden_size"),
        (["variant=native_lstm"], "native_lstm runs torch.nn.LSTM, which does not show its numbers"),
        (["variant=os.getcwd"], "cell: 'os.getcwd' must be a subclass of"),
        (["model=nothing.safetensors"], "there is no file nothing.safetensors"),
        (["study=nothing"], "there are no saved weights in"),
        (["model=a.safetensors", "variant=gru"], "variant does nothing beside saved weights"),
        (["model.bidirectional=true"], "model.bidirectional must be false"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(tmp_path, capsys, words, line):
    assert main([*words, f"out={tmp_path / 'new'}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {line}")
    assert error.count("\n") == 1
    assert not list(tmp_path.rglob("*.html"))


@pytest.mark.parametrize("word", ["sequence=9", "steps=99", "unit=9", "layer=2"])
def test_a_number_that_is_too_large_is_refused_before_the_training(tmp_path, capsys, word):
    assert main([word, *QUICK, f"out={tmp_path / 'new'}"]) == 2
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "new").exists()


def test_an_out_that_is_no_folder_is_refused_before_the_training(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main([*QUICK, f"out={tmp_path / 'file'}"]) == 2
    assert capsys.readouterr().err.startswith("error: out: cannot write into")


def test_the_help_names_every_key(capsys):
    assert options_of(["--help"]) is None
    text = capsys.readouterr().out
    assert [key for key in KEYS if f"  {key} " not in text] == []


def test_a_task_has_a_short_lag_unless_one_is_asked_for():
    assert planned(options_of([])).task["lag"] == 10
    assert planned(options_of(["task.lag=12"])).task["lag"] == 12


def test_a_cell_that_reads_the_layer_below_has_two_layers():
    assert planned(options_of(["variant=depth_gated"])).model.layers == 2
    assert planned(options_of(["variant=grid"])).model.layers == 2
    assert planned(options_of(["variant=gru"])).model.layers == 1
