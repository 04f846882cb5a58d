"""Signed permutations of the axes: how they act on tensors and fields, and what they spare."""

import naive
import numpy as np
import pytest
from conftest import (
    GENERATORS,
    cell_problem,
    group,
    signed_permutations,
    symmetric_factor,
    transformed,
)

from homog import Isotropic
from homog.symmetry import (
    Image,
    Reduction,
    mirror,
    reduction,
    symmetry,
    transformed_displacement,
    voigt_map,
)
from homog.threads import Workers

LOADS = {
    "triclinic": (0, 1, 2, 3, 4, 5),
    "monoclinic": (0, 1, 2, 3, 4, 5),
    "two-fold": (0, 1, 2, 3, 4, 5),
    "two mirrors": (0, 1, 2, 3, 4, 5),
    "orthorhombic": (0, 1, 2, 3, 4, 5),
    "two-fold about a diagonal": (0, 2, 3, 5),
    "four-fold": (0, 2, 3, 5),
    "four-fold with inversion": (0, 2, 3, 5),
    "tetragonal": (0, 2, 3, 5),
    "three-fold": (0, 3),
    "three-fold about another diagonal": (0, 3),
    "rotations": (0, 3),
    "cubic": (0, 3),
}
CONSTANTS = {  # independent entries of C by point group: Nye, Physical Properties of Crystals
    "triclinic": 21,
    "monoclinic": 13,
    "two-fold": 13,
    "two mirrors": 9,
    "orthorhombic": 9,
    "two-fold about a diagonal": 13,
    "four-fold": 7,
    "four-fold with inversion": 7,
    "tetragonal": 6,
    "three-fold": 7,  # about the diagonal: trigonal in another frame
    "three-fold about another diagonal": 7,
    "rotations": 3,
    "cubic": 3,
}


def tensor(operations):
    """A random stiffness that some operations leave as it is."""
    root = np.random.default_rng(3).standard_normal((6, 6))
    matrices = [transformed(np.zeros((1, 1, 1)), *operation)[1] for operation in operations]
    return np.mean([naive.rotated(root @ root.T, R) for R in matrices], axis=0)


@pytest.mark.parametrize(("axes", "flips"), signed_permutations())
def test_components_move_as_the_rotated_tensor_says(axes, flips):
    C = tensor([((0, 1, 2), (False, False, False))])
    _, R = transformed(np.zeros((1, 1, 1)), axes, flips)
    source, sign = map(np.array, voigt_map(axes, flips))
    found = np.outer(sign, sign) * C[np.ix_(source, source)]
    np.testing.assert_allclose(found, naive.rotated(C, R), atol=1e-14)


@pytest.mark.parametrize("name", GENERATORS)
def test_all_operations_of_a_cell_are_found_and_no_others(name):
    expected = group(GENERATORS[name])
    found = symmetry(symmetric_factor((8, 8, 8), GENERATORS[name]))
    assert set(found.operations) == set(expected.operations)
    assert found.order == expected.order
    mirrors = [axis for axis in range(3) if mirror(axis) in expected.operations]
    assert found.mirrors == "".join("xyz"[axis] for axis in mirrors)


def test_an_axis_of_another_length_allows_no_permutation():
    found = symmetry(np.ones((4, 4, 6)))
    assert found.order == 16
    assert all(axes[2] == 2 for axes, _ in found.operations)


def test_sides_of_odd_length_are_not_halved():
    every = group(GENERATORS["orthorhombic"])
    assert reduction(every, (5, 4, 3)).mirrored == (False, True, False)
    assert reduction(group(GENERATORS["triclinic"]), (4, 4, 4)).mirrored == (False, False, False)


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize("name", GENERATORS)
def test_one_unit_strain_of_each_orbit_is_solved(name, mirrored):
    """Whether or not the mirrors halve the cell: a permutation comes with every mirror image."""
    operations = group(GENERATORS[name]).operations
    shape = (4, 4, 4) if mirrored else (5, 5, 5)
    reduced = reduction(group(GENERATORS[name]), shape)
    assert reduced.loads == LOADS[name]
    for load, image in enumerate(reduced.images):
        assert (image.axes, image.flips) in operations
        source, sign = voigt_map(image.axes, image.flips)
        assert (image.source, image.sign) == (source[load], sign[load])


