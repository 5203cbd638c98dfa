"""A Gaussian process with a squared-exponential kernel: its kernel found by maximum likelihood, and its predictions.

It is the regression of scikit-learn's `GaussianProcessRegressor` with the kernel `Constant * RBF + White` and
`normalize_y`, to the last digit. What that class does around each look at the likelihood takes ten times as long as the
look itself where there are fifty trials.

Letters of shapes: N trials, M other points, D coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve, cholesky
from scipy.linalg.lapack import dpotrf, dpotrs
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from .intervals import Floats

START_LENGTH = 0.4
BOUNDS = {"scale": (1e-3, 1e3), "length": (0.05, 30.0), "noise": (1e-6, 10.0)}
JITTER = 1e-10  # added to the diagonal, so that it can be factored


class Kernel(NamedTuple):
    """The covariance of two trials: scale * exp(-sum_d (u_d - v_d)^2 / (2 length_d^2)), plus noise for a trial itself.

    scale: variance of the process, in units of the variance of the outcomes.
    lengths: over which it changes, by coordinate [D].
    noise: variance of the luck of a trial.
    """

    scale: float
    lengths: Floats
    noise: float

    @classmethod
    def of(cls, theta: Floats) -> Kernel:
        """Return the kernel of the logarithms of scale, lengths and noise [D + 2]."""
        return cls(np.exp(theta[0]), np.exp(theta[1:-1]), np.exp(theta[-1]))

    def between(self, others: Floats, points: Floats) -> Floats:
        """Return the covariances of other points [M, D] and trials [N, D] without noise [M, N]."""
        distances = cdist(others / self.lengths, points / self.lengths, metric="sqeuclidean")
        covariances: Floats = self.scale * np.exp(-0.5 * distances)
        return covariances

    def among(self, points: Floats) -> tuple[Floats, Floats]:
        """Return the covariances of trials [N, N], and their correlations before scale and noise [N, N]."""
        squares = 0.0
        for coordinates in (points / self.lengths).T:
            squares = squares + (coordinates[:, None] - coordinates) ** 2
        correlations = np.exp(-0.5 * squares)
        covariances = self.scale * correlations
        diagonal = np.einsum("ii->i", covariances)  # a view
        diagonal += self.noise
        diagonal += JITTER
        return covariances, correlations


class Likelihood:
    """The logarithm of the marginal likelihood of trials, negated, and its gradient.

    points: of the trials [N, D].
    values: outcomes with mean 0 and variance 1 [N].
    """

    def __init__(self, points: Floats, values: Floats) -> None:
        self._points, self._values = points, values
        self._squares = (points[:, None, :] - points[None, :, :]) ** 2
        self._eye = np.eye(len(points))

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Return both for the logarithms of scale, lengths and noise [D + 2].

        Source: Rasmussen & Williams 2006, algorithm 2.1 and equation 5.9.
        """
        kernel = Kernel.of(theta)
        covariances, correlations = kernel.among(self._points)
        factor, failed = dpotrf(covariances, lower=True, clean=False)
        if failed:  # it cannot be factored
            return np.inf, np.zeros_like(theta)
        values = self._values[:, None]
        weights, _ = dpotrs(factor, values, lower=True)
        likelihood = -0.5 * np.einsum("ik,ik->k", values, weights)
        likelihood -= np.log(np.diag(factor)).sum()
        likelihood -= len(values) / 2 * np.log(2 * np.pi)
        inner = weights * weights.T - dpotrs(factor, self._eye, lower=True)[0]
        slopes = np.empty((*covariances.shape, len(theta)))
        slopes[..., 0] = kernel.scale * correlations
        slopes[..., 1:-1] = self._squares / kernel.lengths**2 * correlations[..., None] * kernel.scale
        slopes[..., -1] = kernel.noise * self._eye
        gradient = 0.5 * np.einsum("ijl,jik->kl", inner[..., None], slopes)
        return -float(likelihood.sum()), -gradient.sum(axis=-1)


def fit_kernel(points: Floats, values: Floats) -> Kernel:
    """Return the kernel of greatest marginal likelihood, found by L-BFGS from one start.

    points: of the trials [N, D].
    values: outcomes [N].
    """
    dimensions = points.shape[1]
    bounds = np.log([BOUNDS["scale"], *[BOUNDS["length"]] * dimensions, BOUNDS["noise"]])
    start = np.log(np.array([1.0, *[START_LENGTH] * dimensions, 0.1]))
    likelihood = Likelihood(points, _standard(values)[0])
    # a length at its bound means a hyperparameter without influence
    found = minimize(likelihood, start, method="L-BFGS-B", jac=True, bounds=bounds)
    return Kernel.of(found.x)


@dataclass(frozen=True)
class Process:
    """A Gaussian process fitted to trials.

    points: of the trials [N, D].
    kernel: its kernel.
    weights: of each trial in a prediction [N].
    shift, scale: mean and standard deviation of the outcomes.
    """

    points: Floats
    kernel: Kernel
    weights: Floats
    shift: float
    scale: float

    @classmethod
    def fit(cls, points: Floats, values: Floats, kernel: Kernel | None = None) -> Process:
        """Return the process of trials.

        points: of the trials [N, D].
        values: outcomes [N].
        kernel: None to find it, see `fit_kernel`.
        """
        kernel = kernel or fit_kernel(points, values)
        standard, shift, scale = _standard(values)
        factor = cholesky(kernel.among(points)[0], lower=True, check_finite=False)
        return cls(points, kernel, cho_solve((factor, True), standard, check_finite=False), shift, scale)

    def predict(self, points: Floats) -> Floats:
        """Return the expected outcomes at points [M, D]: [M]."""
        predicted: Floats = self.scale * (self.kernel.between(points, self.points) @ self.weights) + self.shift
        return predicted


def _standard(values: Floats) -> tuple[Floats, float, float]:
    """Return outcomes with mean 0 and variance 1, and their mean and standard deviation (1 where they are constant)."""
    shift, scale = float(np.mean(values)), float(np.std(values)) or 1.0
    return (values - shift) / scale, shift, scale
