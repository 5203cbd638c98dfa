"""Digits: images, parts, permutation, floor."""

import gzip

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from tasks import Task
from tasks.real import digits


def test_the_images_are_those_of_scikit_learn():
    task = Task.registry["digits"]()
    there = {row.tobytes(): int(digit) for row, digit in zip(*load_digits(return_X_y=True), strict=True)}
    for part in ("train", "validation", "test"):
        batch = task.part(part)
        pixels = (batch.inputs[..., 0].T.double() * 16).round().numpy()
        assert [there[row.tobytes()] for row in pixels] == batch.targets[0].tolist()
    assert [task.part(part).size for part in ("train", "validation", "test")] == [1078, 360, 359]


def test_the_permuted_images_are_the_same_pixels_in_one_other_order():
    plain, permuted = (Task.registry[name]().part("test").inputs[..., 0] for name in ("digits", "digits_permuted"))
    assert not torch.equal(plain, permuted)
    assert torch.equal(plain.sort(0).values, permuted.sort(0).values)
    columns = {row.numpy().tobytes() for row in plain}
    assert {row.numpy().tobytes() for row in permuted} == columns


def test_the_floor_is_that_of_shares_for_each_value_of_the_last_pixel():
    task = Task.registry["digits"]()
    train, test = task.part("train"), task.part("test")
    counts = np.zeros((17, 10))
    levels = (train.inputs[-1, :, 0] * 16).round().long().numpy()
    np.add.at(counts, (levels, train.targets[0].numpy()), 1)
    counts += 0.3  # shares of rare values are drawn together, here by a count and there by a penalty
    shares = counts / counts.sum(1, keepdims=True)
    levels = (test.inputs[-1, :, 0] * 16).round().long().numpy()
    assert task.floor == pytest.approx(-np.log(shares[levels, test.targets[0].numpy()]).mean(), rel=0.02)


def test_a_file_of_another_form_is_refused():
    with pytest.raises(ValueError, match=r"digits.csv.gz must have 64 numbers in 0..16 and a digit a line"):
        digits.images(gzip.compress(b"1,2,3\n"))
