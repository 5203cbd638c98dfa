"""Small copies of TIMIT and IAM-OnDB in their format, of made sounds and strokes, for the tests."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tasks.real import iam_ondb, timit
from tasks.real.ctc import fit_without_memory

RATE = 16_000
SEGMENT = 1_600
PITCHES = {"h#": 150, "aa": 300, "iy": 500, "s": 900, "pcl": 1500, "q": 2500, "zh": 4000}
"""The phones that are spoken in the copy of TIMIT: the frequency of each in hertz."""


def keep_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let the tasks keep what they read in a folder, and hardly fit the models without memory of IAM-OnDB."""
    patch.setenv("LSTM_VARIANTS_CACHE", str(folder / "cache"))
    patch.setattr(iam_ondb, "fit_without_memory", partial(fit_without_memory, steps=5))


def without_fits(patch: pytest.MonkeyPatch) -> None:
    """Let the models without memory of TIMIT have losses that nobody fitted."""
    losses = {"same answer at every step": 2.0, "present step, softmax": 1.0}
    patch.setattr(timit, "_without_memory", lambda parts, phones: losses)


def speak(phones, rng):
    """The samples of some phones: a sinusoid each, with a little noise."""
    times = np.arange(SEGMENT) / RATE
    tones = [np.sin(2 * np.pi * PITCHES[phone] * times + rng.uniform(0, 6)) for phone in phones]
    return 0.3 * np.concatenate(tones) + 0.01 * rng.normal(size=SEGMENT * len(phones))


def write_sentence(folder, stem, phones, rng, rate=RATE, lower=False, cut=0):
    """Write one sentence, cut: samples that the PHN file does not name at the end. Return the number of samples."""
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    samples = speak(phones, rng)
    name = stem.lower() if lower else stem.upper()
    sound, text = ("wav", "phn") if lower else ("WAV", "PHN")
    soundfile.write(folder / f"{name}.{sound}", samples, rate, format="NIST", subtype="PCM_16")
    ends = [SEGMENT * (number + 1) for number in range(len(phones))]
    ends[-1] -= cut
    starts = [0, *ends[:-1]]
    lines = [f"{start} {end} {phone}\n" for start, end, phone in zip(starts, ends, phones, strict=True)]
    (folder / f"{name}.{text}").write_text("".join(lines))
    return len(samples)


def write_timit(root, train=10, test=3, lower=False, rate=RATE):
    """Write a copy of TIMIT: so many speakers in TRAIN and TEST, two sentences of each, and one of those all say."""
    rng = np.random.default_rng(0)
    for side, count in (("TRAIN", train), ("TEST", test)):
        for number in range(count):
            speaker = f"{'FM'[number % 2]}{side[:2]}{number}0"
            names = [side, f"DR{1 + number % 3}", speaker]
            folder = root.joinpath(*(name.lower() if lower else name for name in names))
            for sentence, stem in enumerate(("SA1", f"SI{number}", f"SX{number}")):
                phones = ["h#", *rng.choice(list(PITCHES), 4 + (number + sentence) % 3), "h#"]
                write_sentence(folder, stem, phones, rng, rate, lower)
    return root


LETTERS = {
    "a": [[(0, 0), (3, 4), (6, 0)], [(2, 2), (4, 2)]],
    "b": [[(0, 8), (0, 0), (3, 1), (0, 3)]],
    "c": [[(4, 4), (0, 2), (4, 0)]],
    "l": [[(0, 8), (0, 4), (0, 0)]],
}
"""Strokes of points for each letter; a space is a gap."""
TEXTS = {
    "trainset": {"a01-000u": ["a bcl", "call ab"], "a01-001": ["lab c", "ball", "cab a"]},
    "testset_v": {"b02-010x": ["all", "bac"]},
    "testset_t": {"b02-011": ["lac a"]},
    "testset_f": {"c03-100z": ["clab", "abba", "a ball"]},
}
"""The lines of each form of each list."""


def strokes_xml(text):
    """The strokes of a line in XML."""
    strokes, left, clock = [], 0.0, 100.0
    for letter in text:
        for stroke in LETTERS.get(letter, []):
            points = []
            for x, y in stroke:
                points.append(f'<Point x="{left + x:g}" y="{y}" time="{clock:.2f}"/>')
                clock += 0.01
            strokes.append(f'<Stroke colour="black">{"".join(points)}</Stroke>')
            clock += 0.1
        left += 8
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<WhiteboardCaptureSession><WhiteboardDescription>'
        '<SensorLocation corner="top_left"/></WhiteboardDescription>'
        f"<StrokeSet>{''.join(strokes)}</StrokeSet></WhiteboardCaptureSession>\n"
    )


def write_iam(root, lists=""):
    """Write a copy of IAM-OnDB; lists: folder of the lists of forms."""
    (root / lists).mkdir(parents=True, exist_ok=True)
    for name, forms in TEXTS.items():
        (root / lists / f"{name}.txt").write_text("".join(f" {form}\n" for form in forms))
        for form, lines in forms.items():
            place = f"{form[:3]}/{form[:7]}"
            strokes, texts = root / "lineStrokes-all/lineStrokes" / place, root / "ascii-all/ascii" / place
            for folder in (strokes, texts):
                folder.mkdir(parents=True, exist_ok=True)
            body = "\n".join(lines)
            (texts / f"{form}.txt").write_text(f"OCR:\n\nwrong {lines[0]}\n\nCSR:\n\n{body}\n")
            for number, line in enumerate(lines, 1):
                (strokes / f"{form}-{number:02d}.xml").write_text(strokes_xml(line))
    return root
