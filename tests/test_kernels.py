"""Each kernel against its slow twin; runs compiled and, with NUMBA_DISABLE_JIT=1, as Python."""

import naive
import numpy as np
import pytest
from scipy.sparse import random_array

from homog import amg, kernels
from homog.domain import periodic_domain
from homog.element import element_stiffness

SHAPES = [(3, 4, 5), (1, 3, 4), (2, 2, 3), (1, 1, 1), (2, 1, 4)]


def graded_cell(shape):
    """Stiffness factors with about a third of void, and the domain of the rest."""
    rng = np.random.default_rng(sum(shape))
    factor = np.where(rng.random(shape) < 0.65, 0.5 + rng.random(shape), 0.0)
    factor.flat[0] = 1.0
    return factor, periodic_domain(factor > 0)


@pytest.fixture
def element():
    root = np.random.default_rng(2).standard_normal((6, 6))
    return element_stiffness(root @ root.T + np.eye(6))


def grid_dofs(domain):
    """Where the unknowns of a domain stand among those of the full periodic grid."""
    shape = np.array(domain.nodes.shape) - 1
    nodes = np.ravel_multi_index(domain.coordinates.T, shape)
    return (3 * nodes[:, None] + np.arange(3)).ravel()


@pytest.mark.parametrize("shape", SHAPES)
def test_assembled_stiffness_is_the_sum_over_voxels(shape, element):
    factor, domain = graded_cell(shape)
    expected = naive.assembled(factor, element)
    dofs = grid_dofs(domain)
    matrix = amg.assemble(factor, domain, element)
    np.testing.assert_allclose(matrix.toarray(), expected[np.ix_(dofs, dofs)], atol=1e-12)
    left_out = np.setdiff1d(np.arange(len(expected)), dofs)
    assert not expected[left_out].any()


@pytest.mark.parametrize("shape", SHAPES)
def test_assembled_loads_are_the_sum_over_voxels(shape, element):
    factor, domain = graded_cell(shape)
    forces = np.random.default_rng(0).standard_normal((24, kernels.LOADS))
    out = np.zeros((domain.count, 3 * kernels.LOADS))
    kernels.assemble_loads(factor, domain.nodes, forces, out)
    expected = naive.assembled(factor, forces)[grid_dofs(domain)]
    np.testing.assert_allclose(out.reshape(expected.shape), expected, atol=1e-12)


def block_matrix(rows, columns, blocksize):
    """Random sparse matrix with an empty row."""
    r, c = blocksize
    matrix = random_array((rows * r, columns * c), density=0.2, rng=np.random.default_rng(1))
    matrix = matrix.tolil()
    matrix[:r] = 0
    return matrix.tocsr().tobsr(blocksize)


@pytest.mark.parametrize("blocksize", [(3, 3), (6, 6), (3, 6), (6, 3)])
def test_residual_is_that_of_the_dense_matrix_in_any_split(blocksize):
    matrix = block_matrix(5, 7, blocksize)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((7, blocksize[1] * kernels.LOADS))
    f = rng.standard_normal((5, blocksize[0] * kernels.LOADS))
    out = np.full_like(f, np.nan)
    for start, stop in ((0, 2), (2, 2), (2, 5)):
        kernels.residual(start, stop, matrix.indptr, matrix.indices, matrix.data, x, f, out)
    loads = kernels.LOADS
    expected = f.reshape(-1, loads) - matrix.toarray() @ x.reshape(-1, loads)
    np.testing.assert_allclose(out.reshape(-1, loads), expected, atol=1e-13)


@pytest.mark.parametrize("block", [3, 6])
def test_smoothing_direction_is_a_weighted_block_jacobi_step(block):
    matrix = block_matrix(6, 6, (block, block))
    rng = np.random.default_rng(0)
    x, f, direction = rng.standard_normal((3, 6, block * kernels.LOADS))
    inverse = rng.standard_normal((6, block, block))
    r = f.reshape(-1, kernels.LOADS) - matrix.toarray() @ x.reshape(-1, kernels.LOADS)
    step = np.einsum("prc,pcl->prl", inverse, r.reshape(6, block, -1)).reshape(f.shape)
    expected = 0.3 * direction + 0.7 * step
    for start, stop in ((0, 1), (1, 6)):
        kernels.smoothing_direction(
            start,
            stop,
            matrix.indptr,
            matrix.indices,
            matrix.data,
            inverse,
            x,
            f,
            0.3,
            0.7,
            direction,
        )
    np.testing.assert_allclose(direction, expected, atol=1e-13)


def test_kernels_compile_where_no_cache_can_be_written(monkeypatch):
    def njit(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: ("compiled", function.__name__)

    monkeypatch.setattr(kernels, "njit", njit)
    assert kernels.kernel(naive.components) == ("compiled", "components")
