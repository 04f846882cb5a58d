"""Fields of a cell: their averages are the effective law, and VTK reads what was written."""

import h5py
import numpy as np
import pytest
from conftest import UNITS

from homog import Isotropic, homogenize, vtkhdf
from homog.element import CORNERS, strain_displacement
from homog.errors import ParameterError

SOLID = Isotropic(70e3, 0.33)
STRAIN = np.array([1.0, 0.2, -0.3, 0.4, 0.5, -0.6])
TENSOR = ((0, 5, 4), (5, 1, 3), (4, 3, 2))  # Voigt indices of a tensor


def solved(voxels, tol=1e-12):
    return homogenize(voxels, SOLID, tol=tol, fields=True)


@pytest.fixture(scope="module")
def cell():
    """A triclinic cell with a fragment that floats free."""
    voxels = np.random.default_rng(7).random((6, 7, 8)) < 0.7
    voxels[1:5, 2:6, 3:7] = False
    voxels[2:4, 4, 5] = True
    return voxels


@pytest.fixture(scope="module")
def result(cell):
    return solved(cell)


@pytest.fixture(scope="module")
def fields(cell, result):
    assert result.dropped > 0
    return vtkhdf.cell_fields(result, cell, STRAIN)


def test_mean_stress_is_the_effective_one(result, fields):
    """Of a cell without any symmetry, under a strain with all components."""
    mean = fields["stress"].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(mean, result.C @ STRAIN, atol=1e-8 * np.abs(result.C).max())


def test_mean_strain_is_the_one_that_was_asked_for(fields):
    np.testing.assert_allclose(fields["strain"].mean(axis=(1, 2, 3)), STRAIN, atol=1e-12)


def test_mean_energy_is_half_of_strain_times_mean_stress(result, fields):
    expected = STRAIN @ result.C @ STRAIN / 2
    assert fields["energy"].mean() == pytest.approx(expected, rel=1e-9)


def test_energy_is_at_least_that_of_the_mean_strain_of_the_voxel(fields):
    """Jensen: energy is convex in the strain, whose variation within the voxel adds to it."""
    of_mean = np.einsum("ixyz,ixyz->xyz", fields["stress"], fields["strain"]) / 2
    assert (fields["energy"] >= of_mean - 1e-9 * of_mean.max()).all()
    assert fields["energy"].max() > 1.01 * of_mean.max()


def test_strain_is_that_of_the_element_at_its_centre(fields):
    """The slow twin: B at the centre times the displacements of the eight nodes."""
    B, u = strain_displacement((0.5, 0.5, 0.5)), fields["displacement"]
    for voxel in np.ndindex(*fields["solid"].shape):
        nodes = np.concatenate([u[:, *(voxel + corner)] for corner in CORNERS])
        np.testing.assert_allclose(fields["strain"][:, *voxel], B @ nodes, atol=1e-12)


def test_void_and_floating_fragments_carry_nothing(cell, fields):
    empty = ~cell
    empty[2:4, 4, 5] = True
    assert not fields["stress"][:, empty].any()
    assert not fields["energy"][empty].any()
    assert fields["energy"][~empty].min() > 0
    np.testing.assert_array_equal(fields["solid"], cell)


def test_a_solid_block_has_the_same_strain_everywhere():
    fields = vtkhdf.cell_fields(
        solved(np.ones((2, 3, 4), dtype=bool)), np.ones((2, 3, 4), dtype=bool), STRAIN
    )
    for name, expected in (("strain", STRAIN), ("stress", SOLID.stiffness @ STRAIN)):
        everywhere = np.broadcast_to(expected[:, None, None, None], fields[name].shape)
        np.testing.assert_allclose(fields[name], everywhere, rtol=1e-12)


def test_a_cell_that_was_solved_on_an_octant_has_the_same_averages():
    voxels = np.load(UNITS / "octet.npy").astype(bool)[::4, ::4, ::4]
    result = solved(voxels)
    fields = vtkhdf.cell_fields(result, voxels, STRAIN)
    mean = fields["stress"].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(mean, result.C @ STRAIN, atol=1e-8 * np.abs(result.C).max())


