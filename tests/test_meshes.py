"""Voxels to closed meshes and back: volume, area and topology by counting, and no voxel lost."""

import io
from collections import Counter

import numpy as np
import pytest
from conftest import UNITS

trimesh = pytest.importorskip("trimesh", reason="needs the extra files")

from homog import meshes, periodicity, surfaces, voxelization  # noqa: E402
from homog.errors import DataError, ParameterError  # noqa: E402

EXAMPLES = sorted(UNITS.glob("*.npy"))


def random_cell(shape, density, seed=0):
    return np.random.default_rng(seed).random(shape) < density


def chequered(n):
    """Every voxel touches its twelve solid neighbours along edges only."""
    return np.indices((n, n, n)).sum(axis=0) % 2 == 0


def two_at_an_edge():
    cell = np.zeros((2, 2, 1), dtype=bool)
    cell[0, 0] = cell[1, 1] = True
    return cell


CELLS = {
    "one voxel": np.ones((1, 1, 1), dtype=bool),
    "a box": np.ones((2, 3, 4), dtype=bool),
    "two at an edge": two_at_an_edge(),
    "chequered": chequered(5),
    "random, dense": random_cell((9, 10, 11), 0.7),
    "random, half": random_cell((10, 9, 8), 0.5),
    "random, sparse": random_cell((11, 8, 9), 0.2),
}


def reread(mesh, kind="stl"):
    """What a reader of the file gets, which knows vertices of STL by their position only."""
    loaded = trimesh.load_mesh(io.BytesIO(meshes._content(mesh, kind)), file_type=kind)
    loaded.merge_vertices()
    return loaded


def assert_closed(mesh, volume):
    """Each edge has two faces, that pass it in opposite directions; the outside is outside."""
    directed = Counter(map(tuple, mesh.edges.tolist()))
    assert set(directed.values()) == {1}
    assert all((b, a) in directed for a, b in directed)
    assert mesh.volume == pytest.approx(volume, rel=0.01)


def exposed(voxels):
    """Faces of solid voxels with void or nothing beyond, counted one by one."""
    padded, count = np.pad(voxels, 1), 0
    for x, y, z in np.argwhere(padded):
        for step in np.array([*np.eye(3, dtype=int), *-np.eye(3, dtype=int)]):
            count += not padded[x + step[0], y + step[1], z + step[2]]
    return count


@pytest.mark.parametrize("name", CELLS)
def test_voxel_surface_has_the_volume_and_the_area_of_the_voxels(name):
    voxels = CELLS[name]
    mesh = meshes.solid_mesh(voxels, size=max(voxels.shape))
    assert_closed(reread(mesh), voxels.sum())
    assert mesh.volume == pytest.approx(voxels.sum(), rel=2e-3)
    assert mesh.area == pytest.approx(exposed(voxels), rel=2e-3)


def test_without_contact_at_edges_the_volume_is_exact():
    vertices, faces = surfaces.voxel_surface(np.load(UNITS / "bcc.npy").astype(bool))
    assert (vertices == np.rint(vertices)).all()
    assert surfaces.enclosed_volume(vertices, faces) == np.load(UNITS / "bcc.npy").sum()


def test_contacts_at_edges_come_apart():
    """So that a reader that joins equal positions finds two bodies, not an edge of four faces."""
    mesh = reread(meshes.solid_mesh(two_at_an_edge(), size=2.0))
    assert len(np.unique(mesh.vertices, axis=0)) == len(mesh.vertices)
    assert mesh.is_watertight
    assert mesh.volume < 2


@pytest.mark.parametrize(("hole", "characteristic"), [(False, 2), (True, 0)])
def test_topology_is_that_of_a_ball_or_a_ring(hole, characteristic):
    plate = np.ones((3, 3, 2), dtype=bool)
    plate[1, 1] = not hole
    assert meshes.solid_mesh(plate).euler_number == characteristic


def test_normals_point_away_from_the_middle_of_a_box():
    mesh = meshes.solid_mesh(np.ones((2, 3, 4), dtype=bool))
    outwards = mesh.triangles_center - mesh.bounds.mean(axis=0)
    assert (np.einsum("ij,ij->i", mesh.face_normals, outwards) > 0).all()


