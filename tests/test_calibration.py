"""Recalibration finds what is wrong with stated deviations, and nothing where nothing is."""

import numpy as np
import pytest
from scipy.stats import norm

from learn.calibration import (
    FEW,
    NEAR,
    PROBABILITIES,
    Calibration,
    Known,
    best_factor,
    calibrate,
    interval,
    nearest,
)
from learn.metrics import LEVELS, calibration_error, coverage

COUNT = 3000


def stated(draw, seed=0, count=COUNT):
    """Values, means, and deviations of their own."""
    rng = np.random.default_rng(seed)
    mean, deviation = rng.normal(10, 5, count), rng.uniform(0.5, 2, count)
    return mean + deviation * draw(rng, count), mean, deviation


def gaussian(rng, count):
    return rng.standard_normal(count)


def heavy_tailed(rng, count):
    """Most values near, some far."""
    return rng.standard_t(1.5, count)


def skewed(rng, count):
    return rng.exponential(size=count) - 1


def calibrated(truth, mean, total):
    """Calibration of one target."""
    return calibrate(truth[:, None], mean[:, None], total[:, None])


@pytest.mark.parametrize("wrong", [1 / 3, 1.0, 3.0, 50.0])
def test_a_deviation_that_is_off_by_a_factor_is_put_right(wrong):
    truth, mean, deviation = stated(gaussian)
    found = calibrated(truth, mean, wrong * deviation)
    assert found.factor[0] * wrong == pytest.approx(1, rel=0.05)
    fresh, mean, deviation = stated(gaussian, seed=1)
    for level in (0.5, 0.9):
        ends = interval(mean, found.factor[0] * wrong * deviation, found.scores[0], level)
        assert coverage(fresh, *ends) == pytest.approx(level, abs=0.025)


def test_the_factor_is_of_least_score():
    """Of the same for all: the closed form of the score for scores that are all alike."""
    truth, mean, total = np.array([1.0, -1.0]), np.zeros(2), np.ones(2)
    factor, _ = best_factor(truth, mean, total, np.ones(2))
    # d/ds of s (w (2 Phi(w) - 1) + 2 phi(w) - pi^-1/2) at w = 1/s is 2 phi(w) - pi^-1/2
    assert 2 * norm.pdf(1 / factor) == pytest.approx(1 / np.sqrt(np.pi), rel=1e-4)


@pytest.mark.parametrize(
    ("draw", "method"),
    [(gaussian, "gaussian"), (heavy_tailed, "isotonic"), (skewed, "isotonic")],
    ids=["gaussian", "heavy tails", "skew"],
)
def test_the_method_is_the_one_that_holds_on_units_left_out(draw, method):
    truth, mean, deviation = stated(draw, seed=3)
    found = calibrated(truth, mean, deviation)
    assert found.method == (method,)
    fresh, mean, deviation = stated(draw, seed=4)

    def of(level):
        return interval(mean, found.factor[0] * deviation, found.scores[0], level)

    assert calibration_error(fresh, of) < 0.03  # the other method: 0.04 or more


def test_intervals_follow_values_that_lie_to_one_side():
    truth, mean, deviation = stated(skewed)
    found = calibrated(truth, mean, deviation)
    fresh, mean, deviation = stated(skewed, seed=1)
    lower, upper = interval(mean, found.factor[0] * deviation, found.scores[0], 0.9)
    assert np.mean(fresh < lower) == pytest.approx(0.05, abs=0.015)
    assert np.mean(fresh > upper) == pytest.approx(0.05, abs=0.015)
    assert np.all(upper - mean > 1.5 * (mean - lower))


def test_scores_rise():
    for draw in (gaussian, heavy_tailed, skewed):
        assert np.all(np.diff(calibrated(*stated(draw)).scores[0]) >= 0)


def test_targets_are_calibrated_one_by_one():
    first, second = stated(gaussian), stated(heavy_tailed, seed=1)
    columns = [np.column_stack(pair) for pair in zip(first, second, strict=True)]
    both = calibrate(*columns)
    for index, alone in enumerate((calibrated(*first), calibrated(*second))):
        assert both.factor[index] == alone.factor[0]
        assert np.array_equal(both.scores[index], alone.scores[0])
        assert both.method[index] == alone.method[0]