def test_a_strain_that_nothing_resists_causes_no_stress():
    """A plate normal to z: the rest of the strain stresses it as if that were not there."""
    voxels = np.zeros((4, 6, 8), dtype=bool)
    voxels[:, :, [6, 7, 0]] = True
    result = solved(voxels)
    fields = vtkhdf.cell_fields(result, voxels, STRAIN)
    mean = fields["stress"].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(mean, result.C @ STRAIN, atol=1e-8 * result.C.max())
    assert not vtkhdf.cell_fields(result, voxels, np.eye(6)[2])["stress"].any()


@pytest.mark.parametrize(
    "text", ["", "1", "1,0,0,0,0", "1,0,0,0,0,0,0", "a,0,0,0,0,0", "nan,0,0,0,0,0", "0,0,0,0,0,0"]
)
def test_a_strain_is_six_numbers(text):
    with pytest.raises(ParameterError, match="six numbers"):
        vtkhdf.parse_strain(text)


def test_file_is_as_the_specification_says(fields, tmp_path):
    """Names, types and the order of axes, from the VTKHDF specification of image data."""
    vtkhdf.write_fields(tmp_path / "cell.vtkhdf", fields)
    with h5py.File(tmp_path / "cell.vtkhdf") as file:
        root = file["VTKHDF"]
        kind = root.attrs.get_id("Type").get_type()
        assert not kind.is_variable_str()
        assert kind.get_cset() == h5py.h5t.CSET_ASCII
        assert root.attrs["Type"] == b"ImageData"
        assert root.attrs["Version"].tolist() == [1, 0]
        assert root.attrs["WholeExtent"].tolist() == [0, 6, 0, 7, 0, 8]
        assert root.attrs["Direction"].tolist() == np.eye(3).ravel().tolist()
        assert root["PointData/displacement"].shape == (9, 8, 7, 3)
        assert root["CellData/stress"].shape == (8, 7, 6, 6)
        assert root["CellData/solid"].dtype == np.uint8


def test_vtk_reads_the_values_at_their_places(cell, result, fields, tmp_path):
    vtk = pytest.importorskip("vtk", reason="needs the extra vtk: VTK's own reader")
    from vtk.util.numpy_support import vtk_to_numpy

    vtkhdf.write_fields(tmp_path / "cell.vtkhdf", fields)
    reader = vtk.vtkHDFReader()
    reader.SetFileName(str(tmp_path / "cell.vtkhdf"))
    assert reader.CanReadFile(str(tmp_path / "cell.vtkhdf"))
    reader.Update()
    image = reader.GetOutput()
    assert image.GetDimensions() == (7, 8, 9)
    assert image.GetSpacing() == (1, 1, 1)
    points, cells = image.GetPointData(), image.GetCellData()
    for place in ((0, 0, 0), (3, 5, 7), (6, 7, 8)):
        number = image.ComputePointId(place)
        found = points.GetArray("displacement").GetTuple(number)
        assert found == pytest.approx(fields["displacement"][:, *place], rel=1e-6, abs=1e-6)
        assert image.GetPoint(number) == place
    for place in ((0, 0, 0), (2, 4, 6), (5, 6, 7)):
        number = image.ComputeCellId(place)
        for name, halves in (("stress", 1), ("strain", 2)):
            xx, yy, zz, xy, yz, xz = cells.GetArray(name).GetTuple(number)
            tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
            voigt = fields[name][:, *place] / np.array([1, 1, 1, halves, halves, halves])
            np.testing.assert_allclose(tensor, voigt[np.array(TENSOR)], rtol=1e-6, atol=1e-6)
        energy = cells.GetArray("strain energy density").GetValue(number)
        assert energy == pytest.approx(fields["energy"][place], rel=1e-6)
        assert cells.GetArray("solid").GetValue(number) == cell[place]
    mean = vtk_to_numpy(cells.GetArray("stress")).mean(axis=0, dtype=float)
    expected = (result.C @ STRAIN)[[0, 1, 2, 5, 3, 4]]
    np.testing.assert_allclose(mean, expected, atol=1e-6 * np.abs(result.C).max())
