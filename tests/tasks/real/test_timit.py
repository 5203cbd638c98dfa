"""TIMIT is read from a copy in its format: frames, phones, parts, and what is wrong with a copy."""

import importlib.util
import itertools
import shutil

import numpy as np
import pytest
import torch

from tasks.contract import check_batch
from tasks.data import models
from tasks.data.batches import rows_of
from tasks.real import timit
from tasks.real.timit import PHONES, Timit, classes, coefficients_of, most_frequent, phones_of
from tests.tasks.real.copies import PITCHES, SEGMENT, without_fits, write_sentence, write_timit

pytest.importorskip("soundfile", reason="needs soundfile")
torch.set_num_threads(1)  # the tensors are tiny


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LSTM_VARIANTS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def no_fit(monkeypatch):
    without_fits(monkeypatch)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_timit(tmp_path_factory.mktemp("written") / "TIMIT")


@pytest.fixture
def copy(written, tmp_path):
    return shutil.copytree(written, tmp_path / "TIMIT")


@pytest.fixture(scope="module")
def loaded(written, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSTM_VARIANTS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(timit, "PENALTY", 1e-3)  # a fit of few steps
        return Timit(path=str(written))


# Frames


@pytest.mark.parametrize("samples", [560, 719, 720, 5000])
def test_n_samples_have_as_many_frames_as_fit(samples):
    frames = 1 + (samples - 400) // 160
    values = np.random.default_rng(0).normal(size=samples)
    assert coefficients_of(values).shape == (frames, 13)
    assert most_frequent(np.zeros(samples, int)).shape == (frames,)


def test_coefficients_are_those_of_the_stated_recipe():
    """One frame, step by step and number by number."""
    samples = 0.1 * np.random.default_rng(0).normal(size=560)
    frame = [x * (0.54 - 0.46 * np.cos(2 * np.pi * (n + 0.5) / 400)) for n, x in enumerate(samples[160:])]
    frame = np.array([frame[0], *(now - 0.97 * before for before, now in itertools.pairwise(frame))])
    power = np.abs(np.fft.fft(frame, 2048)[:1025]) ** 2
    step = np.log(1 + 8000 / 700) / 41
    bands = np.zeros(40)
    for k in range(1, 1024):
        place = np.log(1 + k * 16000 / 2048 / 700) / step
        below = int(place)
        for band, share in ((below, 1 - (place - below)), (below + 1, place - below)):
            if 1 <= band <= 40:
                bands[band - 1] += 2 * share * power[k]
    angles = np.pi * np.arange(13).reshape(-1, 1) * (np.arange(40) + 0.5) / 40
    cosines = np.sqrt(2 / 40) * np.cos(angles) @ np.log(bands)
    cosines[0] /= np.sqrt(2)
    assert coefficients_of(samples)[1] == pytest.approx(cosines, rel=1e-9)


def test_silence_has_finite_coefficients():
    assert np.isfinite(coefficients_of(np.zeros(1000))).all()


def test_differences_are_half_of_those_to_both_sides():
    coefficients = np.arange(5.0).reshape(-1, 1) ** 2 * np.ones(13)
    inputs = timit.with_differences(coefficients)
    assert inputs[:, 13].tolist() == [1, 2, 4, 6, 7]
    assert inputs[:, 26].tolist() == [1, 1.5, 2, 1.5, 1]


def test_a_frame_has_the_phone_of_most_of_its_samples():
    phones = np.repeat([7, 3, 7, 5], [199, 201, 160, 300])
    expected = [np.bincount(phones[start : start + 400]).argmax() for start in range(0, 461, 160)]
    assert most_frequent(phones).tolist() == expected == [3, 3, 5]


# Files


def test_samples_without_a_phone_count_as_silence(tmp_path):
    file = tmp_path / "S.PHN"
    file.write_text("100 300 sh\n300 350 ix\n400 500 ZH\n")
    phones = [PHONES[k] for k in phones_of(file, 520)]
    parts = [("h#", 100), ("sh", 200), ("ix", 50), ("h#", 50), ("zh", 100), ("h#", 20)]
    assert phones == [phone for phone, count in parts for _ in range(count)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 100 xx\n", "must have lines 'start stop phone' of the 61 phones, got '0 100 xx'"),
        ("0 100\n", "must have lines 'start stop phone' of the 61 phones, got '0 100'"),
        ("-5 100 sh\n", "must have lines 'start stop phone' of the 61 phones, got '-5 100 sh'"),
        ("0 100 sh\n90 5000 ix\n", "must have segments that follow one another, got '90 5000 ix' after sample 100"),
        ("0 0 sh\n", "must have segments that follow one another, got '0 0 sh' after sample 0"),
        ("0 3000 sh\n", "must cover its sound of 5000 samples, got phones for 3000 of them, up to sample 3000"),
        ("1800 5000 sh\n", "must cover its sound of 5000 samples, got phones for 3200 of them, up to sample 5000"),
        ("0 9000 sh\n", "must cover its sound of 5000 samples, got phones for 5000 of them, up to sample 9000"),
        ("", "must cover its sound of 5000 samples, got phones for 0 of them, up to sample 0"),
    ],
)
def test_phones_that_cannot_be_are_refused_in_one_line(tmp_path, text, message):
    file = tmp_path / "S.PHN"
    file.write_text(text)
    with pytest.raises(ValueError, match=f"^timit: .*S.PHN {message}$"):
        phones_of(file, 5000)


