"""Digits: name a handwritten digit of which one pixel is seen a step, or say how probable its rows are."""

from __future__ import annotations

import gzip
import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from ..data.batches import rows_of
from ..data.cache import Parsed, cached, digest
from ..data.models import Rows, best_linear, binary_cross_entropy, cross_entropy, mean_loss, smoothed_shares
from ..data.packages import installed
from ..data.split import shuffled, split
from ..task import PARTS, Batch, Classification, DataTask, Density, step_by_step

PARSER, FITS = 1, 1
"""Versions of what is kept on disk: a change of the code below that changes numbers raises them."""
PIXELS, CLASSES, BRIGHTEST = 64, 10, 16
ROWS, BRIGHT = 8, 8
"""Rows of an image, each of as many pixels; and the least brightness of a pixel that counts as on."""


class Digits(DataTask, Classification, name="digits"):
    """See the pixels of a handwritten digit one by one, and name the digit at the end.

        input    0  0  .31  .81  .56  .06  0  0   0  0  .81  ..  0     brightness of 8 x 8 pixels, row by row
        target   .  .  .    .    .    .    .  .   .  .  .    ..  0     the digit, read at step 63

    The 1,797 images that scikit-learn brings, of 0 to 16 units of brightness, scaled to 0..1; T = 64. They are dealt
    out to the parts at random: 1,078 to train on, 360 to choose by, 359 to report on (60 : 20 : 20). Nothing says who
    wrote an image, so writers are not kept apart.

    Cross-entropy at the last step, in nats. The best model without memory sees the last pixel only: its floor is that
    of the shares of digits for each brightness of it, fitted to the train part. There is no criterion by which the
    task would be solved; the score is 1 at the loss of a logistic regression that sees all pixels at once.

    split_seed: of the permutation of the images.
    sha256: of the data and their parts, where they must be those of an earlier run; empty for no such claim.
    """

    source = "the test part of 'Optical Recognition of Handwritten Digits' (Alpaydin & Kaynak 1998), from scikit-learn"
    solved_loss = None
    reference_source = "a logistic regression that sees all pixels at once, fitted to the train part"

    def __init__(self, *, split_seed: int = 0, sha256: str = "") -> None:
        self.split_seed = split_seed
        self._use(load(self.name, split_seed, None), sha256)

    def _use(self, data: Loaded, sha256: str) -> None:
        self._data = data
        self.input_size, self.output_size = 1, CLASSES
        self.floor, self.reference = data.losses["last pixel"], data.losses["all pixels at once, logistic"]
        self.set_data(data.parts, data.fingerprint, sha256)

    def baselines(self) -> dict[str, float]:
        return dict(self._data.losses)


class DigitsPermuted(Digits, name="digits_permuted"):
    """See the pixels of a handwritten digit one by one in a fixed random order, and name the digit at the end.

        input    .06  0  0  .94  0  .5  0  .25  1  ..  .75     brightness of 8 x 8 pixels, in the permuted order
        target   .    .  .  .    .  .   .  .    .  ..  0       the digit, read at step 63

    Images and parts are those of `digits`. One permutation for all images puts what was near in an image far apart in
    time.

    Cross-entropy at the last step, in nats. The best model without memory sees the last pixel only; floor and
    reference are fitted as for `digits`. There is no criterion by which the task would be solved; the score is 1 at the
    reference.

    permutation_seed: of the permutation of the pixels.
    split_seed: of the permutation of the images.
    sha256: of the data and their parts, where they must be those of an earlier run; empty for no such claim.
    """

    source = (
        "data as for `digits`; a permutation after Le, Jaitly & Hinton 2015, 'A Simple Way to Initialize Recurrent "
        "Networks of Rectified Linear Units', section 4.2, there of MNIST"
    )

    def __init__(self, *, permutation_seed: int = 0, split_seed: int = 0, sha256: str = "") -> None:
        self.permutation_seed, self.split_seed = permutation_seed, split_seed
        self._use(load(self.name, split_seed, permutation_seed), sha256)