@pytest.mark.parametrize("smooth", [False, True], ids=["voxels", "smooth"])
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_units_come_back_from_their_stl(path, smooth, tmp_path):
    voxels = np.load(path).astype(bool)
    meshes.write_mesh(tmp_path / "unit.stl", voxels, size=10.0, smooth=smooth)
    part = voxelization.read_stl(tmp_path / "unit.stl")
    mesh = reread(
        trimesh.Trimesh(
            part.triangles.reshape(-1, 3), np.arange(part.triangles.size // 3).reshape(-1, 3)
        )
    )
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(voxels.mean() * 1000, rel=0.01)
    np.testing.assert_allclose(mesh.bounds, [[0, 0, 0], [10, 10, 10]], atol=1e-6)
    same = np.mean(voxelization.voxelized(part, 48) == voxels)
    assert same >= (0.99 if smooth else 1)


@pytest.mark.parametrize("name", ["random, dense", "random, half", "random, sparse"])
def test_any_cell_comes_back_whole(name, tmp_path):
    voxels = CELLS[name]
    meshes.write_mesh(tmp_path / "unit.stl", voxels)
    back = voxelization.voxelized(voxelization.read_stl(tmp_path / "unit.stl"), max(voxels.shape))
    np.testing.assert_array_equal(back, voxels)


def test_smooth_surface_is_flat_at_the_faces_of_the_box():
    """The cap there has the area of the solid in the face, up to the smoothing of its outline."""
    voxels = np.zeros((16, 16, 16), dtype=bool)
    voxels[:, 4:12, 4:12] = True  # a bar
    mesh = meshes.solid_mesh(voxels, size=16.0, smooth=True)
    for end in (0, 16):
        cap = (mesh.triangles[..., 0] == end).all(axis=1)
        assert mesh.area_faces[cap].sum() == pytest.approx(64, rel=0.03)
    assert mesh.volume == pytest.approx(16 * 64, rel=0.01)


def test_smooth_surface_repeats_with_the_cell():
    """A bar that is shifted to a face of the box is blurred there as it was inside."""
    bar = np.zeros((8, 8, 8), dtype=bool)
    bar[:, 2:6, 2:6] = True
    whole = surfaces.blurred(bar, 0.6)
    shifted = surfaces.blurred(np.roll(bar, 2, axis=1), 0.6)
    np.testing.assert_allclose(np.roll(whole[:, :-1], 4, axis=1), shifted[:, :-1], atol=1e-12)
    np.testing.assert_allclose(whole[:, 0], whole[:, -1], atol=1e-12)


@pytest.mark.parametrize("smooth", [False, True], ids=["voxels", "smooth"])
def test_tiles_are_one_body_of_one_size_each(smooth):
    voxels = np.load(UNITS / "schwarz_p_sheet.npy").astype(bool)[::4, ::4, ::4]
    one, eight = (meshes.solid_mesh(voxels, 5.0, tile, smooth) for tile in (1, 2))
    assert eight.volume == pytest.approx(8 * one.volume, rel=1e-3)
    np.testing.assert_allclose(eight.extents, 10, atol=1e-9)
    assert len(eight.split()) == 1
    corner = (eight.triangles < 2.5).all(axis=(1, 2)).sum()  # half a cell: the seams are as within
    assert corner == (one.triangles < 2.5).all(axis=(1, 2)).sum()


def test_size_is_the_longest_edge():
    mesh = meshes.solid_mesh(np.ones((2, 4, 8), dtype=bool), size=4.0)
    np.testing.assert_allclose(mesh.extents, [1, 2, 4])


def test_formats_hold_the_same_body(tmp_path):
    """STL and 3MF in millimetres; glTF in metres, with the y axis where z was."""
    pytest.importorskip("lxml", reason="3MF needs it")
    voxels = np.ones((2, 3, 4), dtype=bool)
    voxels[0, 0, 0] = False
    for kind, unit in (("stl", 1), ("3mf", 1), ("glb", 1e-3)):
        meshes.write_mesh(tmp_path / f"unit.{kind}", voxels, size=4.0)
        mesh = trimesh.load_mesh(tmp_path / f"unit.{kind}")
        assert mesh.is_watertight
        assert mesh.volume == pytest.approx(23 * unit**3)
    np.testing.assert_allclose(mesh.bounds, [[0, 0, -0.003], [0.002, 0.004, 0]], atol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"size": 0.0}, "size must be"), ({"size": np.nan}, "size must be"), ({"tile": 0}, "tile")],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ParameterError, match=message):
        meshes.solid_mesh(np.ones((1, 1, 1), dtype=bool), **options)


