"""The design problem: objectives and constraints are those of the delivered unit, robustly."""

from types import SimpleNamespace

import numpy as np
import pytest

from design.cleaning import Cleaning, Range
from design.consistency import consistent
from design.problem import Bound, DesignProblem, Goal, Task, nearest_to_feasible
from homog.bounds import hashin_shtrikman_upper
from homog.dataset import Dataset
from homog.errors import ParameterError
from homog.homogenization import homogenize
from homog.material import Isotropic
from homog.units.family import unfold
from learn.data import Scaler
from learn.derived import bulk_modulus, spread
from learn.kriging import corrected
from learn.surrogate import Prediction, Surrogate

SOLID = Isotropic(70e3, 0.33)


@pytest.fixture(scope="module")
def surrogate(model):
    return Surrogate.load(model)


@pytest.fixture(scope="module")
def z():
    return np.random.default_rng(0).standard_normal((12, 3))


def task(*goals, **options):
    return Task(goals or (Goal("E"),), samples=8, **options)


def evaluated(surrogate, z, of):
    return DesignProblem(surrogate, of).evaluate(z)


@pytest.mark.parametrize("risk", [0.0, 0.5, 5.0])
def test_a_goal_is_the_mean_less_so_many_deviations(surrogate, z, risk):
    found = evaluated(surrogate, z, task(Goal("E"), Goal("nu", maximize=False), risk=risk))
    E, nu = (found.predictions[name] for name in ("E", "nu"))
    assert np.allclose(found.F[:, 0], -(E.mean - risk * E.total))
    assert np.allclose(found.F[:, 1], nu.mean + risk * nu.total)


def test_predictions_are_of_the_unit_that_is_delivered(surrogate, z):
    found = evaluated(surrogate, z, task(cleaning=Cleaning(Range(0.3, 0.4))))
    again = surrogate.predict_octants(found.octants, 8)
    assert np.allclose(found.predictions["E"].mean, again["E"].mean)
    assert np.allclose(found.predictions["nu"].total, again["nu"].total)


def test_without_samples_the_prediction_is_the_plain_one(surrogate, z):
    """Of the octant and of that of the cell shifted by half its edges."""
    found = evaluated(surrogate, z, Task((Goal("E"),), risk=0.0, samples=0))
    views = (found.octants, found.octants[:, ::-1, ::-1, ::-1])
    plain = [surrogate.predict(surrogate.encode(view)).mean[:, 0].numpy() for view in views]
    assert np.allclose(found.predictions["E"].mean, np.mean(plain, axis=0), rtol=1e-5)


def test_density_is_a_goal_without_uncertainty(surrogate, z):
    found = evaluated(surrogate, z, task(Goal("density", maximize=False)))
    assert np.allclose(found.F[:, 0], [unit.density for unit in found.units])


def test_a_bound_holds_with_deviations_to_spare(surrogate, z):
    low, high = 5e3, 9e3
    of = task(bounds=(Bound("E", Range(low, high)),), risk=2.0)
    found = evaluated(surrogate, z, of)
    E, column = found.predictions["E"], found.G[:, 2]
    kept = (E.mean - 2 * E.total >= low) & (E.mean + 2 * E.total <= high)
    assert np.array_equal(column <= 0, kept)
    wide = task(bounds=(Bound("E", Range(0.0, 1e6)), Bound("density", Range(0.0, 1.0))), risk=0.0)
    assert np.all(evaluated(surrogate, z, wide).G[:, 2:] == 0)


def test_constraints_are_named_in_the_order_of_their_columns(surrogate, z):
    cleaning = Cleaning(Range(0.2, 0.3), min_feature=2, open_cell=True)
    problem = DesignProblem(
        surrogate, task(bounds=(Bound("nu", Range(high=0.3)),), cleaning=cleaning)
    )
    found = problem.evaluate(z)
    assert len(problem.constraints) == found.G.shape[1] == 5
    for n, unit in enumerate(found.units):
        row = dict(zip(problem.constraints, found.G[n], strict=True))
        assert (row["one part carries load along all axes"] <= 0) == (unit.loose == 0)
        assert (row["density 0.2:0.3"] <= 0) == (0.2 <= unit.density <= 0.3)
        assert (row["smallest feature of 2 voxels"] <= 0) == (unit.smallest_feature >= 2)
        assert (row["void open to all faces"] <= 0) == unit.open_cell
        assert found.feasible[n] == (found.G[n] <= 0).all()