def test_an_operation_that_flips_a_halved_axis_is_no_image():
    """The other half is not there to be moved."""
    reduced = reduction(group(GENERATORS["cubic"]), (4, 4, 4))
    assert not any(any(image.flips) for image in reduced.images)


@pytest.mark.parametrize("load", range(6))
def test_a_mirror_reverses_the_shear_of_its_axis(load):
    reduced = Reduction(group(GENERATORS["orthorhombic"]).operations, (True, True, True))
    for axis, odd in enumerate(reduced.parity(load)):
        _, sign = voigt_map(*mirror(axis))
        assert odd == (sign[load] < 0)
    half = Reduction(reduced.operations, (False, True, False))
    assert half.parity(load) == (False, reduced.parity(load)[1], False)


@pytest.mark.parametrize("name", GENERATORS)
def test_stiffness_is_complete_from_one_entry_of_each_orbit(name):
    operations = group(GENERATORS[name]).operations
    C = tensor(operations)
    maps = [voigt_map(*operation) for operation in operations]
    entries, known = {}, set()
    for i in range(6):
        for j in range(i, 6):
            orbit = {frozenset((source[i], source[j])) for source, _ in maps}
            if abs(C[i, j]) > 1e-12 and not orbit & known:
                entries[i, j] = C[i, j]
                known |= orbit
    assert len(entries) == CONSTANTS[name]
    found = Reduction(operations, (False, False, False)).completed(entries)
    np.testing.assert_allclose(found, C, atol=1e-13)


@pytest.mark.parametrize("name", GENERATORS)
def test_entries_of_the_solved_columns_complete_the_stiffness(name):
    """In any order of the columns: each waits for the solutions it needs."""
    problem = cell_problem(np.ones((4, 4, 4)), group=group(GENERATORS[name]))
    C = tensor(problem.reduction.operations)
    zero = np.zeros((3, *problem.factor.shape))
    for loads in (problem.loads, problem.loads[::-1]):
        solutions, entries = {}, {}
        for load in loads:
            solutions[load] = zero
            found = problem.entries(load, solutions, zero, Workers(1))
            entries |= {(i, j): C[i, j] for i, j in found}
        np.testing.assert_allclose(problem.reduction.completed(entries), C, atol=1e-13)


def fluctuations(factor, C):
    """Fluctuation of each unit strain by a dense solve, (6, 3, nx, ny, nz), the shortest one."""
    element, chi = naive.element_stiffness(C), naive.unit_strain_displacements()
    forces = -naive.assembled(factor, element @ chi)
    x = np.linalg.lstsq(naive.assembled(factor, element), forces, rcond=1e-11)[0]
    return np.array([naive.field(column, factor.shape) for column in x.T])


@pytest.fixture(scope="module")
def solved():
    factor = symmetric_factor((2, 3, 4), density=0.8)
    C = Isotropic(1.0, 0.3).stiffness
    return factor, C, fluctuations(factor, C)


@pytest.mark.parametrize(("axes", "flips"), signed_permutations())
def test_the_solution_of_a_transformed_cell_is_the_transformed_solution(axes, flips, solved):
    factor, C, u = solved
    cell, _ = transformed(factor, axes, flips)
    expected = fluctuations(cell, C)
    assert np.abs(expected).max() > 0.1
    source, sign = voigt_map(axes, flips)
    for load in range(6):
        image = Image(source[load], axes, flips, sign[load])
        found = sign[load] * transformed_displacement(u[source[load]], image)
        np.testing.assert_allclose(found, expected[load], atol=1e-9)


@pytest.mark.parametrize("name", ["four-fold", "three-fold", "rotations"])
def test_unit_strains_that_were_not_solved_have_the_image_of_those_that_were(name):
    factor = symmetric_factor((4, 4, 4), GENERATORS[name])
    u = fluctuations(factor, Isotropic(1.0, 0.3).stiffness)
    reduced = reduction(symmetry(factor), factor.shape)
    assert reduced.loads == LOADS[name]
    for load in range(6):
        found = reduced.displacement(load, {source: u[source] for source in reduced.loads})
        np.testing.assert_allclose(found, u[load], atol=1e-9)
