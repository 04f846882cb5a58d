"""Units between two units lie on an arc, and what does not hold together is marked."""

import numpy as np
import pytest
import toys

from homog import ParameterError
from homog.units.family import unfold
from learn.interpolation import fault, morph, slerp
from learn.surrogate import Surrogate

T = np.linspace(0, 1, 7)


def pair(seed=0, size=5):
    return np.random.default_rng(seed).normal(size=(2, size))


def test_slerp_of_the_axes_is_a_quarter_circle():
    found = slerp([1, 0], [0, 1], T)
    assert found == pytest.approx(np.column_stack([np.cos(T * np.pi / 2), np.sin(T * np.pi / 2)]))


@pytest.mark.parametrize("seed", range(3))
def test_slerp_starts_and_ends_at_its_ends(seed):
    first, second = pair(seed)
    found = slerp(first, second, np.array([0.0, 1.0]))
    assert found == pytest.approx(np.array([first, second]), rel=1e-12)


def test_slerp_stays_on_the_sphere_at_equal_steps():
    first, second = (3 * z / np.linalg.norm(z) for z in pair())
    found = slerp(first, second, T)
    assert np.linalg.norm(found, axis=1) == pytest.approx(3)
    steps = np.linalg.norm(np.diff(found, axis=0), axis=1)
    assert steps == pytest.approx(steps[0])
    assert np.linalg.matrix_rank(np.vstack([first, second, found]), tol=1e-9) == 2


def test_slerp_backwards_is_the_same_arc():
    first, second = pair()
    assert slerp(second, first, 1 - T) == pytest.approx(slerp(first, second, T), rel=1e-12)


@pytest.mark.parametrize("second", [[2.0, 4.0], [-1.0, -2.0], [0.0, 0.0], [1.0, 2.0]])
def test_without_an_arc_the_way_is_straight(second):
    first = np.array([1.0, 2.0])
    expected = first + T[:, None] * (np.array(second) - first)
    assert slerp(first, second, T) == pytest.approx(expected)


def test_slerp_is_steady_where_the_arc_becomes_a_line():
    first = np.array([1.0, 0.0])
    for angle in (1e-5, 1e-6, 1e-7):
        second = np.array([np.cos(angle), np.sin(angle)])
        expected = np.column_stack([np.cos(T * angle), np.sin(T * angle)])
        assert slerp(first, second, T) == pytest.approx(expected, abs=1e-10)


def test_ends_of_the_way_are_the_units_as_they_are_decoded(model):
    surrogate, octants = Surrogate.load(model), toys.octants()[0]
    steps = morph(surrogate, octants[3], octants[8], 5)
    assert [step.t for step in steps] == [0, 0.25, 0.5, 0.75, 1]
    z = surrogate.encode(octants[[3, 8]])
    cells = unfold(surrogate.decode(z) >= 0.5)
    for step, end, cell in zip((steps[0], steps[-1]), z, cells, strict=True):
        assert step.z == pytest.approx(end, rel=1e-6)
        assert np.array_equal(step.voxels, cell)
    between = slerp(*z, np.array([0.25]))
    assert np.array_equal(steps[1].voxels, unfold(surrogate.decode(between) >= 0.5)[0])


def test_each_step_is_judged(model):
    surrogate, octants = Surrogate.load(model), toys.octants()[0]
    for step in morph(surrogate, octants[0], octants[1], 4):
        assert step.fault == fault(step.voxels)


@pytest.mark.parametrize("steps", [1, 0, -2])
def test_a_way_has_two_ends(steps, model):
    with pytest.raises(ParameterError, match=f"steps must be 2 or more, got {steps}"):
        morph(Surrogate.load(model), *toys.octants(2)[0], steps)


def bars(*axes, at=0, n=6):
    """Bars of one voxel through the cell along some axes, crossing at (at, at, at)."""
    voxels = np.zeros((n, n, n), bool)
    for axis in axes:
        place = [at] * 3
        place[axis] = slice(None)
        voxels[tuple(place)] = True
    return voxels


def apart():
    voxels = bars(0, 1, 2)
    voxels[3, 3, 3] = True
    return voxels


@pytest.mark.parametrize(
    ("voxels", "expected"),
    [
        (np.ones((4, 4, 4), bool), ""),
        (bars(0, 1, 2), ""),
        (np.zeros((4, 4, 4), bool), "empty"),
        (bars(0, 1), "does not span"),
        (apart(), "fragments"),
        (bars(0, 1, 2) | bars(0, 1, 2, at=3), "2 parts"),
    ],
    ids=["solid", "bars", "empty", "plane", "fragment", "two nets"],
)
def test_what_is_wrong_with_a_unit_is_said(voxels, expected):
    assert fault(voxels) == expected
