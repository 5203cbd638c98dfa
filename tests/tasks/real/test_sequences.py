"""Sequences of the user's own: what is understood of a file, how it is split and written, and what is refused."""

import math
import re
import shlex
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser

from tasks import Task
from tasks.__main__ import main
from tasks.contract import try_out
from tasks.real import sequences
from tasks.task import PARTS

COUNT, STEPS, INPUTS = 30, 7, 3  # sequences, steps and inputs of most files here


FITTED = sequences._fitted


@pytest.fixture(autouse=True)
def _nothing_is_fitted(tmp_path, monkeypatch):
    monkeypatch.setenv("LSTM_VARIANTS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sequences, "_fitted", lambda data: {"no input": 1.0})


@pytest.fixture
def fits(monkeypatch):
    """Simple models are fitted, which takes a moment."""
    monkeypatch.setattr(sequences, "_fitted", FITTED)


def task(path, **knobs):
    return sequences.Sequences(path=str(path), **knobs)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.fixture
def arrays(tmp_path):
    """Writes arrays into a file of their own; `inputs` and classes as `targets` unless others are given."""

    def write(**given):
        values = {"inputs": draw(COUNT, STEPS, INPUTS), "targets": np.arange(COUNT) % 2, **given}
        path = tmp_path / "data.npz"
        np.savez(path, **{name: value for name, value in values.items() if value is not None})
        return path

    return write


def rows(count=COUNT, **columns):
    """A table in long form: sequences of 2 to 5 steps, a number `x` and a word as `label`."""
    lengths = 2 + np.arange(count) % 4
    names = np.repeat(np.arange(count), lengths)
    frame = pd.DataFrame({"sequence": names, "step": np.concatenate([np.arange(n) for n in lengths])})
    frame["x"] = draw(len(frame), seed=1)
    frame["label"] = np.where(names % 3 == 0, "yes", "no")
    return frame.assign(**columns)


@pytest.fixture
def table(tmp_path):
    """Writes a table as csv."""

    def write(frame, name="data.csv"):
        path = tmp_path / name
        frame.to_csv(path, index=False)
        return path

    return write


# What is understood
# ---------------------------------------------------------------------------------------------------------------------


def test_the_columns_of_a_table_are_understood_by_their_names(table):
    found = task(table(rows()))
    assert (found.data.kind, found.data.answers, found.data.inputs) == ("classification", "end", ("x",))
    assert found.data.outputs == ("no", "yes")
    assert sum(found.part(part).size for part in PARTS) == COUNT


def test_inputs_and_targets_of_a_table_are_those_of_its_rows(table):
    frame = rows(split="train").assign(split=lambda f: np.array(["train", "val", "test"])[f["sequence"] % 3])
    frame["label"] = np.where(frame["sequence"] % 2 == 0, "even", "odd")
    shuffled = frame.sample(frac=1, random_state=1).sort_values("sequence", kind="stable")
    found = task(table(shuffled), standardise=False)
    batch = found.part("validation")
    assert len(batch.lengths) == COUNT // 3
    firsts = batch.inputs[0, :, 0].tolist()
    for name in range(1, COUNT, 3):
        own = frame[frame["sequence"] == name]
        (number,) = (place for place, first in enumerate(firsts) if math.isclose(first, own["x"].iloc[0], rel_tol=1e-6))
        length = int(batch.lengths[number])
        assert length == len(own)
        np.testing.assert_allclose(batch.inputs[:length, number, 0], own["x"], rtol=1e-6)
        assert found.data.outputs[batch.targets[0, number]] == own["label"].iloc[0]
        assert batch.reads[0, number] == length - 1


def test_parquet_is_read_as_csv_is(table, tmp_path):
    frame = rows()
    frame.to_parquet(tmp_path / "data.parquet")
    one, other = task(table(frame)), task(tmp_path / "data.parquet")
    assert one.fingerprint == other.fingerprint
    assert torch.equal(one.part("test").inputs, other.part("test").inputs)


def test_arrays_are_batch_first_in_the_file_and_time_first_in_the_task(arrays):
    inputs = draw(COUNT, STEPS, INPUTS)
    split = np.array([*["train"] * 20, *["validation"] * 6, *["test"] * 4])
    batch = task(arrays(inputs=inputs, split=split), standardise=False).part("validation")
    assert batch.inputs.shape == (STEPS, 6, INPUTS)
    found = batch.inputs[2][batch.inputs[2, :, 0].argsort()]
    wanted = inputs[20:26, 2][inputs[20:26, 2, 0].argsort()]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert batch.lengths is None


def test_the_first_sequences_of_a_part_are_a_mixture_where_the_file_is_sorted(arrays):
    split = np.array(["train", "validation", "test"] * 10)
    lengths = np.repeat([2, 6], 15)
    made = task(arrays(targets=np.repeat([0, 1], 15), lengths=lengths, split=split))
    for part in PARTS:
        assert set(made.part(part).targets[0, :5].tolist()) == {0, 1}
        assert set(made.part(part).lengths[:5].tolist()) == {2, 6}


def test_padded_and_flat_arrays_with_lengths_are_the_same_task(arrays):
    inputs, lengths = draw(COUNT, STEPS, INPUTS), 1 + np.arange(COUNT) % STEPS
    there = np.arange(STEPS) < lengths[:, None]
    one = task(arrays(inputs=np.where(there[..., None], inputs, np.nan), lengths=lengths))
    other = task(arrays(inputs=inputs[there], lengths=lengths))
    assert one.fingerprint == other.fingerprint
    assert torch.equal(one.part("train").inputs, other.part("train").inputs)


@pytest.mark.parametrize(
    ("targets", "kind", "answers", "outputs"),
    [
        (np.arange(COUNT) % 4, "classification", "end", 4),
        (draw(COUNT), "regression", "end", 1),
        (draw(COUNT, 2), "regression", "end", 2),
        ((draw(COUNT, 2) > 0).astype(int), "multilabel", "end", 2),
        (np.eye(3)[np.arange(COUNT) % 3], "classification", "end", 3),
        (np.arange(COUNT * STEPS).reshape(COUNT, STEPS) % 5, "classification", "every", 5),
        (draw(COUNT, STEPS, 2), "regression", "every", 2),
        (np.array(["a", "b"])[np.arange(COUNT) % 2], "classification", "end", 2),
    ],
)
def test_the_kind_of_problem_follows_from_the_targets(arrays, targets, kind, answers, outputs):
    found = task(arrays(targets=targets))
    try_out(found)
    assert (found.data.kind, found.data.answers, found.output_size) == (kind, answers, outputs)
    assert found.causal is False


def test_without_targets_the_next_step_is_predicted(arrays):
    inputs = draw(COUNT, STEPS, INPUTS)
    found = task(arrays(inputs=inputs, targets=None), standardise=False)
    batch = found.part("train")
    assert found.causal is True
    assert batch.inputs.shape == (STEPS - 1, 18, INPUTS)
    assert torch.equal(batch.targets[:-1], batch.inputs[1:])


def test_the_next_symbol_is_a_class_and_text_is_one_hot(table):
    frame = rows(x=None).assign(x=lambda f: np.array(["a", "b", "c"])[f["step"] % 3]).drop(columns="label")
    found = task(table(frame))
    batch = found.part("train")
    assert found.data.kind == "classification"
    assert found.data.inputs == ("x=a", "x=b", "x=c")
    assert torch.equal(
        batch.targets[:, 0], torch.tensor([1, 2, 0, 1])[: len(batch.targets)] * (batch.weights[:, 0] > 0)
    )


def test_the_target_may_lie_ahead_and_is_an_input_then(table):
    series = pd.DataFrame({"price": np.arange(400.0), "volume": draw(400)})
    found = task(table(series), target="price", ahead=3, standardise=False)
    batch = found.part("test")
    assert found.data.inputs == ("price", "volume")
    assert torch.equal(batch.targets[..., 0], batch.inputs[..., 0] + 3)


def test_an_answer_at_the_end_is_the_target_of_the_last_step(arrays):
    values, lengths = draw(COUNT, STEPS), 2 + np.arange(COUNT) % (STEPS - 1)
    path = arrays(inputs=values[..., None], targets=values, lengths=lengths)
    batch = task(path, answers="end", standardise=False).part("train")
    last = batch.inputs[batch.lengths - 1, torch.arange(batch.size)]
    assert torch.equal(batch.targets, last.unsqueeze(0))


def test_an_answer_at_every_step_has_no_weight_behind_the_end(table):
    batch = task(table(rows()), answers="every").part("train")
    steps = torch.arange(len(batch.inputs)).unsqueeze(1)
    assert torch.equal(batch.weights > 0, steps < batch.lengths)


def test_numbers_that_are_named_as_symbols_become_one_hot(table):
    found = task(table(rows(x=5).assign(x=lambda f: f["step"] % 2)), symbols=["x"])
    assert found.data.inputs == ("x=0", "x=1")


# Parts
# ---------------------------------------------------------------------------------------------------------------------


def test_groups_stay_together(arrays):
    group = np.arange(COUNT) // 3
    inputs = np.broadcast_to(group[:, None, None], (COUNT, STEPS, 1)).astype(float) + 0.5
    found = task(arrays(inputs=inputs, group=group), standardise=False)
    seen = [set(found.part(part).inputs[0, :, 0].tolist()) for part in PARTS]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 10


def test_the_parts_have_the_shares_and_change_with_the_seed(arrays):
    path = arrays()
    sizes = [task(path, shares=(0.5, 0.3, 0.2)).part(part).size for part in PARTS]
    assert sizes == [15, 9, 6]
    assert not torch.equal(task(path).part("test").inputs, task(path, split_seed=1).part("test").inputs)


def test_the_blocks_of_a_series_follow_each_other_in_time(tmp_path):
    np.save(tmp_path / "series.npy", np.arange(600.0))
    found = task(tmp_path / "series.npy", standardise=False, window=20)
    edges = [(float(b.inputs.min()), float(b.targets.max())) for b in map(found.part, PARTS)]
    assert edges[0][1] < edges[1][0] < edges[1][1] < edges[2][0]


def test_windows_have_their_stride_and_stay_inside_their_sequence(arrays):
    inputs = np.arange(COUNT * STEPS, dtype=float).reshape(COUNT, STEPS, 1)
    batch = task(arrays(inputs=inputs), window=4, stride=2, standardise=False).part("train")
    firsts = batch.inputs[0, :, 0].long() % STEPS
    assert firsts.unique().tolist() == [0, 2]
    assert len(batch.inputs) == 4


def test_numbers_are_standardised_by_the_training_part_alone(arrays):
    inputs = draw(COUNT, STEPS, 1) * 5 + 3
    split = np.array([*["train"] * 20, *["validation"] * 6, *["test"] * 4])
    inputs[20:] += 100
    found = task(arrays(inputs=inputs, split=split))
    assert float(found.part("train").inputs.mean()) == pytest.approx(0, abs=1e-5)
    assert float(found.part("train").inputs.std(correction=0)) == pytest.approx(1, abs=1e-4)
    assert float(found.part("test").inputs.mean()) > 10


def test_a_symbol_that_training_lacks_is_zero_and_said(table):
    frame = rows(split="train").assign(split=lambda f: np.array(["train", "val", "test"])[f["sequence"] % 3])
    frame["label"] = np.where(frame["sequence"] % 2 == 0, "even", "odd")
    frame["mark"] = np.where(frame["split"] == "test", "new", np.where(frame["step"] == 0, "a", "b"))
    found = task(table(frame))
    assert found.data.inputs == ("x", "mark=a", "mark=b")
    assert not found.part("test").inputs[..., 1:].any()
    assert "Zero where the training part lacks a symbol: mark" in "\n".join(found.understood())


# Losses
# ---------------------------------------------------------------------------------------------------------------------


def test_the_loss_without_input_is_that_of_the_class_shares(fits, arrays):
    split = np.array([*["train"] * 20, *["validation"] * 6, *["test"] * 4])
    targets = np.array([*[0, 0, 0, 1] * 5, *[0, 1] * 5])
    found = task(arrays(targets=targets, split=split))
    assert found.baselines()["no input"] == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2, rel=1e-6)


