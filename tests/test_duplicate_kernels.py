"""Near-duplicates against a slow twin; compiled and, with NUMBA_DISABLE_JIT=1, as Python."""

import naive
import numpy as np
import pytest

from homog.units import distinct
from homog.units.distinct import Distinct
from homog.units.duplicate_kernels import count_bits, find_similar
from homog.units.family import unfold


def cell_of(solid, removed=0, size=6):
    """An octant of a number of solid voxels, of which the first are removed again."""
    octant = np.zeros(size**3, dtype=bool)
    octant[removed:solid] = True
    return octant.reshape(size, size, size)


def test_bits_are_counted():
    numbers = [0, 1, 2**63, 2**64 - 1, 0x0123456789ABCDEF]
    numbers += [int(n) for n in np.random.default_rng(0).integers(2**63, size=20)]
    with np.errstate(over="ignore"):
        assert [count_bits(np.uint64(n)) for n in numbers] == [n.bit_count() for n in numbers]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.filterwarnings("ignore:overflow")  # as Python, where the sum of bits wraps around
def test_the_first_similar_cell_is_that_of_the_slow_twin(seed):
    rng = np.random.default_rng(seed)
    known = rng.random((8, 5, 5, 5)) < 0.5
    known[7] = known[3]
    candidate = known[[3, 5, 7][seed % 3]] ^ (rng.random((5, 5, 5)) < 0.03 * (seed // 3))
    for least in (0.001, 0.02, 0.05, 0.2, 0.7):
        similar = [n for n in range(8) if naive.difference(known[n], candidate) < least]
        words = np.array([distinct._words(octant) for octant in known])
        counts = np.count_nonzero(known, axis=(1, 2, 3))
        found = find_similar(
            words, counts, distinct._words(candidate), np.count_nonzero(candidate), least
        )
        assert found == (similar[0] if similar else -1)


@pytest.mark.parametrize(
    ("solid", "alike"),
    [(49, False), (51, True), (100, True)],  # 1 of 49 is above 2 %, 1 of 51 below
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_cells_are_alike_below_two_per_cent_of_their_union(solid, alike):
    seen = Distinct()
    assert not seen.like(cell_of(solid))
    assert seen.like(cell_of(solid))
    assert seen.like(cell_of(solid, removed=1)) == alike
    assert naive.difference(cell_of(solid), cell_of(solid, 1)) == pytest.approx(1 / solid)


@pytest.mark.filterwarnings("ignore:overflow")
def test_cells_are_alike_after_a_shift_by_half_a_cell():
    octant = np.random.default_rng(0).random((6, 6, 6)) < 0.4
    shifted = np.flip(octant)
    np.testing.assert_array_equal(np.roll(unfold(octant), (6, 6, 6), (0, 1, 2)), unfold(shifted))
    seen = Distinct()
    assert not seen.like(octant)
    assert seen.like(shifted)
    shifted[0, 0, 0] ^= True  # and nearly so
    assert seen.like(shifted)
    assert not seen.like(np.flip(octant, 0))  # along one axis it is another cell


@pytest.mark.filterwarnings("ignore:overflow")
def test_empty_cells_are_alike():
    seen = Distinct()
    assert not seen.like(cell_of(0))
    assert seen.like(cell_of(0))
    assert not seen.like(cell_of(1))
