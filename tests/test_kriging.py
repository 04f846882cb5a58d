"""Kriging of residuals: exact where units are labelled, as uncertain as before far from them."""

import numpy as np
import pytest
import toys
from scipy.spatial.distance import cdist

from homog.dataset import Dataset
from homog.errors import DataError
from learn.kriging import Corrected, Kriging, corrected
from learn.surrogate import Surrogate

LENGTH, DEVIATION = 1.5, np.array([2.0, 0.3])


@pytest.fixture(scope="module")
def drawn():
    """Points and residuals drawn from the process itself."""
    rng = np.random.default_rng(4)
    z = rng.standard_normal((400, 3))
    factor = np.linalg.cholesky(np.exp(-cdist(z, z) / LENGTH) + 1e-9 * np.eye(400))
    return z, factor @ rng.standard_normal((400, 2)) * DEVIATION


@pytest.fixture(scope="module")
def surrogate(model):
    return Surrogate.load(model)


@pytest.fixture(scope="module")
def made(surrogate, labelled):
    """The surrogate, corrected by all labelled units."""
    return corrected(surrogate, [labelled], samples=8)


def test_residuals_are_met_where_units_are_labelled(drawn):
    z, residuals = drawn
    mean, deviation = Kriging(z, residuals, LENGTH, 1e-9).predict(z)
    assert np.allclose(mean, residuals, atol=1e-4)
    assert np.all(deviation < 1e-2)


def test_far_away_nothing_is_corrected_and_nothing_is_known(drawn):
    kriging = Kriging(*drawn, LENGTH, 1e-6)
    mean, deviation = kriging.predict(np.full((1, 3), 1e3))
    assert np.allclose(mean, 0, atol=1e-12)
    assert deviation[0] == pytest.approx(DEVIATION, rel=0.15)


def test_the_process_that_made_the_residuals_is_found_again(drawn):
    found = Kriging.fitted(*drawn)
    assert found.length == pytest.approx(LENGTH, rel=0.4)
    assert found.noise < 0.05


def test_predictions_are_those_of_a_dense_solve(drawn):
    z, residuals = (part[:40] for part in drawn)
    new = np.random.default_rng(1).standard_normal((5, 3))
    R = np.exp(-cdist(z, z) / LENGTH) + 0.01 * np.eye(40)
    r = np.exp(-cdist(new, z) / LENGTH)
    variance = np.mean(residuals * np.linalg.solve(R, residuals), axis=0)
    left = 1.01 - np.diag(r @ np.linalg.solve(R, r.T))
    mean, deviation = Kriging(z, residuals, LENGTH, 0.01).predict(new)
    assert np.allclose(mean, r @ np.linalg.solve(R, residuals))
    assert np.allclose(deviation, np.sqrt(left[:, None] * variance))


def test_units_left_out_are_predicted_as_if_they_had_never_been_there(drawn):
    z, residuals = (part[:30] for part in drawn)
    whole = Kriging(z, residuals, LENGTH, 0.01)
    error, deviation = whole.left_out()
    others = np.arange(30) != 7
    alone = Kriging(z[others], residuals[others], LENGTH, 0.01)
    mean, stated = alone.predict(z[7:8])
    assert np.allclose(error[7], residuals[7] - mean[0])
    ratio = np.sqrt(whole._variance / alone._variance)
    assert np.allclose(deviation[7], stated[0] * ratio)


def test_deviations_hold_on_units_that_were_left_out(drawn):
    z, residuals = drawn
    kriging = Kriging.fitted(z[:300], residuals[:300])
    mean, deviation = kriging.predict(z[300:])
    scores = (residuals[300:] - mean) / deviation
    assert 0.85 < scores.std() < 1.15


def test_it_comes_back_from_a_file_as_it_was(made, surrogate, labelled, tmp_path):
    made.save(tmp_path / "correction.npz")
    again = Corrected.load(tmp_path / "correction.npz", surrogate)
    with Dataset(labelled) as units:
        octants = units.octants[:5]
    assert np.array_equal(again.places(octants), made.places(octants))
    found = (of.predict_octants(octants, 8)["E"] for of in (made, again))
    for first, second in zip(*(vars(part).values() for part in found), strict=True):
        assert np.array_equal(first, second)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 damaged"])
def test_a_file_of_something_else_is_refused(content, surrogate, tmp_path):
    (tmp_path / "file.npz").write_bytes(content)
    with pytest.raises(DataError, match="not a correction"):
        Corrected.load(tmp_path / "file.npz", surrogate)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("z", lambda z: z[:, :2]),
        ("z", lambda z: z[:-1]),
        ("residuals", lambda r: r[:, :1]),
        ("residuals", lambda r: r * np.nan),
        ("length", lambda length: -length),
        ("hashes", lambda h: h[:, :8]),
        ("hashes", lambda h: np.zeros(())),
    ],
)
def test_a_correction_of_another_surrogate_is_refused(made, surrogate, tmp_path, name, change):
    path = tmp_path / "correction.npz"
    made.save(path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | {name: change(arrays[name])})
    with pytest.raises(DataError, match="not a correction"):
        Corrected.load(path, surrogate)


