"""IAM-OnDB is read from a copy in its format: strokes, texts, parts, and what is wrong with a copy."""

import re
import shutil

import numpy as np
import pytest
import torch

from tasks.contract import check_batch
from tasks.real import iam_ondb
from tasks.real.iam_ondb import IamOnDB
from tests.tasks.real.copies import TEXTS, keep_in, strokes_xml, write_iam

torch.set_num_threads(1)  # the tensors are tiny


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    keep_in(tmp_path, monkeypatch)


@pytest.fixture
def copy(tmp_path):
    return write_iam(tmp_path / "iam")


def texts_of(task, part):
    batch = task.part(part)
    return [
        "".join(task.alphabet[k] for k in batch.targets[:end, n]) for n, end in enumerate(batch.target_lengths.tolist())
    ]


PARTS = {"train": ["trainset"], "validation": ["testset_v", "testset_t"], "test": ["testset_f"]}


@pytest.mark.parametrize("part", PARTS)
def test_labels_are_the_corrected_lines_of_the_forms_of_the_part(copy, part):
    task = IamOnDB(path=str(copy))
    expected = [line for name in PARTS[part] for lines in TEXTS[name].values() for line in lines]
    assert sorted(texts_of(task, part)) == sorted(expected)
    assert texts_of(task, part) != sorted(expected, key=len)
    assert task.output_size == len(" abcl") + 1


@pytest.mark.parametrize("part", PARTS)
def test_a_part_keeps_the_contract(copy, part):
    task = IamOnDB(path=str(copy))
    batch = task.part(part)
    check_batch(task, batch, batch.size)
    assert task.part(part) is batch
    inside = torch.arange(len(batch.inputs)).view(-1, 1) < batch.lengths
    assert torch.equal(batch.weights, inside.float())
    assert torch.equal(batch.reads, torch.arange(len(inside)).view(-1, 1) * inside)


def test_inputs_are_moves_times_and_ends_of_strokes(tmp_path):
    file = tmp_path / "line.xml"
    file.write_text(strokes_xml("ac"))
    inputs = iam_ondb.inputs_of(iam_ondb.strokes_of(file), 1)
    expected = [
        *([0, 0, 0, 0], [3, 4, 0.01, 0], [3, -4, 0.02, 1]),  # the first stroke of the a
        *([-4, 2, 0, 0], [2, 0, 0.01, 1]),  # its second
        *([8, 2, 0, 0], [-4, -2, 0.01, 0], [4, -2, 0.02, 1]),  # the c
    ]
    assert inputs == pytest.approx(np.array(expected), abs=1e-5)


@pytest.mark.parametrize(("subsample", "kept"), [(1, [0, 1, 2, 3]), (2, [1, 3]), (3, [0, 3]), (9, [3])])
def test_subsampling_keeps_the_end_of_every_stroke(subsample, kept):
    stroke = np.array([[1.0, 5.0, 10.0], [2.0, 7.0, 11.0], [4.0, 6.0, 12.5], [9.0, 1.0, 14.0]])
    inputs = iam_ondb.inputs_of([stroke], subsample)
    assert inputs[:, 2].tolist() == [stroke[n, 2] - 10 for n in kept]
    assert inputs[1:, :2].tolist() == np.diff(stroke[kept, :2], axis=0).tolist()
    assert inputs[:, 3].tolist() == [0.0] * (len(kept) - 1) + [1.0]


def test_measured_inputs_are_standardised_by_the_training_part(copy):
    task = IamOnDB(path=str(copy))
    batch = task.part("train")
    measured = batch.inputs[batch.weights > 0]
    assert measured[:, :3].mean(0).abs().max() < 1e-5
    assert (measured[:, :3].std(0, correction=0) - 1).abs().max() < 1e-5
    assert measured[:, 3].unique().tolist() == [0, 1]
    other = task.part("test")
    assert other.inputs[other.weights > 0][:, :3].mean(0).abs().max() > 1e-3


@pytest.mark.parametrize("lists", ["", "task1"])
def test_lists_may_be_in_a_folder_of_their_own(tmp_path, lists):
    assert IamOnDB(path=str(write_iam(tmp_path / "other", lists))).part("train").size == 5


def test_a_second_process_reads_the_cache(copy, monkeypatch, capsys):
    first = IamOnDB(path=str(copy))
    assert capsys.readouterr().err.count("once\n") == 1
    iam_ondb._load.cache_clear()
    monkeypatch.setattr(iam_ondb, "strokes_of", None)
    second = IamOnDB(path=str(copy))
    assert second.fingerprint == first.fingerprint
    assert torch.equal(second.part("test").inputs, first.part("test").inputs)
    assert (second.floor, second.alphabet) == (first.floor, first.alphabet)
    assert capsys.readouterr().err == ""