@pytest.mark.usefixtures("no_fit")
def test_names_may_have_lower_case(tmp_path, loaded):
    lower = Timit(path=str(write_timit(tmp_path / "timit", lower=True)))
    assert lower.fingerprint == loaded.fingerprint


@pytest.mark.usefixtures("no_fit")
def test_copies_of_sounds_are_not_read_twice(copy, loaded):
    for file in sorted(copy.rglob("*.WAV")):
        shutil.copy(file, f"{file}.wav")
    assert Timit(path=str(copy)).fingerprint == loaded.fingerprint


def first(copy, kind):
    return sorted(file for file in copy.rglob(f"*.{kind}") if not file.name.startswith("SA"))[0]


def rewrite(copy, **options):
    import soundfile

    file = first(copy, "WAV")
    samples, rate = soundfile.read(file)
    samples = samples[: options.pop("samples", None)]
    channels = options.pop("channels", 1)
    values = np.stack([samples] * channels, 1)
    soundfile.write(file, values, options.pop("rate", rate), format="NIST", subtype="PCM_16")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda copy: shutil.rmtree(copy / "TRAIN"), "timit needs a copy of TIMIT .* got no TRAIN in .*TIMIT$"),
        (lambda copy: shutil.rmtree(copy / "TEST"), "timit needs a copy of TIMIT .* got no TEST in .*TIMIT$"),
        (
            lambda copy: [f.unlink() for f in (copy / "TEST").rglob("S[IX]*.WAV")],
            "got no SI or SX sentence .* in .*TEST",
        ),
        (
            lambda copy: first(copy, "PHN").unlink(),
            r"timit: .*SI\d.WAV must have its phones beside it, got no SI\d.PHN",
        ),
        (lambda copy: rewrite(copy, rate=8000), "WAV must have 16000 samples a second in one channel, got 8000 and 1"),
        (
            lambda copy: rewrite(copy, channels=2),
            "WAV must have 16000 samples a second in one channel, got 16000 and 2",
        ),
        (lambda copy: rewrite(copy, samples=559), "WAV must have at least 560 samples, got 559"),
        (lambda copy: first(copy, "WAV").write_bytes(b"NIST_1A\n   1024\nno header"), "must be a sound that soundfile"),
    ],
)
@pytest.mark.usefixtures("no_fit")
def test_what_is_wrong_with_a_copy_is_said_in_one_line(copy, damage, message):
    damage(copy)
    with pytest.raises(ValueError, match=message) as error:
        Timit(path=str(copy))
    assert "\n" not in str(error.value)