def test_the_floor_is_the_loss_of_the_present_step_where_this_decides(fits, arrays):
    inputs = draw(200, STEPS, 1)
    targets = 2 * inputs[:, -1, 0] + 0.1 * draw(200, seed=5)
    found = task(arrays(inputs=inputs, targets=targets))
    deviation = float(found.data.deviation[0])
    assert found.floor == found.baselines()["present step"]
    assert found.floor == pytest.approx((0.1 / deviation) ** 2, rel=0.5)


def test_no_change_is_a_model_without_memory_of_the_next_number(fits, tmp_path):
    walk = np.cumsum(draw(3000))
    np.save(tmp_path / "walk.npy", walk)
    found = task(tmp_path / "walk.npy", window=10, standardise=False)
    asked = found.part("test")
    assert found.baselines()["no change"] == pytest.approx(
        float((asked.targets - asked.inputs).square().mean()), rel=1e-5
    )


def test_the_score_is_the_share_of_the_floor_that_is_gone(arrays):
    path = arrays()
    found = task(path)
    assert found.score(found.floor / 4) == pytest.approx(0.75)
    other = task(path, reference=0.2)
    assert other.score(0.2) == 1
    assert other.score((other.floor + 0.2) / 2) == pytest.approx(0.5)


def test_a_regression_says_the_explained_variance_and_the_error_in_its_own_unit(arrays):
    found = task(arrays(targets=1000 * draw(COUNT) + 5000))
    batch = found.part("test")
    metrics = found.metrics(batch.targets + 0.1, batch)
    assert metrics["rmse"] == pytest.approx(0.1 * float(found.data.deviation[0]), rel=1e-4)
    spread = float((batch.targets - float(found.data.mean[0])).square().mean())
    assert metrics["r2"] == pytest.approx(1 - 0.01 / spread, rel=1e-4)