def far_and_near(count=COUNT, seed=0, power=0.6):
    """Units at latent vectors whose errors grow with the distance from two training units."""
    rng = np.random.default_rng(seed)
    known = Known(np.array([[0.0, 0.0], [50.0, 0.0]], np.float32), 2.0)
    angle, distance = rng.uniform(0, 2 * np.pi, count), 2 * np.exp(rng.uniform(-1, 1.5, count))
    z = distance[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    z[::2, 0] += 50.0  # around the other
    mean, deviation = rng.normal(10, 5, count), rng.uniform(0.5, 2, count)
    truth = mean + deviation * (distance / 2) ** power * rng.standard_normal(count)
    return truth, mean, deviation, z[:, None].astype(np.float32), known


def test_deviations_that_should_grow_with_the_distance_are_made_to():
    truth, mean, deviation, z, known = far_and_near()
    found = calibrate(truth[:, None], mean[:, None], 3 * deviation[:, None], z, known)
    assert found.power[0] == pytest.approx(0.6, abs=0.05)
    assert found.factor[0] == pytest.approx(1 / 3, rel=0.05)
    truth, mean, deviation, z, known = far_and_near(seed=1)
    total = found.factors(z)[:, 0] * 3 * deviation
    far = known.distance(z) > 2.5
    lower, upper = interval(mean, total, found.scores[0], 0.9)
    assert coverage(truth[far], lower[far], upper[far]) == pytest.approx(0.9, abs=0.03)
    alone = calibrate(truth[:, None], mean[:, None], 3 * deviation[:, None])
    total = alone.factors(z)[:, 0] * 3 * deviation
    lower, upper = interval(mean, total, alone.scores[0], 0.9)
    assert coverage(truth[far], lower[far], upper[far]) < 0.82


def test_deviations_that_do_not_grow_with_the_distance_are_left():
    truth, mean, deviation, z, known = far_and_near(power=0.0)
    found = calibrate(truth[:, None], mean[:, None], deviation[:, None], z, known)
    assert found.power[0] == pytest.approx(0, abs=0.05)
    assert found.factors(z) == pytest.approx(1, rel=0.1)


def test_few_units_tell_no_growth():
    truth, mean, deviation, z, known = far_and_near(FEW - 1)
    found = calibrate(truth[:, None], mean[:, None], deviation[:, None], z, known)
    assert (found.power.tolist(), found.known) == ([0.0], None)


def test_the_distance_is_that_to_the_nearest_averaged_over_views():
    rng = np.random.default_rng(0)
    known, z = rng.normal(size=(40, 3)), rng.normal(size=(700, 2, 3))
    exact = np.linalg.norm(z[:, :, None] - known, axis=-1).min(-1)
    assert nearest(z[:, 0], known) == pytest.approx(exact[:, 0])
    found = Known.of(known, z)
    assert found.typical == pytest.approx(np.median(exact))
    relative = np.maximum(exact / found.typical, NEAR)
    assert found.distance(z) == pytest.approx(np.sqrt(relative[:, 0] * relative[:, 1]))
    assert found.distance(known[:, None]).tolist() == pytest.approx([NEAR] * 40)


def test_no_calibration_changes_nothing():
    none = Calibration.none(2)
    assert none.factor.tolist() == [1, 1]
    assert none.method == ("gaussian", "gaussian")
    mean, total = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    for level in (*LEVELS, 0.99):
        lower, upper = interval(mean, total, none.scores[1], level)
        low, high = norm.interval(level, mean, total)
        assert lower == pytest.approx(low, rel=2e-3, abs=2e-3)
        assert upper == pytest.approx(high, rel=2e-3, abs=2e-3)


def test_probabilities_reach_the_widest_interval():
    assert PROBABILITIES[0] == pytest.approx((1 - 0.99) / 2)
    assert PROBABILITIES[-1] == pytest.approx((1 + 0.99) / 2)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [3, 8])
def test_few_validation_units_are_no_error(count):
    found = calibrated(*stated(gaussian, count=count))
    assert np.all(np.isfinite(found.scores))
    assert np.all(found.factor > 0)
