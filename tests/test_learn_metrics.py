"""Measures of predictions against integrals, sums by hand, and data that obey what is stated."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from learn import metrics

STATED = [(0.0, 1.0), (2.5, 0.3), (-4.0, 7.0)]


def exact(count=20_000, seed=0):
    """Values that are drawn from the Gaussians that are stated for them."""
    rng = np.random.default_rng(seed)
    mean, deviation = rng.normal(size=count), rng.uniform(0.2, 3, count)
    return rng.normal(mean, deviation), mean, deviation


@pytest.mark.parametrize(("mean", "deviation"), STATED)
@pytest.mark.parametrize("value", [-1.0, 0.0, 2.6])
def test_crps_is_the_squared_distance_of_the_distribution_functions(mean, deviation, value):
    def squared(x):
        return (norm.cdf(x, mean, deviation) - (x >= value)) ** 2

    low, high = min(mean, value) - 12 * deviation, max(mean, value) + 12 * deviation
    integral = sum(quad(squared, *ends, limit=200)[0] for ends in ((low, value), (value, high)))
    found = metrics.gaussian_crps(np.array([value]), mean, deviation)
    assert found == pytest.approx(integral, rel=1e-6)


@pytest.mark.parametrize(("mean", "deviation"), STATED)
def test_nll_is_that_of_the_density(mean, deviation):
    truth = np.array([-1.0, 0.0, 2.6])
    expected = -norm.logpdf(truth, mean, deviation).mean()
    assert metrics.gaussian_nll(truth, mean, deviation) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("score", [metrics.gaussian_crps, metrics.gaussian_nll])
def test_scores_are_least_for_the_deviation_that_is_true(score):
    truth, mean, deviation = exact()
    found = {factor: score(truth, mean, factor * deviation) for factor in (0.8, 1.0, 1.25)}
    assert min(found, key=found.get) == 1.0


def test_r2_by_hand():
    truth = np.array([1.0, 2.0, 3.0, 6.0])
    assert metrics.r2(truth, truth) == 1
    assert metrics.r2(truth, np.full(4, 3.0)) == 0  # the mean explains nothing
    assert metrics.r2(truth, np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(1 - 4 / 14)


def test_nrmse_by_hand():
    truth, predicted = np.array([1.0, 2.0, 3.0, 6.0]), np.array([1.0, 2.0, 1.0, 6.0])
    assert metrics.nrmse(truth, predicted, 5.0) == pytest.approx(np.sqrt(4 / 4) / 5)


def test_voxel_accuracy_counts_voxels():
    octants = np.zeros((2, 2, 2, 2), bool)
    octants[0, 0] = True
    occupancy = np.where(octants, 0.5, 0.49)  # solid from 0.5 on
    occupancy[1, 0, 0, 0] = 0.9
    assert metrics.voxel_accuracy(octants, occupancy).tolist() == [1, 7 / 8]


def test_relative_voxel_difference_is_the_mean_over_realisations_of_eq_15():
    rng = np.random.default_rng(0)
    octants, made = rng.random((3, 4, 4, 4)) < 0.4, rng.random((3, 5, 4, 4, 4))
    found = metrics.relative_voxel_difference(octants, made)
    for unit in range(3):
        each = [np.abs(octants[unit] - of).sum() / octants[unit].sum() for of in made[unit]]
        assert found[unit] == pytest.approx(np.mean(each))
    same = np.repeat(octants[:, None], 5, axis=1).astype(float)
    assert np.array_equal(metrics.relative_voxel_difference(octants, same), np.zeros(3))
    assert np.array_equal(metrics.relative_voxel_difference(octants, 0 * same), np.ones(3))


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_intervals_of_exact_gaussians_cover_their_level(level):
    truth, mean, deviation = exact()
    lower, upper = (
        mean + s * deviation
        for s in metrics.gaussian_scores(np.array(metrics.central_quantiles(level)))
    )
    assert metrics.coverage(truth, lower, upper) == pytest.approx(level, abs=0.012)


def test_coverage_counts_the_ends():
    truth = np.array([0.0, 1.0, 2.0, 3.0])
    assert metrics.coverage(truth, 1.0, 2.0) == 0.5


def test_calibration_error_is_the_mean_distance_from_the_level():
    truth, mean, deviation = exact()

    def interval(level, factor=1.0):
        low, high = metrics.gaussian_scores(np.array(metrics.central_quantiles(level)))
        return mean + factor * low * deviation, mean + factor * high * deviation

    assert metrics.calibration_error(truth, interval) < 0.01
    levels = metrics.LEVELS
    covered = norm.cdf(3 * norm.ppf((1 + levels) / 2)) * 2 - 1  # three times too wide
    found = metrics.calibration_error(truth, lambda level: interval(level, 3.0))
    assert found == pytest.approx(np.abs(covered - levels).mean(), abs=0.005)
    everything = metrics.calibration_error(truth, lambda level: (-np.inf, np.inf))
    assert everything == pytest.approx((1 - levels).mean())