def test_a_missing_soundfile_is_named(copy, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^timit needs soundfile: pip install -c constraints.txt -e '\.\[speech\]'$"):
        Timit(path=str(copy))


@pytest.mark.usefixtures("no_fit")
def test_a_second_process_reads_the_cache(copy, monkeypatch, capsys):
    found = Timit(path=str(copy))
    assert capsys.readouterr().err == f"timit: reading 26 sentences of {copy}, once\n"
    timit._load.cache_clear()
    monkeypatch.setattr(timit, "samples_of", None)
    assert Timit(path=str(copy)).fingerprint == found.fingerprint
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("no_fit")
def test_a_changed_file_is_read_again(copy):
    before = Timit(path=str(copy))
    timit._load.cache_clear()
    folder = first(copy, "WAV").parent
    write_sentence(folder, first(copy, "WAV").stem, ["h#", "s", "zh", "h#"], np.random.default_rng(5), cut=77)
    assert Timit(path=str(copy)).fingerprint != before.fingerprint
    with pytest.raises(ValueError, match=r"^timit: the data must be those"):
        Timit(path=str(copy), sha256=before.fingerprint)


# Parts


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_part_keeps_the_contract(loaded, part):
    batch = loaded.part(part)
    check_batch(loaded, batch, batch.size)
    assert loaded.part(part) is batch
    inside = torch.arange(len(batch.inputs)).view(-1, 1) < batch.lengths
    assert torch.equal(batch.weights, inside.float())


def test_parts_have_the_sentences_of_their_speakers(loaded):
    assert {part: loaded.part(part).size for part in ("train", "validation", "test")} == {
        "train": 18,
        "validation": 2,
        "test": 6,
    }


def test_sentences_that_all_say_are_left_out(written):
    found = timit.sentences(written)
    assert {sentence.sound.name[:2] for sentence in found} == {"SI", "SX"}
    assert {sentence.side for sentence in found} == {"TRAIN", "TEST"}


def test_inputs_are_standardised_by_the_training_part(loaded):
    batch = loaded.part("train")
    inputs = batch.inputs[batch.weights > 0]
    assert inputs.mean(0).abs().max() < 1e-4
    assert (inputs.std(0, correction=0) - 1).abs().max() < 1e-4
    test = loaded.part("test")
    assert test.inputs[test.weights > 0].mean(0).abs().max() > 1e-3


def speakers(copy, **knobs):
    every = timit.sentences(copy)
    knobs = {"core_test": (), "validation": (), "seed": 0, **knobs}
    return {part: {every[n].speaker for n in numbers} for part, numbers in timit._parts_of(every, **knobs).items()}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nobody_is_in_two_parts(written, seed):
    parts = speakers(written, seed=seed)
    assert len(parts["train"] | parts["validation"] | parts["test"]) == 13
    assert sum(len(names) for names in parts.values()) == 13
    assert len(parts["validation"]) == 1


def test_the_seed_draws_the_validation_part(written):
    assert len({tuple(speakers(written, seed=seed)["validation"]) for seed in range(6)}) > 1


def test_listed_speakers_make_the_parts(written):
    parts = speakers(written, core_test=("mte10",), validation=("fte00", "ftr20"))
    assert parts["test"] == {"mte10"}
    assert parts["validation"] == {"fte00", "ftr20"}
    assert len(parts["train"]) == 9


@pytest.mark.usefixtures("no_fit")
def test_lists_are_files_of_names(written, tmp_path):
    core = tmp_path / "core.txt"
    core.write_text("FTE00\nMTE10\n")
    task = Timit(path=str(written), core_test=str(core), phones=39)
    assert task.part("test").size == 4


def test_order_does_not_depend_on_length(loaded):
    lengths = loaded.part("train").lengths.tolist()
    assert lengths not in (sorted(lengths), sorted(lengths, reverse=True))


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({}, r"^timit needs a copy of TIMIT \(LDC93S1\): task.path=FOLDER with TRAIN and TEST in it, got no path$"),
        ({"path": "/nowhere/at/all"}, "with TRAIN and TEST in it, got '/nowhere/at/all', which is no folder$"),
        ({"phones": 48}, "^timit: phones must be 61 or 39, got 48$"),
        ({"split_seed": -1}, "^timit: split_seed must be at least 0, got -1$"),
        ({"core_test": "/nowhere"}, "^timit: core_test must be a text file with names of speakers, got '/nowhere': No"),
    ],
)
def test_a_knob_that_cannot_be_is_refused(knobs, message):
    with pytest.raises(ValueError, match=message):
        Timit(**knobs)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"core_test": ("ftr00",)}, "^timit: core_test must name speakers of TEST, got ftr00$"),
        ({"validation": ("xyz",)}, "^timit: validation must name speakers of TRAIN or TEST, got xyz$"),
        (
            {"core_test": ("fte00",), "validation": ("fte00",)},
            "^timit: nobody may be in core_test and validation, got fte",
        ),
        ({"validation": ("fte00", "mte10", "fte20")}, "^timit: the part test must have speakers, got none"),
    ],
)
def test_lists_that_cannot_be_are_refused(written, knobs, message):
    with pytest.raises(ValueError, match=message):
        speakers(written, **knobs)


# Phones


def test_all_phones_are_classes_of_their_own():
    assert len(set(PHONES)) == 61
    assert classes(61).tolist() == list(range(61))


def test_39_phones_take_allophones_and_silences_together():
    table = dict(zip(PHONES, classes(39).tolist(), strict=True))
    groups = ["aa ao", "ah ax ax-h", "er axr", "hh hv", "ih ix", "l el", "m em", "n en nx", "ng eng", "sh zh", "uw ux"]
    groups.append("h# pau epi pcl tcl kcl bcl dcl gcl")
    assert all(len({table[phone] for phone in group.split()}) == 1 for group in groups)
    assert table.pop("q") == -1
    assert sorted(set(table.values())) == list(range(39))


@pytest.mark.usefixtures("no_fit")
def test_frames_of_the_glottal_stop_are_not_asked_of_39_phones(written, loaded):
    task = Timit(path=str(written), phones=39)
    check_batch(task, task.part("train"), 18)
    every, asked = loaded.part("train"), task.part("train").weights > 0
    inside = every.weights > 0
    assert torch.equal(asked, inside & (every.targets != PHONES.index("q")))
    assert (inside & ~asked).sum() > 0
    assert task.output_size == 39


# Models without memory


def test_a_linear_model_of_the_present_frame_names_the_sinusoids(loaded):
    train, test = (rows_of(loaded.part(part), 1) for part in ("train", "test"))
    model = models.fit_linear(train, models.cross_entropy, 61, 1e-3)
    right = model(test.features).argmax(1) == test.targets
    assert right.double().mean() > 0.9


def test_the_floor_is_the_loss_of_the_present_frame(loaded):
    losses = loaded.baselines()
    assert loaded.floor == losses["present step, softmax"] < losses["same answer at every step"]
    shares = np.log(len(PITCHES))
    assert losses["same answer at every step"] == pytest.approx(shares, abs=0.4)
    assert loaded.score(loaded.floor) == 0
    assert loaded.score(0.0) == 1


def test_sounds_have_the_frames_of_their_samples(loaded):
    segments = loaded.part("test").lengths
    assert {1 + (SEGMENT * count - 400) // 160 for count in (6, 7, 8)} >= set(segments.tolist())
