"""The surrogate that comes with the package."""

import numpy as np
import pytest
from conftest import ROOT

import learn

OCTET = ROOT / "examples" / "units" / "octet.npy"
SHEET = ROOT / "examples" / "units" / "schwarz_p_sheet.npy"


def test_the_shipped_surrogate_knows_the_octet_truss():
    surrogate = learn.Surrogate.load()
    octant = np.load(OCTET)[:24, :24, :24]
    z = surrogate.encode(octant[None])
    assert np.mean((surrogate.decode(z)[0] >= 0.5) == octant) > 0.97
    found = surrogate.predict_with_uncertainty(z)
    for name, solved in {"E": 4599.92, "nu": 0.322192, "K": 4311.70, "G": 2885.01}.items():
        low, high = found[name].interval(0.99)
        assert low[0] < solved < high[0]
        assert found[name].mean[0] == pytest.approx(solved, rel=0.1)


def test_interpolate_draws_the_units_between_two(run, tmp_path):
    picture = tmp_path / "morph.png"
    code, out, err = run("interpolate", "default", OCTET, SHEET, "-o", picture, "--steps", 3)
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["0.00", "0.50", "1.00"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_shipped_surrogate_is_small_enough_to_ship():
    """And has a model card beside it."""
    folder = ROOT / "learn" / "default"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 12e6
    assert (folder / "README.md").read_text().strip()