def test_what_fails_is_said_of_the_design_that_is_nearest(surrogate, z):
    problem = DesignProblem(surrogate, task(bounds=(Bound("E", Range(low=1e9)),)))
    found = problem.evaluate(z)
    index, text = nearest_to_feasible(found, problem.constraints)
    assert not found.feasible.any()
    assert index == np.argmin(np.maximum(found.G, 0).sum(1))
    assert "E 1e+09:" in text


def test_a_bulk_modulus_above_its_bound_is_an_error_of_the_model():
    upper, _ = hashin_shtrikman_upper(0.3, SOLID.K, SOLID.G)
    mean = np.array([0.9 * upper, upper + 400.0])
    aleatoric, epistemic = np.array([80.0, 80.0]), np.array([150.0, 300.0])
    total = np.hypot(aleatoric, epistemic)
    K = Prediction(mean, aleatoric, epistemic, total, np.zeros(3))
    found = consistent({"K": K}, np.array([0.3, 0.3]), SOLID, 0.0)["K"]
    assert found.mean == pytest.approx([0.9 * upper, upper])
    assert found.epistemic == pytest.approx([150.0, 500.0])
    assert found.total == pytest.approx([170.0, np.hypot(80.0, 500.0)])
    assert np.array_equal(found.aleatoric, aleatoric)


def test_no_modulus_scatters_less_than_that_of_the_solid():
    """A solved cell does by more: it also follows the Poisson's ratio of the solid."""
    mean, aleatoric, epistemic = (np.array([v, v]) for v in (1000.0, 5.0, 12.0))
    aleatoric[1] = 30.0
    said = Prediction(mean, aleatoric, epistemic, np.hypot(aleatoric, epistemic), np.zeros(3))
    names = ("E", "G", "K", "nu")
    found = consistent(dict.fromkeys(names, said), np.array([0.3, 0.3]), SOLID, 0.01)
    for name in ("E", "G", "K"):
        assert found[name].aleatoric == pytest.approx([10.0, 30.0])
        assert found[name].total == pytest.approx(np.hypot([10.0, 30.0], 12.0))
        assert np.array_equal(found[name].epistemic, epistemic)
    assert np.array_equal(found["nu"].aleatoric, aleatoric)
    cell = unfold(np.indices((4, 4, 4)).max(axis=0) > 1)
    deviation = homogenize(cell, SOLID, threads=1, fields=True).scatter(0.01)
    result = homogenize(cell, SOLID, threads=1)
    for name in ("E", "G", "K"):
        assert deviation[name] >= 0.01 * getattr(result, name)


def test_k_follows_from_e_and_nu_at_each_sample():
    """Its mean is exact over samples, its deviations are those of drawn E and nu to first order."""
    rng = np.random.default_rng(0)
    shape = (3, 1, 40, 2)  # units, hypotheses, samples, targets
    mean, within = 0.3 * rng.standard_normal(shape), rng.uniform(0.5e-4, 1e-4, shape)
    scaler = Scaler(np.array([7e3, 0.2]), np.array([2e3, 0.1]))
    factor = np.array([1.5, 2.0])
    found = bulk_modulus(e_and_nu(scaler, factor, (mean, within, 0.4 * within)), None, 40, {})

    def modulus(y):
        E, nu = np.moveaxis(scaler.restore(y), -1, 0)
        return E / (3 * (1 - 2 * nu))

    assert np.allclose(found.mean, modulus(mean).mean((1, 2)))
    drawn = rng.standard_normal((2000, *shape))
    stated = modulus(mean + drawn * np.sqrt(within) * factor)
    assert found.total == pytest.approx(stated.std((0, 2, 3)), rel=0.02)
    solid = modulus(mean + drawn * np.sqrt(0.4 * within)) - modulus(mean)
    assert found.aleatoric == pytest.approx(np.sqrt((solid**2).mean((0, 2, 3))), rel=0.02)


def e_and_nu(scaler, factor, samples, scatter=True):
    """A surrogate of E and nu that finds such samples, with scatter of the solid or without."""
    return SimpleNamespace(
        targets=("E", "nu"), scaler=scaler, factors=lambda _: np.atleast_2d(factor),
        framework=SimpleNamespace(scatter=scatter or None), samples_of_octants=lambda *_: samples,
    )  # fmt: skip


