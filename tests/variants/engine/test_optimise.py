"""Clipping and optimisers in compiled code: against torch in double precision, for any size and number."""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from variants.engine.cpu.optimise import UPDATES, Finish

OPTIMISERS = [("adam", 0.0), ("nesterov", 0.9), ("nesterov", 0.0), ("sgd", 0.0)]
SIZES = [1, 7, 16, 1000]
RATE = 0.03


def draw(size: int, steps: int = 20) -> tuple[Tensor, Tensor]:
    """Returns values, and gradients whose norms go from 3 to 30."""
    generator = torch.Generator().manual_seed(size)
    gradients = torch.randn(steps, size, generator=generator)
    gradients *= torch.linspace(3.0, 30.0, steps).unsqueeze(1) / gradients.norm(dim=1, keepdim=True)
    return torch.randn(size, generator=generator), gradients


def compiled(name: str, momentum: float, clip_norm: float, values: Tensor, gradients: Tensor) -> Tensor:
    values, gradient = values.clone(), torch.zeros_like(values)
    finish = Finish(values, gradient, optimiser=name, learning_rate=RATE, momentum=momentum, clip_norm=clip_norm)
    for arrived in gradients:
        gradient += arrived
        finish.step()
        assert not gradient.any()
    return values


def by_torch(name: str, momentum: float, clip_norm: float, values: Tensor, gradients: Tensor) -> Tensor:
    values = values.clone().requires_grad_()
    if name == "adam":
        optimiser: torch.optim.Optimizer = torch.optim.Adam([values], lr=RATE)
    else:
        optimiser = torch.optim.SGD(
            [values], lr=RATE * (1 - momentum), momentum=momentum, nesterov=momentum > 0, foreach=False
        )
    for arrived in gradients:
        values.grad = arrived.clone()
        if clip_norm:
            clip_grad_norm_([values], clip_norm)
        optimiser.step()
    return values.detach()


@pytest.mark.parametrize(("name", "momentum"), OPTIMISERS)
@pytest.mark.parametrize("clip_norm", [0.0, 10.0])
@pytest.mark.parametrize("size", SIZES)
def test_twenty_steps_are_those_of_torch(name: str, momentum: float, clip_norm: float, size: int) -> None:
    values, gradients = draw(size)
    ours = compiled(name, momentum, clip_norm, values, gradients)
    theirs = by_torch(name, momentum, clip_norm, values.double(), gradients.double())
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()
    assert (ours - values).abs().max() > 1e-3


@pytest.mark.parametrize("name", UPDATES)
def test_clipping_scales_to_the_norm(name: str) -> None:
    values, gradients = draw(7)
    scaled = gradients * (10.0 / gradients.norm(dim=1, keepdim=True)).clamp(max=1.0)
    clipped, already = (compiled(name, 0.5, clip, values, g) for clip, g in ((10.0, gradients), (0.0, scaled)))
    torch.testing.assert_close(clipped, already, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(
        compiled("sgd", 0.0, 0.0, values, gradients), compiled("sgd", 0.0, 10.0, values, gradients)
    )


@pytest.mark.parametrize(("name", "momentum"), OPTIMISERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("clip_norm", [0.0, 10.0])
@pytest.mark.parametrize("place", [0, 6, 17, 20])
def test_gradients_that_are_not_finite_end_as_in_torch(
    name: str, momentum: float, value: float, clip_norm: float, place: int
) -> None:
    values, gradients = draw(21)
    gradients[2, place] = value
    ours = compiled(name, momentum, clip_norm, values, gradients)
    theirs = by_torch(name, momentum, clip_norm, values, gradients)
    assert torch.equal(ours.isnan(), theirs.isnan())
    assert torch.equal(ours.isinf(), theirs.isinf())
    assert not ours[place].isfinite()


@pytest.mark.parametrize("name", UPDATES)
def test_values_that_are_not_finite_stay_so_and_spoil_no_others(name: str) -> None:
    values, gradients = draw(21)
    values[3], values[18] = math.nan, math.inf
    ours = compiled(name, 0.5, 10.0, values, gradients)
    assert ours[3].isnan()
    assert ours[18] == math.inf
    assert ours.isfinite().sum() == 19


def test_a_gradient_whose_squares_overflow_is_clipped() -> None:
    values, gradient = torch.zeros(2), torch.tensor([3e25, 4e25])
    Finish(values, gradient, optimiser="sgd", learning_rate=1.0, momentum=0.0, clip_norm=1.0).step()
    torch.testing.assert_close(values, torch.tensor([-0.6, -0.8]))


@pytest.mark.parametrize("name", UPDATES)
def test_nothing_is_written_outside_of_the_vectors(name: str) -> None:
    memory = torch.full((2, 64), 5.0)
    memory[:, 20:39] = 1.0
    Finish(memory[0, 20:39], memory[1, 20:39], optimiser=name, learning_rate=0.1, momentum=0.5, clip_norm=1e-3).step()
    assert (memory[:, :20] == 5.0).all()
    assert (memory[:, 39:] == 5.0).all()
    assert (memory[0, 20:39] < 1.0).all()
    assert (memory[1, 20:39] == 0.0).all()


@pytest.mark.parametrize("name", UPDATES)
def test_same_inputs_give_the_same_bits_in_any_thread(name: str) -> None:
    values, gradients = draw(1000)
    first = compiled(name, 0.9, 10.0, values, gradients)
    with ThreadPoolExecutor(2) as threads:
        others = list(threads.map(lambda _: compiled(name, 0.9, 10.0, values, gradients), range(2)))
    for other in (compiled(name, 0.9, 10.0, values, gradients), *others):
        assert torch.equal(first, other)


def test_what_a_kernel_cannot_read_is_refused() -> None:
    given: dict[str, Any] = {"optimiser": "adam", "learning_rate": 0.1, "momentum": 0.0, "clip_norm": 0.0}
    with pytest.raises(ValueError, match="optimiser must be one of adam, nesterov, sgd, got 'lion'"):
        Finish(torch.zeros(3), torch.zeros(3), **given | {"optimiser": "lion"})
    with pytest.raises(ValueError, match=r"needs gradient as contiguous float32 \[3\]"):
        Finish(torch.zeros(3), torch.zeros(4), **given)
    with pytest.raises(ValueError, match=r"needs values as contiguous float32 \[3\]"):
        Finish(torch.zeros(6)[::2], torch.zeros(3), **given)
    with pytest.raises(ValueError, match=r"needs gradient as contiguous float32 \[3\]"):
        Finish(torch.zeros(3), torch.zeros(3, dtype=torch.float64), **given)
