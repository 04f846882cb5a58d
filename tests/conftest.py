"""Units, materials and reference data that several tests share."""

import signal
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from homog import cli
from homog.cell_problem import CellProblem, reduced_factor
from homog.dataset import write_dataset
from homog.material import Isotropic
from homog.symmetry import NO_SYMMETRY, Symmetry, mirror, reduction
from homog.units.sampling import Plan, cells_of, sample

ROOT = Path(__file__).parents[1]
UNITS = ROOT / "examples" / "units"
REFERENCE = ROOT.parent / "shared" / "reference"

TURN_Z = (1, 0, 2), (True, False, False)  # by 90 degrees
HALF_TURN_Z = (0, 1, 2), (True, True, False)
THREEFOLD = (1, 2, 0), (False, False, False)  # about the diagonal
ORTHORHOMBIC = (mirror(0), mirror(1), mirror(2))
GENERATORS = {  # of point groups
    "triclinic": (),
    "monoclinic": (mirror(1),),
    "two-fold": (HALF_TURN_Z,),
    "two mirrors": (mirror(0), mirror(2)),
    "orthorhombic": ORTHORHOMBIC,
    "two-fold about a diagonal": (((1, 0, 2), (False, False, True)),),
    "four-fold": (TURN_Z,),
    "four-fold with inversion": (((1, 0, 2), (True, False, True)),),
    "tetragonal": (TURN_Z, *ORTHORHOMBIC),
    "three-fold": (THREEFOLD,),
    "three-fold about another diagonal": (((1, 2, 0), (True, True, False)),),
    "rotations": (TURN_Z, THREEFOLD),
    "cubic": (TURN_Z, THREEFOLD, mirror(0)),
}


@pytest.fixture(scope="session")
def reference():
    """Folder of labels that other codes computed."""
    if not REFERENCE.is_dir():
        pytest.skip(f"no reference labels of other codes in {REFERENCE}")
    return REFERENCE


@pytest.fixture(scope="session")
def plan():
    """Of the units in ``cells`` and ``units_file``."""
    return Plan(count=12, seed=3, resolution=20)


@pytest.fixture(scope="session")
def cells(plan):
    """Generated cubic cells, as they are stored."""
    return cells_of(sample(plan), plan)


@pytest.fixture(scope="session")
def units_file(cells, tmp_path_factory):
    """A dataset file of 12 generated units, which no test may change."""
    path = tmp_path_factory.mktemp("dataset") / "units.h5"
    write_dataset(path, cells)
    return path


@pytest.fixture(scope="session")
def labelled(tmp_path_factory):
    """A labelled dataset of 120 toy units, which no test may change."""
    import toys  # late: torch is large

    return toys.write_labelled(tmp_path_factory.mktemp("labelled") / "labelled.h5")


@pytest.fixture(scope="session")
def model(labelled, tmp_path_factory):
    """Folder of a surrogate that was trained on them, which no test may change."""
    import toys

    return toys.trained(labelled, tmp_path_factory.mktemp("trained") / "model")


@pytest.fixture
def aluminium():
    return Isotropic(E=70e3, nu=0.33)


@pytest.fixture
def triclinic():
    """Well connected cell without any symmetry, 6 x 7 x 8."""
    rng = np.random.default_rng(7)
    return rng.random((6, 7, 8)) < 0.7


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder for outputs, to work in."""
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def run(capsys):
    """Run the command line in this process: (exit code, stdout, stderr)."""

    def call(*arguments):
        handler = signal.getsignal(signal.SIGTERM)
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as done:
            code = done.code
        finally:
            signal.signal(signal.SIGTERM, handler)
        return code or 0, *capsys.readouterr()

    return call


def assert_refused(outcome, code, *words):
    """Nothing on stdout, one line on stderr that holds the words, no traceback."""
    found, out, err = outcome
    assert found == code, err
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("homog: ")
    for word in words:
        assert word in err


def signed_permutations():
    """The 48 pairs (axes, flips) that map a cube to itself."""
    return list(product(permutations(range(3)), product((False, True), repeat=3)))


def transformed(voxels, axes, flips):
    """The cell after a signed permutation, and its (3, 3) matrix."""
    reverse = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    R = np.zeros((3, 3))
    R[range(3), axes] = np.where(flips, -1, 1)
    return voxels.transpose(axes)[reverse], R


def group(generators):
    """The symmetry that signed permutations generate."""
    points = np.arange(27).reshape(3, 3, 3)
    operations = {transformed(points, *o)[0].tobytes(): o for o in signed_permutations()}
    found = {points.tobytes(): points}
    queue = [points]
    for turned in queue:
        for image in (transformed(turned, *generator)[0] for generator in generators):
            if image.tobytes() not in found:
                found[image.tobytes()] = image
                queue.append(image)
    return Symmetry(tuple(operations[key] for key in found))


def symmetric_factor(shape, generators=(), density=0.7, seed=0):
    """Random factors from 0.5 to 2, 0 in voids, that some operations leave as they are."""
    noise = np.random.default_rng(seed).random(shape)
    operations = group(generators).operations
    noise = np.max([transformed(noise, *operation)[0] for operation in operations], axis=0)
    rank = np.searchsorted(np.unique(noise), noise) / np.unique(noise).size
    return np.where(rank < density, 0.5 * 4 ** (rank / density), 0.0)


def cell_problem(factor, material=None, group=NO_SYMMETRY):
    """Cell problem of stiffness factors that connect the cell along all axes."""
    factor = np.asarray(factor, dtype=float)
    reduced = reduction(group, factor.shape)
    stiffness = (material or Isotropic(1.0, 0.3)).stiffness
    half = reduced_factor(factor, reduced.mirrored)
    return CellProblem(half, stiffness, np.ones(3, dtype=bool), reduced)


def heed_interrupts():
    """For a new process: a shell that runs the tests in the background has them ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