def test_a_factor_below_one_does_not_take_the_scatter_of_the_solid_away():
    """Samples that agree: all that is left of the deviation of K is the scatter."""
    mean, within = np.zeros((1, 1, 8, 2)), np.full((1, 1, 8, 2), 1e-4)
    scaler, factor = Scaler(np.array([7e3, 0.2]), np.array([2e3, 0.1])), np.full(2, 0.7)
    found = bulk_modulus(e_and_nu(scaler, factor, (mean, within, within)), None, 8, {})
    slopes = np.array([1 / 1.8, 2 * 7e3 / (3 * 0.6**2)])
    scatter = np.linalg.norm(slopes * scaler.deviation * 1e-2)
    assert found.aleatoric == pytest.approx([scatter])
    assert found.epistemic == pytest.approx([0.0], abs=1e-6)
    assert found.total == pytest.approx([scatter])
    alone = e_and_nu(scaler, factor, (mean, within, within), scatter=False)
    assert bulk_modulus(alone, None, 8, {}).aleatoric == pytest.approx([0.7 * scatter])


def test_the_spread_of_k_is_that_of_its_e_and_nu_to_first_order():
    rng = np.random.default_rng(0)
    scaler = Scaler(np.array([7e3, 0.2]), np.array([70.0, 0.002]))
    fake = SimpleNamespace(targets=("E", "nu"), scaler=scaler)
    E, nu = scaler.restore(rng.standard_normal((10**5, 2))).T
    assert spread(fake, "K") == pytest.approx(np.std(E / (3 * (1 - 2 * nu))), rel=0.02)
    assert spread(fake, "nu") == 0.002


def test_what_a_design_lacks_of_a_bound_does_not_depend_on_the_others(surrogate, z):
    problem = DesignProblem(surrogate, task(bounds=(Bound("K", Range(low=1e6)),)))
    together = problem.evaluate(z).G[:, 2]
    alone = [problem.evaluate(z[n : n + 1]).G[0, 2] for n in range(len(z))]
    assert together == pytest.approx(alone, rel=1e-4)


def test_k_of_a_corrected_surrogate_follows_from_its_e_and_nu(surrogate, z, labelled):
    made = corrected(surrogate, [labelled], samples=8)
    found = evaluated(made, z, task(Goal("K")))
    E, nu, K = (found.predictions[name] for name in ("E", "nu", "K"))
    upper, _ = hashin_shtrikman_upper(found.octants.mean((1, 2, 3)), SOLID.K, SOLID.G)
    assert np.allclose(K.mean, np.minimum(E.mean / (3 * (1 - 2 * nu.mean)), upper))


def test_designs_that_are_left_out_are_judged_like_all_others(surrogate, labelled):
    """Their K follows from E and nu, lies below its bound, and their samples are the task's."""
    made = corrected(surrogate, [labelled], samples=8)
    with Dataset(labelled) as units:
        octants = units.octants[:40]
        truth = np.column_stack([units.labels[name] for name in surrogate.targets])[:40]
    truth[:, 0] *= 2  # too stiff for theory
    found = DesignProblem(made, task(Goal("K"))).predict_left_out(octants, truth)
    plain = made.predict_left_out(octants, truth, samples=8)
    upper, _ = hashin_shtrikman_upper(octants.mean((1, 2, 3)), SOLID.K, SOLID.G)
    K = plain["E"].mean / (3 * (1 - 2 * plain["nu"].mean))
    assert np.any(K > upper)
    assert np.allclose(found["K"].mean, np.minimum(K, upper))
    assert np.array_equal(found["nu"].aleatoric, plain["nu"].aleatoric)


@pytest.mark.parametrize(
    ("goals", "options", "message"),
    [
        ((), {}, "name each property"),
        ((Goal("E"), Goal("E")), {}, "name each property"),
        ((Goal("E"),), {"risk": -1.0}, "risk"),
        ((Goal("E"),), {"risk": float("nan")}, "risk"),
        ((Goal("E"),), {"samples": -1}, "samples"),
    ],
)
def test_tasks_that_make_no_sense_are_refused(goals, options, message):
    with pytest.raises(ParameterError, match=message):
        Task(goals, **options)


@pytest.mark.parametrize("name", ["G", "banana"])
def test_properties_that_the_surrogate_does_not_know_are_refused(surrogate, name):
    with pytest.raises(
        ParameterError, match=f"does not predict '{name}'; it knows E, nu, K, density"
    ):
        DesignProblem(surrogate, task(Goal(name)))
    with pytest.raises(ParameterError, match="does not predict"):
        DesignProblem(surrogate, task(bounds=(Bound(name, Range(0, 1)),)))
