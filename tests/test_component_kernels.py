"""What hangs together, against a flood fill; compiled and, with NUMBA_DISABLE_JIT=1, as Python."""

import naive
import numpy as np
import pytest

from homog import component_kernels
from homog.cell import components, load_path

SHAPES = [(1, 1, 1), (1, 1, 6), (1, 3, 4), (2, 2, 2), (2, 1, 4), (2, 3, 3), (3, 4, 5), (5, 5, 5)]


def random_cell(shape, density):
    return np.random.default_rng(sum(shape)).random(shape) < density


def staircase():
    """Steps along x and y by turns."""
    cell = np.zeros((3, 3, 4), dtype=bool)
    for i in range(3):
        cell[i, i, 1] = cell[i, (i + 1) % 3, 1] = True
    return cell


def braid():
    """Two strands along x that change places from one cell to the next."""
    cell = np.zeros((4, 4, 4), dtype=bool)
    cell[0, 0:3, 0] = cell[0, 0:3, 2] = True
    cell[1, 2, 0] = cell[1, 0, 2] = True
    cell[2, 2, 0:3] = cell[2, 0, 0:3] = True
    cell[3, 2, 2] = cell[3, 0, 0] = True
    return cell


def box(shape, *solid):
    """A cell of void but for the indices given."""
    cell = np.zeros(shape, dtype=bool)
    for index in solid:
        cell[index] = True
    return cell


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("density", [0.0, 0.15, 0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_components_and_their_spans_are_those_of_a_flood_fill(shape, density, corners):
    cell = random_cell(shape, density)
    found, expected = components(cell, corners), naive.components(cell, corners)
    spans = naive.spans(expected, corners)
    assert len(found.spans) == len(spans)
    np.testing.assert_array_equal(found.labels > 0, cell)
    for label, axes in enumerate(found.spans, 1):
        other = expected[found.labels == label][0]
        np.testing.assert_array_equal(found.labels == label, expected == other)
        np.testing.assert_array_equal(axes, spans[other])


@pytest.mark.parametrize("density", [0.2, 0.3, 0.4, 0.6, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_load_path_is_what_spans_and_falls_into_the_parts_of_a_flood_fill(shape, density):
    cell = random_cell(shape, density)
    path, labels = load_path(cell), naive.components(cell, corners=True)
    spans = naive.spans(labels, corners=True)
    solid = np.isin(labels, np.flatnonzero(spans.any(axis=1)))
    np.testing.assert_array_equal(path.solid, solid)
    np.testing.assert_array_equal(path.spans, spans.any(axis=0))
    assert path.pieces == naive.components(np.pad(solid, 1), corners=False).max() + 1
    assert path.parts == naive.components(solid, corners=False).max() + 1
    assert path.components == naive.components(solid, corners=True).max() + 1


@pytest.mark.parametrize(
    ("cell", "corners", "expected"),
    [
        (box((1, 1, 1), 0), False, ["xyz"]),
        (box((1, 1, 4), (0, 0, 2)), False, ["xy"]),
        (box((1, 4, 4), (0, 1, 1), (0, 2, 2)), False, ["x", "x"]),
        (box((1, 4, 4), (0, 1, 1), (0, 2, 2)), True, ["x"]),
        (box((2, 3, 3), (0, 1, 1)), True, [""]),
        (box((2, 3, 3), (slice(None), 1, 1)), False, ["x"]),  # neighbours on both sides
        (box((2, 2, 3), (0, 0, 1), (1, 1, 1)), False, ["", ""]),
        (box((2, 2, 3), (0, 0, 1), (1, 1, 1)), True, ["xy"]),  # at all four edges
        (box((4, 4, 4), *((i, i, i) for i in range(4))), False, [""] * 4),
        (box((4, 4, 4), *((i, i, i) for i in range(4))), True, ["xyz"]),
        (staircase(), False, ["xy"]),
        (braid(), False, ["x"]),
        (braid(), True, ["x"]),
    ],
)
def test_spans_of_thin_boxes_chains_and_helices(cell, corners, expected):
    found = components(cell, corners)
    assert found.spans.tolist() == [[axis in axes for axis in "xyz"] for axes in expected]


def test_two_nets_that_span_everything_may_still_meet_at_a_hinge():
    cell = np.zeros((6, 6, 6), dtype=bool)
    for n in (0, 3):
        cell[:, n, n] = cell[n, :, n] = cell[n, n, :] = True
    path = load_path(cell)
    assert (path.pieces, path.parts, path.components) == (2, 2, 2)
    cell[1:3, 2, 0] = True  # from one net to an edge of the other
    path = load_path(cell)
    assert (path.pieces, path.parts, path.components) == (2, 2, 1)
    assert path.solid.sum() == cell.sum()


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_a_strand_that_closes_after_two_cells_spans_its_axis(axes):
    cell = braid().transpose(axes)
    along = axes.index(0)
    tiles = np.ones(3, dtype=int)
    for count in (1, 2, 3):  # an even number of cells holds two closed strands
        tiles[along] = count
        found = components(np.tile(cell, tiles))
        assert len(found.spans) == 2 - count % 2
        assert found.spans.tolist() == [[axis == along for axis in range(3)]] * len(found.spans)


def forest_of(count):
    """Labels 1 to ``count`` that nothing joins yet."""
    position, spans = np.zeros((count + 1, 3), dtype=np.int32), np.zeros((count + 1, 3), dtype=bool)
    parent, size = np.arange(count + 1, dtype=np.int32), np.ones(count + 1, dtype=np.int32)
    return component_kernels.Forest(parent, position, size, spans)


@pytest.mark.parametrize("seed", range(5))
def test_positions_survive_joins_in_any_order(seed):
    """Labels with known positions, joined by contacts that agree with them, close no loop."""
    rng = np.random.default_rng(seed)
    forest, cells = forest_of(40), rng.integers(-3, 4, (41, 3))
    for first, second in rng.integers(1, 41, (200, 2)):
        component_kernels.join(forest, first, second, *(cells[second] - cells[first]))
    component_kernels.flatten(forest)
    assert len(set(forest.parent[1:].tolist())) == 1
    root = forest.parent[1]
    np.testing.assert_array_equal(forest.position[1:], cells[1:] - cells[root])
    assert forest.size[root] == 40
    assert not forest.spans.any()


def test_loops_of_both_trees_are_kept_when_they_are_joined():
    forest = forest_of(3)
    component_kernels.join(forest, 1, 1, 1, 0, 0)
    component_kernels.join(forest, 2, 3, 0, 0, 0)
    component_kernels.join(forest, 3, 2, 0, 0, -2)
    component_kernels.join(forest, 1, 3, 0, 5, 0)
    assert forest.spans[component_kernels.root_of(forest, 1)].tolist() == [True, False, True]


def test_paths_stay_short_when_a_large_tree_is_joined_to_single_labels():
    """A tree of n labels is no deeper than log2(n), because the smaller hangs below."""
    forest = forest_of(1024)
    for label in range(1, 1024):
        component_kernels.join(forest, label + 1, label, 0, 0, 0)
    for label in range(1, 1025):
        root, depth = label, 0
        while forest.parent[root] != root:
            root, depth = forest.parent[root], depth + 1
        assert depth <= 10
