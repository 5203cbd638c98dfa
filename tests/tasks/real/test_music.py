"""Chorales and folk tunes: parsing, groups, splits, floors; the corpus itself where music21 is installed."""

import importlib.util
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from tasks import Task
from tasks.data.batches import every_step, rows_of
from tasks.data.keys import durations, key_of
from tasks.data.musicxml import read_score
from tasks.real import chorales, folk
from tasks.task import PARTS
from tests.tasks.real.instances import chorale, in_place_of_music21, note, score

FOUND = importlib.util.find_spec("music21")
installed = pytest.mark.skipif(FOUND is None, reason="needs music21: pip install -c constraints.txt -e '.[music]'")


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    return in_place_of_music21(tmp_path, monkeypatch)


def fresh(name, **knobs):
    """A task that is loaded again, as a new process would."""
    chorales.load.cache_clear()
    folk.load.cache_clear()
    return Task.registry[name](**knobs)


@pytest.mark.parametrize(("name", "file"), [("chorales", "bach/bwv3.xml"), ("folk", "oneills1850/3.abc")])
def test_one_changed_note_changes_the_fingerprint(corpus, monkeypatch, name, file):
    before = fresh(name).fingerprint
    path = corpus / "corpus" / file
    old, new = (b"<octave>3</octave>", b"<octave>2</octave>") if name == "chorales" else (b"|", b"c|")
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    monkeypatch.setenv("LSTM_VARIANTS_CACHE", str(corpus / "other"))
    assert fresh(name).fingerprint != before


@pytest.mark.parametrize("name", ["chorales", "folk"])
def test_a_split_of_another_seed_is_another_split_of_the_same_pieces(corpus, name):
    one, two = fresh(name), fresh(name, split_seed=1)
    assert one.fingerprint != two.fingerprint
    assert sum(one.part(p).size for p in PARTS) == sum(two.part(p).size for p in PARTS)


def test_a_second_process_parses_nothing(corpus, monkeypatch):
    first = fresh("chorales")
    monkeypatch.setattr(chorales, "in_four_parts", None)
    monkeypatch.setattr(chorales, "simple_models", None)
    assert fresh("chorales").floor == first.floor


def test_the_targets_of_chorales_are_the_next_inputs(corpus):
    batch = fresh("chorales").part("train")
    for b, length in enumerate(batch.lengths.tolist()):
        assert torch.equal(batch.targets[: length - 1, b], batch.inputs[1:length, b])


def test_pieces_that_do_not_have_four_parts_are_left_out():
    two = score([[note("C", 4, 16)] * 2] * 2)
    found = chorales.in_four_parts({"two": two, "four": chorale(1), "other": chorale(2)}, repeats=False)
    assert found.facts["names"] == ["four", "other"]


def test_transposed_pieces_are_nearly_equal():
    piece = np.zeros((9, 88), np.uint8)
    piece[np.arange(9), [10, 14, 17, 12, 10, 9, 10, 14, 17]] = 1
    assert chorales.runs(piece) == chorales.runs(np.roll(piece, 5, 1))
    assert chorales.runs(piece) != chorales.runs(piece[::-1])


def test_the_floor_of_chorales_is_a_logistic_regression_of_the_present_chord(monkeypatch):
    monkeypatch.setattr(chorales, "PENALTIES", (0.01,) * 7)
    source = torch.Generator().manual_seed(0)
    size = {"train": 30, "validation": 10, "test": 10}
    held = {}
    for part in PARTS:
        chords = [(torch.rand(20, 88, generator=source) < 0.3).float() for _ in range(size[part])]
        for chord in chords:
            chord[:, 3:] = 0  # three keys sound
            chord[1:, 0] = chord[:-1, 1]
        held[part] = every_step([c[:-1] for c in chords], [c[1:] for c in chords])
    found = chorales.simple_models(held)
    train, test = rows_of(held["train"], 1), rows_of(held["test"], 1)
    shares = (train.targets.sum(0).double() + 0.5) / (len(train.targets) + 1)
    total = -(1 - shares[3:]).log().sum().item()
    for key in range(3):
        model = LogisticRegression(C=1 / (0.01 * len(train.targets)), tol=1e-8)
        model.fit(train.features[:, :3].numpy(), train.targets[:, key].numpy())
        right = model.predict_proba(test.features[:, :3].numpy())[range(len(test.targets)), test.targets[:, key].long()]
        total -= np.log(right).mean()
    assert found["last chord, logistic"] == pytest.approx(total, abs=1e-4)
    constant = -(test.targets * shares.log() + (1 - test.targets) * (1 - shares).log()).sum(1).mean().item()
    assert found["no input, share of each key"] == pytest.approx(constant, rel=1e-5)


def test_own_last_value_is_the_share_after_on_and_after_off():
    on, off = torch.ones(4, 88), torch.zeros(4, 88)
    mixed = torch.stack([on[0], off[0], on[0], on[0]])
    batch = every_step([mixed[:-1]], [mixed[1:]])
    found = chorales.own_last_value({"train": batch, "test": batch}).sigmoid()
    assert found[:, 0].tolist() == pytest.approx([1.5 / 3, 1.5 / 2, 1.5 / 3])