class DigitRows(DataTask, Density, name="digit_rows"):
    """Say how probable each row of a handwritten digit is, after the rows above it.

        input    00000000  00111000  00101100  ..  00011110     the row above, nothing before the first
        target   00111000  00101100  00100100  ..  00111000     8 pixels, 1 where one is on, asked at each of 8 steps

    The images of `digits`; a pixel is on where its brightness is at least 8 of 16. T = 8. Images that are the same then
    stay together; they are dealt out to the parts at random, 60 : 20 : 20.

    Loss in nats a row, summed over its pixels. The best model without memory sees the row above only: its floor is
    that of a logistic regression of each pixel, fitted to the train part. There is no criterion by which the task would
    be solved, since nobody knows the entropy of digits; the score is 1 at the loss of a logistic regression that sees
    all rows above.

    split_seed: of the permutation of the images.
    sha256: of the data and their parts, where they must be those of an earlier run; empty for no such claim.

    Differs from the binarised digits on which networks with latent variables are compared (Larochelle & Murray 2011,
    of MNIST): 8 x 8 pixels for 28 x 28, and 1,078 images for 50,000.
    """

    source = (
        "data as for `digits`; rows of an image as steps after Gregor et al. 2014, 'Deep AutoRegressive Networks', "
        "which has pixels"
    )
    reference_source = "a logistic regression of each pixel that sees all rows above, fitted to the train part"

    def __init__(self, *, split_seed: int = 0, sha256: str = "") -> None:
        self.split_seed = split_seed
        self.input_size = self.output_size = PIXELS // ROWS
        self.steps = ROWS
        data = load_rows(split_seed)
        self._losses = data.losses
        self.floor, self.reference = data.losses["last row, logistic"], data.losses["all rows above, logistic"]
        self.set_data(data.parts, data.fingerprint, sha256)

    def baselines(self) -> dict[str, float]:
        return dict(self._losses)


class Loaded(NamedTuple):
    """What all tasks of the same knobs share.

    parts: by name.
    fingerprint: of the images, the order of their pixels or rows, and the parts.
    losses: of simple models, on the test part.
    """

    parts: dict[str, Batch]
    fingerprint: str
    losses: dict[str, float]


@cache
def load(task: str, split_seed: int, permutation_seed: int | None) -> Loaded:
    """Read and split the images, once a process.

    task: name of the task, for messages.
    split_seed, permutation_seed: knobs of the tasks; without a permutation None.
    """
    arrays = all_images(task)
    order = list(range(PIXELS))
    if permutation_seed is not None:
        order = shuffled([str(pixel) for pixel in order], permutation_seed)
    pixels = arrays["pixels"][:, order]
    numbers = [str(number) for number in range(len(pixels))]
    chosen = {part: np.array(items) for part, items in split(task, numbers, numbers, split_seed).items()}
    parts = {part: at_the_end(pixels[items], arrays["digits"][items]) for part, items in chosen.items()}
    fingerprint = digest({"pixels": pixels, "digits": arrays["digits"], **chosen})
    versions = {"data": fingerprint, "fits": FITS}
    losses = cached("digits-fits", versions, lambda: Parsed({}, simple_models(parts))).facts
    return Loaded(parts, fingerprint, losses)


def all_images(task: str) -> dict[str, Any]:
    """Return the arrays of `images`, from disk where they were parsed before; task: its name, for messages."""
    package = installed(task, "sklearn", "analysis", "scikit-learn")
    path = package.folder / "datasets" / "data" / "digits.csv.gz"
    versions = {"scikit-learn": package.version, "parser": PARSER}
    return cached("digits", versions, lambda: images(path.read_bytes())).arrays