def test_void_and_unknown_endings_are_refused(tmp_path):
    with pytest.raises(DataError, match="void"):
        meshes.solid_mesh(np.zeros((2, 2, 2), dtype=bool))
    with pytest.raises(ParameterError, match="ends in"):
        meshes.write_mesh(tmp_path / "unit.obj", np.ones((1, 1, 1), dtype=bool))


@pytest.mark.parametrize("flaw", ["a hole", "inside out", "too small"])
def test_a_mesh_that_bounds_no_such_body_is_not_written(flaw, tmp_path, monkeypatch):
    vertices, faces = surfaces.voxel_surface(np.ones((2, 2, 2), dtype=bool))
    broken = {
        "a hole": (vertices, faces[1:]),
        "inside out": (vertices, faces[:, ::-1]),
        "too small": (0.99 * vertices, faces),
    }
    monkeypatch.setattr(meshes, "voxel_surface", lambda voxels, tile: broken[flaw])
    with pytest.raises(DataError, match="nothing was written"):
        meshes.write_mesh(tmp_path / "unit.stl", np.ones((2, 2, 2), dtype=bool))
    assert not list(tmp_path.iterdir())


def test_a_surface_beyond_the_memory_is_refused_with_the_estimate(monkeypatch):
    monkeypatch.setattr("homog.formats.available_memory", lambda: 10**6)
    with pytest.raises(DataError, match="GB of memory"):
        meshes.solid_mesh(chequered(12))


def part_of(*bodies):
    """A part of some meshes, as read from a file."""
    triangles = np.concatenate([body.triangles for body in bodies])
    return voxelization.Part(triangles, triangles.min((0, 1)), triangles.max((0, 1)))


def box(lower, upper):
    return trimesh.creation.box(bounds=[lower, upper])


def test_a_ball_is_the_voxels_with_centres_in_it():
    ball = trimesh.creation.icosphere(subdivisions=5, radius=1.0)
    voxels = voxelization.voxelized(part_of(ball), 40)
    centres = (np.arange(40) + 0.5) / 20 - 1
    radius = np.sqrt(sum(np.meshgrid(centres**2, centres**2, centres**2, indexing="ij")))
    clear = np.abs(radius - 1) > 2e-3  # the facets lie that far below the sphere
    np.testing.assert_array_equal(voxels[clear], (radius < 1)[clear])


def test_rays_through_edges_and_corners_count_once():
    """Boxes that share a face through voxel centres hold every voxel once between them."""
    whole = voxelization.voxelized(part_of(box((0, 0, 0), (4, 4, 4))), 4)
    assert whole.all()
    halves = [((0, 0, 0), (4, 1.5, 4)), ((0, 1.5, 0), (4, 4, 4))]
    count = sum(
        voxelization.voxelized(part_of(box(*half)), 4, box=4.0).astype(int) for half in halves
    )
    np.testing.assert_array_equal(count, 1)


def test_bodies_unite_and_directions_do_not_matter():
    a, b = box((0, 0, 0), (3, 3, 3)), box((2, 2, 2), (4, 4, 4))
    united = voxelization.voxelized(part_of(a, b), 4)
    expected = np.zeros((4, 4, 4), dtype=bool)
    expected[:3, :3, :3] = expected[2:, 2:, 2:] = True
    np.testing.assert_array_equal(united, expected)
    for body in (a, b):
        body.invert()
    np.testing.assert_array_equal(voxelization.voxelized(part_of(a, b), 4), expected)


def test_a_cavity_stays_empty():
    hollow = box((1, 1, 1), (3, 3, 3))
    hollow.invert()
    voxels = voxelization.voxelized(part_of(box((0, 0, 0), (4, 4, 4)), hollow), 4)
    assert voxels.sum() == 64 - 8


