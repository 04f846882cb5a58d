"""Stress and energy in voxels and on surfaces: a plate in plane stress, and sums that are C."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

from homog import Isotropic, homogenize
from homog.portrait import Look, block_surface, surface_values
from homog.voxel_fields import STRAINS, VoxelField, stressed, von_mises

E, NU = 3.0, 0.3
SOLID = Isotropic(E, NU)
PLANE = E / (1 - NU**2)  # plane stress
ENERGY = {"xx": PLANE / 2, "yy": PLANE / 2, "xy": SOLID.G / 2, "volume": E / (1 - NU) / 9}
MISES = {
    "xx": PLANE * np.sqrt(1 - NU + NU**2),
    "yy": PLANE * np.sqrt(1 - NU + NU**2),
    "xy": np.sqrt(3) * SOLID.G,
    "volume": E / (1 - NU) / 3,
}


def plate():
    """Normal to z, across the faces of the cell."""
    voxels = np.zeros((4, 6, 8), dtype=bool)
    voxels[:, :, [6, 7, 0]] = True
    return voxels


def numbered(voxels):
    """A field that has another value in every voxel of the solid."""
    values = np.where(voxels, np.arange(1.0, voxels.size + 1).reshape(voxels.shape), 0)
    return VoxelField(values, voxels, "number")


@pytest.mark.parametrize("strain", ENERGY)
@pytest.mark.parametrize("quantity", ["energy", "mises"])
def test_a_plate_is_in_plane_stress_in_its_voxels_and_on_its_surface(quantity, strain):
    voxels, expected = plate(), {"energy": ENERGY, "mises": MISES}[quantity][strain]
    field = stressed(voxels, SOLID, quantity, strain, tol=1e-12)
    np.testing.assert_allclose(field.values[voxels], expected, rtol=1e-7)
    assert not field.values[~voxels].any()
    assert field.limit == pytest.approx(expected) == pytest.approx(field.maximum)
    for look in (Look(), Look(stepped=True), Look(tile=(2, 1, 3))):
        mesh = block_surface(voxels, look)
        np.testing.assert_allclose(surface_values(mesh, field, look), expected, rtol=1e-7)


@pytest.mark.parametrize("strain", STRAINS)
def test_the_mean_energy_is_that_of_the_effective_stiffness(triclinic, strain):
    field = stressed(triclinic, SOLID, "energy", strain, tol=1e-10)
    C, e = homogenize(triclinic, SOLID, tol=1e-10).C, STRAINS[strain]
    assert field.values.mean() == pytest.approx(e @ C @ e / 2, rel=1e-8)
    assert strain in field.name or "volumetric" in field.name


def test_strains_are_of_size_one():
    """The relative change of the volume is, and the engineering shear."""
    assert STRAINS["volume"].sum() == pytest.approx(1)
    assert [int(np.argmax(STRAINS[name])) for name in ("xx", "yy", "zz", "yz", "xz", "xy")] == [
        *range(6)
    ]


def test_von_mises_stress_is_that_of_the_deviator():
    rng = np.random.default_rng(0)
    for _ in range(10):
        A = rng.standard_normal((3, 3))
        s = A + A.T
        deviator = s - np.eye(3) * np.trace(s) / 3
        expected = np.sqrt(1.5 * (deviator**2).sum())
        voigt = np.array([s[0, 0], s[1, 1], s[2, 2], s[1, 2], s[0, 2], s[0, 1]])
        assert von_mises(voigt) == pytest.approx(expected)
        assert von_mises(voigt + np.array([5, 5, 5, 0, 0, 0])) == pytest.approx(expected)


def test_each_voxel_lends_its_value_to_its_own_faces():
    """Counted: the area of a value is the number of its voxel's neighbours that are void."""
    voxels = np.random.default_rng(3).random((5, 6, 7)) < 0.4
    field, look = numbered(voxels), Look(stepped=True, tile=(1, 2, 1))
    vertices, faces = block_surface(voxels, look)
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    found = np.bincount(
        surface_values((vertices, faces), field, look).astype(int), area, voxels.size + 1
    )
    padded = np.pad(np.tile(voxels, look.tile), 1)
    expected = np.zeros(voxels.size + 1)
    for x, y, z in np.argwhere(padded):
        sides = [padded[x - 1, y, z], padded[x + 1, y, z], padded[x, y - 1, z]]
        sides += [padded[x, y + 1, z], padded[x, y, z - 1], padded[x, y, z + 1]]
        number = field.values[x - 1, (y - 1) % 6, z - 1]
        expected[int(number)] += 6 - sum(sides)
    np.testing.assert_allclose(found, expected, atol=0.02)  # edges in contact are drawn in


def test_smoothed_values_stay_among_those_of_the_solid_and_move_with_the_cell():
    voxels = np.random.default_rng(1).random((8, 8, 8)) < 0.5
    field = VoxelField(
        np.where(voxels, 2 + np.random.default_rng(2).random((8, 8, 8)), 0), voxels, ""
    )
    points = np.random.default_rng(4).random((200, 3)) * 8
    found = field.near(points)
    assert 2 <= found.min() < found.max() <= 3
    moved = VoxelField(np.roll(field.values, 3, 1), np.roll(voxels, 3, 1), "")
    np.testing.assert_allclose(moved.near((points + np.array([0, 3, 0])) % 8), found, rtol=1e-12)


def test_a_wave_is_smoothed_as_by_a_gaussian_and_stays_in_its_place():
    n, i = 24, np.arange(24)
    wave = 2 + np.cos(2 * np.pi * (i + 0.5) / n)
    solid = np.ones((n, 4, 4), dtype=bool)
    field = VoxelField(np.broadcast_to(wave[:, None, None], solid.shape), solid, "")
    points = np.stack([i + 0.5, np.full(n, 2.5), np.full(n, 1.5)], axis=1)
    expected = 2 + np.exp(-((2 * np.pi / n) ** 2) / 2) * np.cos(2 * np.pi * (i + 0.5) / n)
    np.testing.assert_allclose(field.near(points), expected, atol=1e-3)


def test_a_point_in_void_has_the_value_of_the_solid_next_to_it():
    solid = np.zeros((8, 8, 8), dtype=bool)
    solid[[2, 6]] = True
    field = VoxelField(solid * np.where(np.arange(8) < 4, 1.0, 5.0)[:, None, None], solid, "")
    points = np.array([[1.5, 3, 3], [3.5, 3, 3], [5.5, 3, 3], [7.5, 3, 3]])
    np.testing.assert_allclose(field.near(points), [1, 1, 5, 5], atol=5e-3)


def test_the_limit_leaves_the_highest_hundredth_out():
    values = np.arange(1.0, 1001).reshape(10, 10, 10)
    field = VoxelField(values, np.ones((10, 10, 10), dtype=bool), "")
    assert (values > field.limit).mean() == pytest.approx(0.01)
    assert field.maximum == 1000


def test_a_strain_that_nothing_resists_has_no_stress():
    field = stressed(plate(), SOLID, "mises", "zz")
    assert field.limit == field.maximum == 0