def test_a_corrected_surrogate_is_right_on_the_units_that_corrected_it(made, surrogate, labelled):
    with Dataset(labelled) as units:
        octants, truth = units.octants[:], {k: units.labels[k] for k in surrogate.targets}
    before, after = (s.predict_octants(octants, 8) for s in (surrogate, made))
    for name, true in truth.items():
        off = [np.abs(found[name].mean - true).mean() for found in (before, after)]
        assert off[1] < 0.25 * off[0]  # the rest is taken for noise
        assert np.all(after[name].epistemic < before[name].total.mean())
        assert np.array_equal(after[name].aleatoric, before[name].aleatoric)
        hypotenuse = np.hypot(after[name].aleatoric, after[name].epistemic)
        assert np.allclose(after[name].total, hypotenuse)


def test_units_that_corrected_it_are_predicted_without_themselves(made, surrogate, labelled):
    """As by a surrogate that was corrected by all others, with as many samples."""
    with Dataset(labelled) as units:
        octants = units.octants[5:6]
        truth = np.column_stack([units.labels[name] for name in surrogate.targets])[5:6]
    found = made.predict_left_out(octants, truth, samples=8)
    others = np.arange(len(made.kriging.z)) != made.places(octants)[0]
    of = made.kriging
    rest = Kriging(of.z[others], of.residuals[others], of.length, of.noise)
    alone = Corrected(surrogate, rest, made.hashes[others]).predict_octants(octants, samples=8)
    for name in surrogate.targets:
        assert found[name].mean == pytest.approx(alone[name].mean, rel=1e-4)
        assert found[name].epistemic == pytest.approx(alone[name].epistemic, rel=0.1)
        assert found[name].aleatoric == pytest.approx(alone[name].aleatoric)


def test_it_knows_the_units_that_corrected_it_and_no_others(surrogate, labelled, monkeypatch):
    """Of many units some are left out: they are not known, although they have labels."""
    monkeypatch.setattr("learn.kriging.MOST", 50)
    with Dataset(labelled) as units:
        octants, density = units.octants[:], units.volume_fraction
    made = corrected(surrogate, [labelled], density=0.3, samples=8)
    places = made.places(octants)
    near = np.argsort(np.abs(density - 0.3), kind="stable")[:50]
    assert set(np.flatnonzero(places >= 0)) == set(near)
    assert set(places[near]) == set(range(len(made.kriging.z)))  # twins share a place
    some = near[:9]
    encoded = surrogate.encode(octants[some])
    assert np.allclose(made.kriging.z[places[some]], encoded, atol=1e-5)


def test_it_improves_on_units_that_did_not(surrogate, tmp_path):
    """The residuals of a constant error are carried over."""
    path = toys.write_labelled(tmp_path / "off.h5", change=lambda groups: shift(groups, 3000.0))
    made = corrected(surrogate, [path], samples=8)
    octants, fraction, shape = toys.octants(60, seed=9)
    true = toys.labels(fraction, shape).nominal["E"] + 3000.0
    off = [np.abs(s.predict_octants(octants, 8)["E"].mean - true).mean() for s in (surrogate, made)]
    assert off[1] < 0.5 * off[0]


def shift(groups, by):
    groups["labels"][1]["E"] = groups["labels"][1]["E"] + by


def test_labels_of_another_solid_and_units_without_any_are_refused(surrogate, tmp_path):
    def other(groups):
        groups["labels"][0]["E"] = 1.0

    path = toys.write_labelled(tmp_path / "other.h5", change=other)
    with pytest.raises(DataError, match=r"other\.h5: labels of another solid"):
        corrected(surrogate, [path])
    path = toys.write_labelled(tmp_path / "none.h5", change=dict.clear)
    with pytest.raises(DataError, match="no labels yet"):
        corrected(surrogate, [path])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda labels: labels.pop("nu"), "no label 'nu'"),
        (lambda labels: labels.update(nu=np.full(120, np.nan)), "no unit has labels of all of E"),
    ],
)
def test_labels_that_lack_a_property_are_refused(surrogate, tmp_path, change, message):
    path = toys.write_labelled(tmp_path / "l.h5", change=lambda groups: change(groups["labels"][1]))
    with pytest.raises(DataError, match=rf"l\.h5: {message}"):
        corrected(surrogate, [path])


def test_units_whose_labelling_failed_are_left_out(surrogate, tmp_path):
    def fail(groups):
        groups["labels"][1]["nu"][::2] = np.nan

    path = toys.write_labelled(tmp_path / "half.h5", change=fail)
    made = corrected(surrogate, [path])
    with Dataset(path) as units:
        places = made.places(units.octants[:])
    assert np.all(places[1::2] >= 0)
    assert len(made.kriging.z) <= toys.COUNT // 2