def test_edges_of_the_box_get_whole_numbers_of_voxels():
    part = part_of(box((-1, 5, 2), (9, 10, 4.1)))
    assert voxelization.voxelized(part, 20).shape == (20, 10, 4)


def test_a_part_smaller_than_its_cell_keeps_its_place():
    voxels = voxelization.voxelized(part_of(box((1, 1, 1), (2, 2, 2))), 4, box=4.0)
    assert np.argwhere(voxels).tolist() == [[1, 1, 1]]


def test_open_surfaces_and_parts_outside_the_box_are_refused():
    body = box((0, 0, 0), (4, 4, 4))
    part = part_of(body)
    across = np.flatnonzero(np.abs(body.face_normals[:, 0]) > 0.5)[0]  # rays along x see it
    torn = voxelization.Part(np.delete(part.triangles, across, 0), part.lower, part.upper)
    with pytest.raises(DataError, match="not closed"):
        voxelization.voxelized(torn, 8)
    with pytest.raises(DataError, match="leaves the box"):
        voxelization.voxelized(part, 8, box=3.0)
    for options in ({"resolution": 0}, {"resolution": 4, "box": -1.0}):
        with pytest.raises(ParameterError, match="must be"):
            voxelization.voxelized(part, **options)


BAD_STL = {
    "text": b"nothing of a solid\n",
    "cut": meshes._content(meshes.solid_mesh(np.ones((1, 1, 1), dtype=bool)), "stl")[:-10],
    "no triangles": bytes(84),
    "flat": b"solid a\nfacet normal 0 0 1\nouter loop\n"
    b"vertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\nendsolid a\n",
    "nan": bytes(80) + b"\1\0\0\0" + b"\xff" * 50,
    "binary": bytes(range(256)) * 8,
}


@pytest.mark.parametrize("name", BAD_STL)
def test_files_that_hold_no_body_are_bad_data(name, tmp_path):
    (tmp_path / "part.stl").write_bytes(BAD_STL[name])
    with pytest.raises(DataError, match="again"):
        voxelization.read_stl(tmp_path / "part.stl")


def test_text_is_read_as_binary_is(tmp_path):
    mesh = meshes.solid_mesh(random_cell((4, 4, 4), 0.6))
    (tmp_path / "part.stl").write_text(trimesh.exchange.stl.export_stl_ascii(mesh))
    part = voxelization.read_stl(tmp_path / "part.stl")
    np.testing.assert_array_equal(
        voxelization.voxelized(part, 4, box=10.0), random_cell((4, 4, 4), 0.6)
    )


def test_large_files_and_boxes_are_refused_before_memory_is_taken(tmp_path, monkeypatch):
    mesh = meshes.solid_mesh(np.ones((1, 1, 1), dtype=bool))
    (tmp_path / "part.stl").write_bytes(meshes._content(mesh, "stl"))
    part = voxelization.read_stl(tmp_path / "part.stl")
    monkeypatch.setattr("homog.formats.available_memory", lambda: 1000)
    with pytest.raises(DataError, match="memory"):
        voxelization.read_stl(tmp_path / "part.stl")
    with pytest.raises(DataError, match="memory"):
        voxelization.voxelized(part, 10**5)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_whole_cells_look_periodic_and_cut_ones_do_not(path):
    voxels = np.load(path).astype(bool)
    for shift in ((0, 0, 0), (5, 11, 17)):
        assert not periodicity.seam_warnings(np.roll(voxels, shift, (0, 1, 2)))
    cut = periodicity.seam_warnings(voxels[:40])
    assert len(cut) == 1
    assert "along x" in cut[0]


def test_seams_count_solid_that_meets_nothing():
    voxels = np.zeros((4, 8, 8), dtype=bool)
    voxels[0, :4, :4] = True
    voxels[-1, :4, 4:] = True
    np.testing.assert_allclose(periodicity.seams(voxels)[0], 16 / 32)  # half lies next to the other
    assert not periodicity.seams(np.zeros((2, 2, 2), dtype=bool)).any()