def images(content: bytes) -> Parsed:
    """Parse the file of images: one a line, 64 whole numbers in 0..16 and the digit, divided by commas.

    content: of the file, compressed by gzip.

    Returns the arrays `pixels` [N, 64] and `digits` [N], uint8.
    Raises ValueError for a file of another form.
    """
    table = np.loadtxt(gzip.decompress(content).decode().splitlines(), delimiter=",", ndmin=2)
    if table.shape[1] != PIXELS + 1 or table.min() < 0 or table[:, :-1].max() > BRIGHTEST or table[:, -1].max() > 9:
        raise ValueError(f"digits.csv.gz must have {PIXELS} numbers in 0..{BRIGHTEST} and a digit a line")
    return Parsed({"pixels": table[:, :-1].astype(np.uint8), "digits": table[:, -1].astype(np.uint8)})


def at_the_end(pixels: np.ndarray[Any, Any], digits: np.ndarray[Any, Any]) -> Batch:
    """Make a batch of images: pixels [N, 64] in 0..16 one a step, and digits [N] that are read at the last step."""
    inputs = torch.from_numpy(pixels.T.astype(np.float32) / BRIGHTEST).unsqueeze(-1)
    targets = torch.from_numpy(digits.astype(np.int64)).unsqueeze(0)
    return Batch(inputs, targets, torch.full((1, len(digits)), PIXELS - 1))


def simple_models(parts: dict[str, Batch]) -> dict[str, float]:
    """Return the losses on the test part of models that were fitted to the train part, by name."""
    last = {part: _by_brightness(rows_of(parts[part], 1)) for part in PARTS}
    every = {part: rows_of(parts[part], PIXELS) for part in PARTS}
    losses = {"no input, equal shares": math.log(CLASSES)}
    for name, rows in (("last pixel", last), ("all pixels at once, logistic", every)):
        model = best_linear(rows["train"], rows["validation"], cross_entropy, CLASSES)
        losses[name] = mean_loss(cross_entropy, model(rows["test"].features), rows["test"])
    return losses


def _by_brightness(rows: Rows) -> Rows:
    """Return rows whose one feature, a brightness, is one-hot, so that a linear model may give each its own answer."""
    levels = (rows.features[:, 0] * BRIGHTEST).round().long()
    return Rows(functional.one_hot(levels, BRIGHTEST + 1).double(), rows.targets)


@cache
def load_rows(split_seed: int) -> Loaded:
    """Read the images as rows of bits and split them, once a process; split_seed: a knob of the task."""
    on = all_images("digit_rows")["pixels"] >= BRIGHT  # [N, 64]
    groups = [row.tobytes() for row in on]
    chosen = split("digit_rows", [str(number) for number in range(len(on))], groups, split_seed)
    rows = torch.from_numpy(on).float().view(-1, ROWS, PIXELS // ROWS).transpose(0, 1)  # [8, N, 8]
    parts = {part: step_by_step(rows[:, items].contiguous()) for part, items in chosen.items()}
    fingerprint = digest({part: batch.targets.numpy() for part, batch in parts.items()})
    versions = {"data": fingerprint, "fits": FITS}
    losses = cached("digit-rows-fits", versions, lambda: Parsed({}, models_of_rows(parts))).facts
    return Loaded(parts, fingerprint, losses)


def models_of_rows(parts: dict[str, Batch]) -> dict[str, float]:
    """Return the losses on the test part of models of rows that were fitted to the train part, by name."""
    rows = {part: rows_of(batch, 0) for part, batch in parts.items()}
    constant = smoothed_shares(rows["train"].targets).logit().expand(len(rows["test"].targets), -1)
    losses = {"no input, share of each pixel": mean_loss(binary_cross_entropy, constant, rows["test"])}
    for name, count in (("last row, logistic", 1), ("all rows above, logistic", ROWS)):
        seen = {part: rows_of(batch, count) for part, batch in parts.items()}
        model = best_linear(seen["train"], seen["validation"], binary_cross_entropy, PIXELS // ROWS)
        losses[name] = mean_loss(binary_cross_entropy, model(seen["test"].features), seen["test"])
    return losses