def test_several_yes_or_no_report_their_accuracy(arrays):
    found = task(arrays(targets=(draw(COUNT, 2) > 0).astype(int)))
    batch = found.part("train")
    outputs = torch.where(batch.targets > 0, 3.0, -3.0)
    outputs[0, :, 0] *= -1
    assert found.metrics(outputs, batch)["accuracy"] == 0.5


@pytest.mark.parametrize(
    ("targets", "form"),
    [
        (draw(COUNT), "squared_error"),
        (np.arange(COUNT) % 2, "cross_entropy"),
        ((draw(COUNT, 2) > 0).astype(int), "binary_cross_entropy_sum"),
    ],
)
def test_the_form_of_the_loss_is_that_of_the_kind(arrays, targets, form):
    assert task(arrays(targets=targets)).loss_form == form


# The file
# ---------------------------------------------------------------------------------------------------------------------


def test_a_changed_file_is_refused_and_read_again(arrays):
    before = task(arrays()).fingerprint
    path = arrays(inputs=draw(COUNT, STEPS, INPUTS, seed=9))
    assert task(path).fingerprint != before
    with pytest.raises(ValueError, match="the data must be those that this was made with"):
        task(path, sha256=before)


def test_the_parts_of_one_file_are_the_same_objects(arrays):
    path = arrays()
    assert task(path).part("train").inputs is task(path).part("train").inputs


