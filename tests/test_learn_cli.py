"""Commands for surrogates parse, call the library and print; errors are one line."""

import json
import shutil

import numpy as np
import pytest
import toys
from conftest import ROOT

import learn

OCTET = ROOT / "examples" / "units" / "octet.npy"
SHEET = ROOT / "examples" / "units" / "schwarz_p_sheet.npy"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "labelled.h5"
    toys.write_labelled(path)
    return path


@pytest.fixture(scope="module")
def trained(labelled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "model"
    toys.trained(labelled, folder)
    return folder


def test_train_makes_a_surrogate_and_draws_its_curves(run, labelled, tmp_path):
    options = ["--scratch", "1e-5", "1e-2", "--epochs", 2, "--latent", 2, "--batch", 64]
    code, out, err = run("train", labelled, "-o", tmp_path / "m", *options, "--threads", 1)
    assert code == 0, err
    assert "surrogate of E, nu" in out
    assert "scratch" in err
    assert "at most" in err
    surrogate = learn.Surrogate.load(tmp_path / "m")
    assert surrogate.architecture.latent == 2
    assert (tmp_path / "m" / "curves.png").exists()
    code, out, err = run("train", labelled, "-o", tmp_path / "m", *options)
    assert (code, out) == (2, "")
    assert "--force" in err


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (["--latent", "0"], "numbers like"),
        (["--latent", "a"], "numbers like"),
        (["--predictor", "laplace", "--components", "2"], "components"),
        (["--keep-positive", "0"], "must lie in"),
        (["--targets", "E,E"], "distinct"),
        (["--vae", "nowhere"], "no surrogate"),
    ],
)
def test_wrong_options_of_train_are_one_line(options, rule, run, labelled, tmp_path):
    code, out, err = run("train", labelled, "-o", tmp_path / "m", *options)
    assert (code, out) == (2, "")
    assert rule in err
    assert err.count("\n") == 1
    assert not (tmp_path / "m").exists()


def test_evaluate_prints_a_table_and_writes_pictures(run, trained, labelled, tmp_path):
    folder = tmp_path / "evaluation"
    code, out, err = run("evaluate", trained, labelled, "-o", folder, "--samples", 4, "--json")
    assert code == 0, err
    said = json.loads(out)
    written = json.loads((folder / "evaluation.json").read_text())
    assert written["accuracy"] == said["accuracy"]
    names = {"parity", "reliability", "convergence", "reconstructions", "cases"}
    assert {path.stem for path in folder.glob("*.png")} == names
    code, out, _ = run("evaluate", trained, labelled, "--samples", 4)
    assert code == 0
    assert f"{said['accuracy']['test']['voxel accuracy']:.4f} (0.9824)" in out


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


def test_what_is_no_unit_of_the_surrogate_is_refused(run, tmp_path):
    np.save(tmp_path / "small.npy", np.ones((8, 8, 8), bool))
    lopsided = np.load(OCTET)
    lopsided[0, 3, 5] ^= True
    np.save(tmp_path / "lopsided.npy", lopsided)
    for name in ("small.npy", "lopsided.npy"):
        code, out, err = run(
            "interpolate", "default", tmp_path / name, SHEET, "-o", tmp_path / "m.png"
        )
        assert (code, out) == (3, "")
        assert name in err
        assert err.count("\n") == 1
    code, _, err = run("interpolate", "default", OCTET, SHEET, "-o", tmp_path / "m.jpg")
    assert code == 2
    assert ".png" in err


def test_a_damaged_surrogate_is_bad_data(run, trained, labelled, tmp_path):
    shutil.copytree(trained, tmp_path / "m")
    (tmp_path / "m" / "weights.safetensors").write_bytes(b"spoiled")
    code, out, err = run("evaluate", tmp_path / "m", labelled)
    assert (code, out) == (3, "")
    assert "weights" in err