def test_the_floor_of_folk_is_the_witten_bell_model_of_pairs(corpus):
    task = fresh("folk")
    train, test = task.part("train"), task.part("test")

    def texts(batch):
        whole = [[int(batch.inputs[0, b].argmax()), *batch.targets[:, b].tolist()] for b in range(batch.size)]
        return [text[: n + 1] for text, n in zip(whole, batch.lengths.tolist(), strict=True)]

    single = Counter(c for text in texts(train) for c in text)
    pairs = Counter(pair for text in texts(train) for pair in pairwise(text))
    after = Counter(first for first, _ in pairs.elements())
    kinds = Counter(first for first, _ in pairs)
    total, alphabet = sum(single.values()), task.output_size
    logs = []
    for text in texts(test):
        for first, second in pairwise(text):
            p = (single[second] + len(single) / alphabet) / (total + len(single))
            p = (pairs[first, second] + kinds[first] * p) / (after[first] + kinds[first]) if after[first] else p
            logs.append(np.log(p))
    assert task.floor == pytest.approx(-np.mean(logs))


def test_a_tune_is_what_stands_between_its_key_and_an_empty_line():
    content = b"X: 7\r\nT: Name\r\nK:D\r\nab\tc | \r\nK:G\r\nde |\r\n\r\n\r\nX: 8\nK:G\n\ngg\n"
    assert list(folk.tunes("file", content).values()) == ["ab c |\nK:G\nde |", "gg"]


def test_tunes_longer_than_the_knob_are_left_out(corpus):
    assert fresh("folk", longest=60).part("train").lengths.max() < 60
    with pytest.raises(ValueError, match="folk: longest must be at least 2, got 1"):
        fresh("folk", longest=1)


def test_no_tune_that_is_short_enough_is_one_line(corpus):
    with pytest.raises(
        ValueError, match="folk: every part must have an item, but train, validation, test got none of 0"
    ):
        fresh("folk", longest=2)


def test_pieces_in_minor_move_to_the_tonic_of_the_knob(corpus):
    arrays, facts = chorales.pieces(repeats=False)
    minor = dict(zip(facts["names"], arrays["minor"].tolist(), strict=True))
    assert set(minor.values()) == {False, True}
    in_c, in_a = (chorales.load(tonic, False, 0) for tonic in ("C", "A"))
    for part in PARTS:
        for place, name in enumerate(in_c.names[part]):
            c, a = (set((found.parts[part].inputs[:, place].nonzero()[:, 1] % 12).tolist()) for found in (in_c, in_a))
            assert a == {(key - 3 * minor[name]) % 12 for key in c}


def test_a_wrong_tonic_is_refused():
    with pytest.raises(ValueError, match="chorales: minor must be C or A, got D"):
        Task.registry["chorales"](minor="D")


@pytest.mark.parametrize("name", ["chorales", "folk"])
def test_a_missing_package_is_one_line(monkeypatch, name):
    chorales.load.cache_clear()
    folk.load.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(ValueError, match=rf"^{name} needs music21: pip install -c constraints.txt -e '\.\[music\]'$"):
        Task.registry[name]()


def test_importing_the_tasks_reads_no_data_and_imports_no_package():
    loaded = "tasks.real.chorales.load.cache_info().misses"
    code = f"import sys, tasks; print({{'music21', 'sklearn', 'pandas'}} & set(sys.modules), {loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set() 0\n"


@installed
@pytest.mark.parametrize(
    ("piece", "tonic", "minor"),
    [
        ("bwv66.6", 6, True),
        ("bwv269", 7, False),
        ("bwv253", 9, False),
        ("bwv227.1", 4, True),
        ("bwv140.7", 3, False),
        ("bwv80.8", 2, False),
        ("bwv244.54", 5, False),
    ],
)
def test_named_pieces_have_the_key_that_they_are_known_by(piece, tonic, minor):
    path = Path(FOUND.submodule_search_locations[0]) / "corpus" / "bach" / f"{piece}.mxl"
    assert key_of(durations(read_score(path.read_bytes()))) == (tonic, minor)


@installed
@pytest.mark.slow
def test_the_chorales_of_music21_have_the_documented_size_and_floor():
    task = fresh("chorales")
    assert [task.part(name).size for name in PARTS] == [219, 73, 73]
    assert task.floor == pytest.approx(9.056, abs=0.001)


@installed
@pytest.mark.slow
def test_no_chorale_shares_more_than_a_fifth_with_one_of_another_part():
    arrays, facts = chorales.pieces(repeats=False)
    rolls = np.split(np.unpackbits(arrays["rolls"], axis=1), arrays["ends"][:-1])
    held = {name: chorales.runs(roll) for name, roll in zip(facts["names"], rolls, strict=True)}
    names = chorales.load("C", False, 0).names
    for one, two in (("train", "validation"), ("train", "test"), ("validation", "test")):
        for a in names[one]:
            for b in names[two]:
                assert len(held[a] & held[b]) <= chorales.SHARED * min(len(held[a]), len(held[b]))


@installed
@pytest.mark.slow
def test_the_tunes_of_music21_have_the_documented_size_and_floor():
    task = fresh("folk")
    assert sum(task.part(name).size for name in PARTS) == 2009 - 49
    assert task.floor * task.unit_scale == pytest.approx(3.563, abs=0.001)
    assert min(task.baselines().values()) * task.unit_scale == pytest.approx(2.765, abs=0.001)
