import naive
import numpy as np
import pytest
from conftest import signed_permutations, transformed
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from homog.cell import (
    carries_mirrored,
    components,
    is_open,
    is_open_mirrored,
    load_path,
    pieces,
    validated_voxels,
)
from homog.errors import DataError, ParameterError
from homog.symmetry import symmetry
from homog.units import tetrahedron
from homog.units.family import unfold

small_cells = arrays(bool, st.tuples(*[st.integers(1, 5)] * 3))


def assert_same_partition(labels, expected):
    pairs = set(zip(labels.ravel().tolist(), expected.ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@settings(max_examples=150, deadline=None)
@given(cell=small_cells, corners=st.booleans())
def test_components_are_those_of_a_flood_fill(cell, corners):
    assert_same_partition(components(cell, corners).labels, naive.components(cell, corners))


@settings(max_examples=150, deadline=None)
@given(cell=small_cells, corners=st.booleans())
def test_a_component_spans_if_it_meets_itself_in_a_tiling(cell, corners):
    """Unwrapped over an odd number of cells, a spanning component has fewer pieces than cells."""
    found = components(cell, corners)
    for label, spans in enumerate(found.spans, 1):
        tiled = naive.components(np.tile(found.labels == label, (3, 3, 3)), corners)
        assert (tiled.max() + 1 < 27) == spans.any()


@pytest.mark.parametrize("axis", range(3))
def test_a_bar_spans_its_own_axis_only(axis):
    cell = np.zeros((4, 5, 6), dtype=bool)
    index = [1, 1, 1]
    index[axis] = slice(None)
    cell[tuple(index)] = True
    assert load_path(cell).spans.tolist() == [other == axis for other in range(3)]


def test_a_helix_spans_only_where_it_advances():
    """A staircase through (1, 1, 0) of the lattice spans x and y and not z."""
    cell = np.zeros((3, 3, 4), dtype=bool)
    for i in range(3):
        cell[i, i, 1] = cell[i, (i + 1) % 3, 1] = True
    assert load_path(cell).spans.tolist() == [True, True, False]


def test_a_bar_cut_by_one_void_plane_carries_nothing():
    cell = np.ones((5, 5, 5), dtype=bool)
    cell[2] = cell[:, 2] = cell[:, :, 2] = False
    path = load_path(cell)
    assert not path.solid.any()
    assert not path.spans.any()


def test_fragments_are_dropped_and_hinges_are_kept():
    cell = np.zeros((8, 8, 8), dtype=bool)
    cell[:, 2, 2] = True  # a bar
    cell[4, 3, 3] = True  # meets it along an edge
    cell[4, 6, 6] = True  # meets nothing
    path = load_path(cell)
    assert path.solid[4, 3, 3]
    assert not path.solid[4, 6, 6]
    assert path.solid.sum() == 9


@pytest.mark.parametrize(("axes", "flips"), signed_permutations())
def test_symmetry_finds_each_operation_of_a_cell_made_from_it(axes, flips):
    seed = np.random.default_rng(1).random((4, 4, 4)) < 0.3
    cell, turned = seed, seed
    for _ in range(12):  # the order of every operation divides 12
        turned, _ = transformed(turned, axes, flips)
        cell = cell | turned
    assert (axes, flips) in symmetry(cell).operations


def test_symmetry_of_a_full_and_of_a_triclinic_cell(triclinic):
    assert symmetry(np.ones((3, 3, 3), dtype=bool)).order == 48
    assert symmetry(np.ones((3, 3, 4), dtype=bool)).order == 16
    assert symmetry(triclinic).order == 1
    assert symmetry(triclinic).mirrors == ""


def test_mirrors_are_named_by_their_axis():
    cell = np.zeros((4, 6, 8), dtype=bool)
    cell[0, 1, 1] = cell[0, 4, 1] = True  # y -> -y
    assert symmetry(cell).mirrors == "y"


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, ">f8"])
def test_every_spelling_of_a_cell_is_the_same_cell(dtype, triclinic):
    for array in (triclinic.astype(dtype), np.asfortranarray(triclinic.astype(dtype))):
        voxels = validated_voxels(array)
        assert voxels.dtype == bool
        assert voxels.flags.c_contiguous
        np.testing.assert_array_equal(voxels, triclinic)


def test_threshold_is_solid_from_its_own_value_on():
    array = np.array([0.0, 0.4, 0.5, 0.6]).reshape(1, 2, 2)
    assert validated_voxels(array, 0.5).ravel().tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array(1), "3-D array .* got 0-D"),
        (np.ones(3), "3-D array .* got 1-D"),
        (np.ones((2, 2)), "3-D array .* got 2-D"),
        (np.ones((2, 2, 2, 2)), "3-D array .* got 4-D"),
        (np.ones((2, 0, 2)), "at least one voxel"),
        (np.full((2, 2, 2), np.nan), "NaN or infinity"),
        (np.full((2, 2, 2), np.inf), "NaN or infinity"),
        (np.full((2, 2, 2), -1), "minimum of -1"),
        (np.full((2, 2, 2), 2), "threshold"),
        (np.full((2, 2, 2), 0.5), "threshold"),
        (np.full((2, 2, 2), "a"), "dtype <U1"),
        (np.full((2, 2, 2), 1j), "dtype complex128"),
        (np.full((2, 2, 2), None), "dtype object"),
    ],
)
def test_arrays_that_are_no_cell_are_refused(array, message):
    with pytest.raises(DataError, match=message):
        validated_voxels(array)


@pytest.mark.parametrize("threshold", [0, -1, np.nan, np.inf])
def test_thresholds_that_tell_nothing_apart_are_refused(threshold):
    with pytest.raises(ParameterError, match="threshold must be positive"):
        validated_voxels(np.ones((2, 2, 2)), threshold)


def test_threshold_does_not_excuse_nan_or_negative_values():
    for value in (np.nan, -0.5):
        with pytest.raises(DataError):
            validated_voxels(np.full((2, 2, 2), value), 0.5)


@pytest.mark.parametrize("half", [1, 2, 3, 4, 6])
def test_octants_with_mirrors_tell_what_their_cells_do(half):
    outcomes = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        values = rng.random(len(tetrahedron.points(2 * half)))
        octant = tetrahedron.octant(values < rng.random(), 2 * half)
        cell = unfold(octant)
        spans = components(cell).spans
        carries = len(spans) == 1 and bool(spans.all())
        connected, spanning = carries_mirrored(octant)
        assert (connected and spanning) == carries
        assert is_open_mirrored(octant) == is_open(cell)
        outcomes |= {(carries, "carries"), (is_open(cell), "open")}
    assert len(outcomes) == 4


@pytest.mark.parametrize("half", [2, 3, 5])
def test_openness_needs_no_permutations(half):
    for seed in range(40):
        octant = np.random.default_rng(seed).random((half, half, half)) < 0.5
        assert is_open_mirrored(octant) == is_open(unfold(octant))


def test_pieces_are_not_continued_across_the_faces_of_the_box():
    cell = np.zeros((4, 4, 4), dtype=bool)
    cell[0, 0], cell[3, 0], cell[2, 2, 2] = True, True, True
    labels, count = pieces(cell)
    assert count == 3
    assert len(components(cell).spans) == 2  # through the periodic face
    np.testing.assert_array_equal(labels > 0, cell)
    assert len({labels[0, 0, 0], labels[3, 0, 0], labels[2, 2, 2]}) == 3
    assert len(set(labels[0, 0])) == 1