def test_simple_models_are_kept_on_disk(arrays, monkeypatch):
    path = arrays()
    before = task(path).baselines()
    sequences._simple_models.cache_clear()
    monkeypatch.setattr(sequences, "_fitted", lambda data: pytest.fail("they are fitted again"))
    assert task(path).baselines() == before


def test_the_card_says_what_was_understood(table, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["sequences", f"task.path={table(rows())}", "shares=[0.5,0.25,0.25]"]) == 0
    out = capsys.readouterr().out
    for words in (
        "Rows: 103, in 30 sequences of 2 to 5 steps (mean 3.4).",
        "target='label' by its name",
        "Inputs: 1 a step: x. 1 of them standardised",
        "label, at the end of each sequence: classification (kind=auto, answers=auto). 2 classes: no, yes.",
        "Train: 15 sequences, ",
        "Loss: nats; on the test part: no input 1.",
        "python -m runs.sweep study=own_data tasks.sequences.path=",
        "+tasks.sequences.shares=[0.5,0.25,0.25]",
    ):
        assert words in out


@pytest.mark.parametrize(
    "value",
    ["a,b.csv", "[x].csv", "~/my file.csv", 'say "x".csv', "it's.csv", "wärme", "1.5", ["wind speed", "x"], True, 0.5],
)
def test_the_command_of_the_card_is_read_as_the_knobs_were_given(value):
    (word,) = shlex.split(sequences._written("+tasks.sequences.knob", value))
    assert OverridesParser.create().parse_override(word).value() == value


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pth=a"], "sequences: unknown knob 'pth'; did you mean 'path'? "),
        (["standardise=maybe"], "sequences: standardise must be true or false, got 'maybe'"),
        (["window=wide"], "sequences: window must be a whole number, got 'wide'"),
        (["path"], "knobs must be written as knob=value, got 'path'"),
        (["path=none.csv"], "sequences: none.csv: path must be that of a file, got 'none.csv', where there is none"),
    ],
)
def test_a_mistake_in_a_knob_of_a_card_is_one_line(words, message, capsys):
    assert main(["sequences", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")


# What is refused
# ---------------------------------------------------------------------------------------------------------------------

LENGTHS = np.full(COUNT, STEPS)


def changed(values, place, value):
    values = np.array(values)
    values[place] = value
    return values


@pytest.mark.parametrize(
    ("given", "knobs", "message"),
    [
        ({"inputs": None}, {}, "there is no array 'inputs'; the arrays are: targets; inputs= and target= name others"),
        (
            {},
            {"target": "labels"},
            "there is no array 'labels'; the arrays are: inputs, targets; inputs= and",
        ),
        ({"inputs": np.array([{}] * 3, object)}, {}, "must hold arrays of numbers or text, not pickled Python objects"),
        (
            {"inputs": draw(2, 3, 4, 5)},
            {},
            "inputs must be [N, T, I], [T, I] for one series, or [rows, I] with lengths",
        ),
        ({"inputs": draw(COUNT, 0, 2)}, {}, "none of them 0, got [30, 0, 2]"),
        ({"lengths": changed(LENGTHS, 4, 0)}, {}, "lengths must be at least 1, got 0 for sequence 4"),
        (
            {"lengths": changed(LENGTHS, 4, 8)},
            {},
            "lengths must be at most the 7 steps of inputs, got 8 for sequence 4",
        ),
        ({"lengths": LENGTHS[:-1]}, {}, "lengths must be one for each of the 30 sequences, got 29"),
        ({"lengths": LENGTHS / 2}, {}, "lengths must be whole numbers [N], got float64 [30]"),
        ({"inputs": draw(9, 2), "lengths": np.array([4, 4])}, {}, "lengths must add up to the 9 rows of inputs, got 8"),
        (
            {"inputs": changed(draw(COUNT, STEPS, INPUTS), (3, 2, 1), np.nan)},
            {},
            "column 'input 1' must be finite, got nan at step 2 of sequence 3",
        ),
        (
            {"targets": changed(draw(COUNT), 5, np.inf)},
            {},
            "column 'target 0' must be finite, got inf at step 0 of sequ",
        ),
        ({"targets": draw(COUNT + 1)}, {}, "targets must be one for each of the 30 sequences or of the 210 steps, [N]"),
        (
            {},
            {"kind": "multilable"},
            "kind must be one of auto, regression, classification, multilabel, got 'multilable'",
        ),
        (
            {"targets": draw(COUNT)},
            {"kind": "classification"},
            "target 'target 0' must be names or whole numbers, got 0.",
        ),
        (
            {"targets": np.arange(COUNT)},
            {"kind": "multilabel"},
            "must be 0 or 1 for kind=multilabel, got 2 at step 0 of",
        ),
        ({"targets": np.ones(COUNT)}, {}, "target must have 2 to 1000 classes in the training part, got 1: always '1'"),
        ({"targets": np.full(COUNT, 0.5)}, {}, "target 'target 0' must vary in the training part, got 0.5 always"),
        (
            {"targets": np.arange(COUNT) // 10, "split": np.repeat(["test", "train", "val"], 10)},
            {},
            "target must have in validation only classes of the training part, got '2' at step 6 of sequence 20",
        ),
        (
            {"split": ["train"] * COUNT},
            {},
            "split must leave something to each of train, validation, test, got 30 sequ",
        ),
        (
            {"split": ["trian"] * COUNT},
            {},
            "split must be one of train, validation, test, got 'trian' at step 0 of sequ",
        ),
        (
            {"group": [1] * 15 + [2] * 15},
            {},
            "split must leave something to each of train, validation, test, got 2 gro",
        ),
        (
            {"group": [1] * COUNT, "split": ["train"] * 10 + ["val"] * 10 + ["test"] * 10},
            {},
            "group must be in one part only, got '1' in train and validation",
        ),
        ({}, {"window": 8}, "window must fit into each part, got 8 where the longest piece of train has 7 steps"),
        ({}, {"window": -1}, "window must be at least 0, got -1"),
        ({}, {"ahead": 1}, "ahead must be 0 where there is one target for each sequence, got 1"),
        (
            {"inputs": draw(COUNT, 1, 2), "targets": None},
            {},
            "sequences must have more than 1 steps, as the answers lie",
        ),
        (
            {},
            {"shares": (0.5, 0.5)},
            "shares must be three numbers above 0 that add up to 1, for train, validation, te",
        ),
        ({}, {"reference": 2.0}, "reference must be below the loss without memory, 1, got 2"),
        ({}, {"step": "time"}, "step must name a column of a table, but this file holds arrays"),
        ({}, {"target": "inputs"}, "target must be another array than the inputs, got 'inputs'; target=none predicts"),
        ({}, {"stride": 2}, "stride must be 0 where no window cuts the sequences, got 2"),
        (
            {"inputs": changed(draw(COUNT, STEPS, INPUTS), (3, 2, 1), -2e30)},
            {},
            "column 'input 1' must be at most 1e+30 in size, got -2e+30 at step 2 of sequence 3",
        ),
        (
            {"inputs": draw(4, 2), "targets": None},
            {},
            "validation must have more than 1 step one after the other, as the answers lie 1 ahead, got 1",
        ),
        (
            {"inputs": draw(1, 2), "targets": None, "split": ["train"]},
            {},
            "sequences must have more than 1 steps, as the answers lie 1 ahead",
        ),
    ],
)
def test_arrays_that_are_no_task_are_refused_in_one_line(arrays, given, knobs, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        task(arrays(**given), **knobs)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("sequences: ")


@pytest.mark.parametrize(
    ("columns", "knobs", "message"),
    [
        (
            {},
            {"target": "lable"},
            "there is no column 'lable'; did you mean 'label'? The columns are: sequence, step, x",
        ),
        ({}, {"sequence": "label", "target": "label"}, "sequence must be another column than target, got 'label' for"),
        ({}, {"inputs": ["x", "x"]}, "inputs must name each column once, got 'x' twice"),
        (
            {"when": lambda f: [f"2020-01-01 00:00:{row:03}" for row in range(len(f))]},
            {},
            "column 'when' must hold names that come again, or numbers, unless inputs= leaves it out, got ",
        ),
        (
            {"sequence": lambda f: f["sequence"].where(f.index != 5)},
            {},
            "column 'sequence' must have a value in each row, got none at line 7",
        ),
        ({}, {"sequence": "subject"}, "there is no column 'subject'; the columns are: sequence, step, x, label"),
        (
            {"x": lambda f: f["x"].where(f.index != 5)},
            {},
            "column 'x' must have a value in each row, got none (an empty field, NA or the like) at line 7",
        ),
        (
            {"x": lambda f: f["x"].where(f.index != 5, np.inf)},
            {},
            "column 'x' must be finite, got inf at step 0 of sequ",
        ),
        (
            {"x": lambda f: f["x"].round(3).astype(str).where(f.index != 5, "1,5")},
            {},
            "column 'x' must hold numbers, or be named by symbols= where its values are names, got '1,5' at line 7",
        ),
        ({"step": 0}, {}, "column 'step' must order the rows of sequence 0, got 0 twice"),
        ({"step": "soon"}, {}, "column 'step', the step, must hold numbers or times, got 'soon'; step=none takes the"),
        (
            {"split": lambda f: np.where(f["step"] == 0, "train", "test")},
            {},
            "split must be the same in the whole of a ",
        ),
        (
            {"group": lambda f: f["step"]},
            {},
            "group must be the same in the whole of a sequence, got '1' at step 1 of ",
        ),
        (
            {"z": 1.5},
            {"target": ["x", "label"]},
            "target must be one column of names, or columns of numbers, got names in label",
        ),
        (
            {},
            {"kind": "regression"},
            "kind must be classification where the target 'label' holds names, got regression",
        ),
        (
            {},
            {"inputs": ["x", "label"], "target": "label"},
            "target 'label' must not be among the inputs, unless ahead is at least 1, got",
        ),
    ],
)
def test_a_table_that_is_no_task_is_refused_in_one_line(table, columns, knobs, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        task(table(rows().assign(**columns)), **knobs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.txt", b"x", "data.txt: path must end in .npz, .npy, .csv, .parquet, got '.txt'"),
        ("data.csv", b"", "data.csv: cannot be read as a table: No columns to parse from file"),
        ("data.csv", b"x,label\n", "data.csv: must have at least one row below its header, got none"),
        ("data.csv", b"x,\xff\n1,2\n", "data.csv: cannot be read as a table: 'utf-8' codec can't decode"),
        ("data.csv", b"x,label\n1,2\n1,2,3\n", "data.csv: cannot be read as a table: "),
        ("data.npz", b"PK\x03\x04 no archive", "data.npz: cannot be read as arrays of NumPy: "),
        ("data.npy", b"no array", "data.npy: cannot be read as arrays of NumPy: it must begin as numpy.save and"),
        ("data.csv", b"x;label\n1;2\n", "columns must be separated by commas, got the first line 'x;label' with ';'"),
        ("data.csv", b"x,x,label\n1,2,3\n", "columns must have different names, got 'x' twice"),
        ("data.csv", b"0.5,-1\n1,2\n", "the first line must name the columns, got numbers: 0.5, -1"),
        ("data.parquet", b"no table", "data.parquet: cannot be read as a table: "),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        task(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"path must be that of a file, got .* which is a folder"):
        task(tmp_path.rename(tmp_path.with_suffix(".csv")))


def test_a_column_that_is_the_target_is_not_found_for_another_role(table):
    frame = rows().rename(columns={"label": "series", "sequence": "id"})
    assert len(task(table(frame), target="series").part("train").reads[0]) == COUNT * 6 // 10


def test_a_test_part_without_anything_to_learn_is_refused_in_one_line(arrays, monkeypatch):
    monkeypatch.setattr(sequences, "_fitted", lambda data: {"no input": 1.0, "no change": 0.0})
    with pytest.raises(ValueError, match=r"test part must leave something to learn, got a loss of 0 of 'no change'"):
        task(arrays())


def test_small_numbers_are_standardised_as_large_ones_are(arrays):
    values = draw(COUNT)
    small, large = (task(arrays(targets=scale * values)) for scale in (1e-20, 1.0))
    assert torch.allclose(small.part("train").targets, large.part("train").targets)


@pytest.mark.parametrize("value", [Decimal, float])
def test_a_column_of_decimals_holds_numbers(tmp_path, value):
    frame = rows().assign(label=lambda f: [value(row) / 4 for row in range(len(f))])
    frame.to_parquet(tmp_path / "data.parquet")
    assert task(tmp_path / "data.parquet").data.kind == "regression"


def test_a_column_of_lists_is_refused_in_one_line(tmp_path):
    rows().assign(x=lambda f: [[1.0, 2.0]] * len(f)).to_parquet(tmp_path / "data.parquet")
    with pytest.raises(ValueError, match=r"column 'x' must hold numbers or text, got ndarray at row 0"):
        task(tmp_path / "data.parquet")


def test_a_pickle_is_never_loaded(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (pytest.fail, ("code of the file was run",))

    np.save(tmp_path / "data.npy", np.array([Harmful()], object), allow_pickle=True)
    with pytest.raises(ValueError, match="not pickled Python objects, which are never loaded"):
        task(tmp_path / "data.npy")


def test_the_task_is_registered_and_needs_a_path():
    with pytest.raises(ValueError, match=re.escape("sequences: path must name a file (.npz, .npy, .csv, .parquet)")):
        Task.registry["sequences"]()