def test_a_changed_file_is_read_again(copy):
    before = IamOnDB(path=str(copy))
    iam_ondb._load.cache_clear()
    file = copy / "lineStrokes-all/lineStrokes/a01/a01-001/a01-001-02.xml"
    file.write_text(strokes_xml("lbllb"))
    after = IamOnDB(path=str(copy))
    assert after.fingerprint != before.fingerprint
    with pytest.raises(ValueError, match=r"^iam_ondb: the data must be those"):
        IamOnDB(path=str(copy), sha256=before.fingerprint)


def test_a_line_without_strokes_is_left_out_and_said(copy, capsys):
    (copy / "lineStrokes-all/lineStrokes/a01/a01-000/a01-000u-01.xml").unlink()
    task = IamOnDB(path=str(copy))
    assert "a bcl" not in texts_of(task, "train")
    assert "call ab" in texts_of(task, "train")
    assert "iam_ondb: 1 lines have strokes or a text only and are left out\n" in capsys.readouterr().err


def test_the_floor_is_that_of_the_model_which_the_validation_part_chooses(copy):
    task = IamOnDB(path=str(copy))
    assert set(task.baselines()) == {"same answer at every step", "present step, softmax"}
    assert task.floor in task.baselines().values()
    assert task.score(task.floor) == 0
    assert task.score(0.0) == 1
    assert (
        task._loaded._replace(
            without_memory={"validation": {"one": 2.0, "two": 1.0}, "test": {"one": 3.0, "two": 4.0}}
        ).floor
        == 4.0
    )


STROKES = "lineStrokes-all/lineStrokes/c03/c03-100/"
TEXT = "ascii-all/ascii/c03/c03-100/c03-100z.txt"


def without(name):
    return lambda root: shutil.rmtree(root / name) if (root / name).is_dir() else (root / name).unlink()


def with_text(name, text):
    return lambda root: (root / name).write_text(text)


def without_strokes(root):
    for file in (root / STROKES).iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("lineStrokes-all"), " needs a copy of IAM-OnDB: .* got no lineStrokes-all/lineStrokes or "),
        (without("ascii-all"), " needs a copy of IAM-OnDB: .* got no ascii-all/ascii or "),
        (without("testset_t.txt"), " needs .* got no testset_t.txt in "),
        (with_text("testset_t.txt", "\n"), "must list names of forms, such as a01-000u, got none"),
        (with_text("testset_t.txt", "a01 x"), "must list names of forms, such as a01-000u, got 'a01'"),
        (without(TEXT), "c03-100z.txt must be beside the other texts, got no "),
        (with_text(TEXT, "OCR:\nclab\n"), "must have the lines of the form behind CSR:, got no CSR:"),
        (with_text(TEXT, "OCR:\nclab\nCSR:\n\n"), "must have the lines .*, got nothing behind CSR:"),
        (with_text(STROKES + "c03-100z-01.xml", "<a><b></a>"), "must be strokes of points x, y, time in XML: mismatch"),
        (with_text(STROKES + "c03-100z-01.xml", "<StrokeSet/>"), "must be strokes .*, got no point"),
        (
            with_text(STROKES + "c03-100z-01.xml", '<a><Stroke><Point x="nan" y="1" time="2"/></Stroke></a>'),
            "must be strokes .*, got a number that is not finite",
        ),
        (
            with_text(STROKES + "c03-100z-01.xml", '<a><Stroke><Point x="5" y="1"/></Stroke></a>'),
            "must be strokes of points x, y, time in XML: 'time'",
        ),
        (without_strokes, "the form c03-100z must have files c03-100z-01.xml, ..., got none"),
    ],
)
def test_what_is_wrong_with_a_copy_is_said_in_one_line(copy, damage, message):
    damage(copy)
    with pytest.raises(ValueError, match=re.compile(f"^iam_ondb.*{message}")) as error:
        IamOnDB(path=str(copy))
    assert "\n" not in str(error.value)


def test_a_copy_whose_lines_are_all_too_short_is_refused(copy):
    for form in (copy / STROKES).parent.glob("c03-100"):
        for file in form.iterdir():
            file.write_text(strokes_xml("l"))
    with pytest.raises(ValueError, match=r"got none in the part test that has; task.subsample is too large"):
        IamOnDB(path=str(copy), subsample=3)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({}, "iam_ondb needs a copy of IAM-OnDB: task.path=FOLDER with lineStrokes-all, .* got no path"),
        ({"path": "/nowhere/at/all"}, "got '/nowhere/at/all', which is no folder"),
        ({"path": "/", "subsample": 0}, "iam_ondb: subsample must be at least 1, got 0"),
    ],
)
def test_a_knob_that_cannot_be_is_refused(knobs, message):
    with pytest.raises(ValueError, match=message):
        IamOnDB(**knobs)
