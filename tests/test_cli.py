"""The command line: what is printed where, exit codes, and every bad input of ``solve``."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT, assert_refused, heed_interrupts

from homog import homogenization, terminal

SOLID = ["--E", "70e3", "--nu", "0.33"]


@pytest.fixture
def unit(tmp_path):
    """A small triclinic unit in a file."""
    path = tmp_path / "unit.npy"
    np.save(path, np.random.default_rng(7).random((6, 7, 8)) < 0.7)
    return path


def homog(*arguments, **options):
    """Start the command line as a process of its own."""
    command = [sys.executable, "-m", "homog", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, preexec_fn=heed_interrupts, **pipes, **options)


def test_table_shows_the_constants_first(run, unit):
    code, out, err = run("solve", unit, *SOLID)
    assert (code, err) == (0, "")
    voxels = np.load(unit)
    result = homogenization.homogenize(voxels, homogenization.Isotropic(70e3, 0.33))
    lines = [line.split() for line in out.splitlines() if line]
    assert lines[0][-2:] == ["density", f"{voxels.mean():.4f}"]
    for line, name in zip(lines[1:5], ("E", "G", "nu", "K"), strict=True):
        assert line[0] == name
        assert float(line[1]) == pytest.approx(getattr(result, name), rel=1e-5)
    first = next(line for line in lines if line[0] == "11")
    np.testing.assert_allclose(np.array(first[1:], float), result.C[0], rtol=1e-4)


def test_table_stays_within_a_terminal(run, unit, tmp_path):
    np.save(tmp_path / "bar.npy", np.pad(np.ones((4, 1, 1)), ((0, 0), (0, 3), (0, 3))))
    for path in (unit, tmp_path / "bar.npy"):
        _, out, _ = run("solve", path, *SOLID)
        for line in out.splitlines()[1:]:
            assert "warning" in line or len(line) <= 100


def test_json_holds_every_key_and_equals_the_library(run, unit):
    code, out, err = run("solve", unit, *SOLID, "--json", "--tol", "1e-8", "--threads", "1")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert set(found) == {
        *("file", "shape", "volume_fraction", "material", "C", "E", "G", "nu", "K", "zener"),
        *("cubic_deviation", "directional", "bounds", "symmetry", "spans", "dropped", "solver"),
        *("sensitivity", "warnings", "version"),
    }
    assert {"method", "tol", "iterations", "residuals", "unknowns", "seconds"} <= set(
        found["solver"]
    )
    assert set(found["directional"]) == {"E", "G", "nu"}
    assert set(found["bounds"]) == {"K_upper", "G_upper"}
    solid = homogenization.Isotropic(70e3, 0.33)
    result = homogenization.homogenize(np.load(unit), solid, tol=1e-8)
    assert found["file"] == str(unit)
    assert found["shape"] == [6, 7, 8]
    assert found["C"] == result.C.tolist()
    assert found["material"] == {"E": 70e3, "nu": 0.33}
    assert found["solver"]["tol"] == 1e-8
    assert found["directional"]["nu"][0][0] is None
    assert found["warnings"][-1]["code"] == "box-not-cubic"


def test_scatter_is_printed_beside_each_constant_and_as_json(run, unit):
    solid = homogenization.Isotropic(70e3, 0.33)
    expected = homogenization.homogenize(np.load(unit), solid).scatter(0.02)
    code, out, err = run("solve", unit, *SOLID, "--scatter", "0.02")
    assert (code, err) == (0, "")
    for line, name in zip(out.splitlines()[2:6], ("E", "G", "nu", "K"), strict=True):
        words = line.split()
        assert words[0] == name
        assert words[2] == "±"
        assert float(words[3]) == pytest.approx(expected[name], rel=0.01)
    found = json.loads(run("solve", unit, *SOLID, "--scatter", "0.02", "--json")[1])["scatter"]
    assert found.pop("relative") == 0.02
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("scatter", ["-0.1", "nan", "inf", "1e400", "1%"])
def test_scatter_that_means_nothing_is_refused_before_any_solving(run, unit, scatter):
    assert_refused(run("solve", unit, *SOLID, "--scatter", scatter), 2, "scatter")


def test_json_of_an_empty_cell_has_no_nan(run, tmp_path):
    np.save(tmp_path / "void.npy", np.zeros((3, 3, 3)))
    code, out, _ = run("solve", tmp_path / "void.npy", *SOLID, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["nu"] is None
    assert found["directional"] is None
    assert found["E"] == 0


def test_table_of_an_empty_cell_shows_dashes(run, tmp_path):
    np.save(tmp_path / "void.npy", np.zeros((3, 3, 3)))
    code, out, _ = run("solve", tmp_path / "void.npy", *SOLID)
    assert code == 0
    assert "nu             -" in out
    assert "no directional constants" in out
    assert "warning   void" in out


def test_several_files_are_solved_in_turn_and_a_bad_one_stops_none(run, unit, tmp_path):
    other = tmp_path / "other.npy"
    np.save(other, np.ones((2, 2, 2)))
    code, out, err = run("solve", unit, tmp_path / "missing.npy", other, *SOLID, "--json")
    assert code == 2
    assert [json.loads(line)["file"] for line in out.splitlines()] == [str(unit), str(other)]
    assert err.count("\n") == 1
    assert "missing.npy" in err
    _, out, _ = run("solve", unit, other, *SOLID)
    assert out.count("voxels, density") == 2


def test_npz_key_and_threshold(run, tmp_path):
    grey = np.random.default_rng(0).random((4, 4, 4))
    np.savez(tmp_path / "scan.npz", grey=grey, mask=grey > 0.5)
    _, first, _ = run(
        "solve", tmp_path / "scan.npz", *SOLID, "--json", "--key", "grey", "--threshold", "0.5"
    )
    _, second, _ = run("solve", tmp_path / "scan.npz", *SOLID, "--json", "--key", "mask")
    assert json.loads(first)["C"] == json.loads(second)["C"]
    assert_refused(run("solve", tmp_path / "scan.npz", *SOLID), 3, "scan.npz", "--key", "grey")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--E", "0", "--nu", "0.3"], ["E must be positive", "0"]),
        (["--E", "-1", "--nu", "0.3"], ["E must be positive"]),
        (["--E", "nan", "--nu", "0.3"], ["E must be positive"]),
        (["--E", "inf", "--nu", "0.3"], ["E must be positive"]),
        (["--E", "1e400", "--nu", "0.3"], ["E must be positive"]),
        (["--E", "70k", "--nu", "0.3"], ["--E", "70k"]),
        (["--E", "1", "--nu", "0.5"], ["nu must lie"]),
        (["--E", "1", "--nu", "0.6"], ["nu must lie"]),
        (["--E", "1", "--nu", "-1"], ["nu must lie"]),
        (["--E", "1", "--nu", "-2"], ["nu must lie"]),
        (["--E", "1", "--nu", "nan"], ["nu must lie"]),
        (["--nu", "0.3"], ["--E"]),
        (["--E", "1"], ["--nu"]),
        ([*SOLID, "--tol", "0"], ["--tol"]),
        ([*SOLID, "--tol", "-1e-6"], ["--tol"]),
        ([*SOLID, "--tol", "nan"], ["tol must lie"]),
        ([*SOLID, "--threads", "-1"], ["--threads"]),
        ([*SOLID, "--threads", "0"], ["--threads"]),
        ([*SOLID, "--solver", "magic"], ["--solver", "amg"]),
        ([*SOLID, "--threshold", "0"], ["threshold must be positive"]),
        ([*SOLID, "--key", "a"], ["key"]),
        ([*SOLID, "--frobnicate"], ["--frobnicate"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_wrong_usage_is_exit_2(run, unit, options, words):
    assert_refused(run("solve", unit, *options), 2, *words)


def test_no_file_and_no_command_are_wrong_usage(run):
    assert_refused(run("solve", *SOLID), 2, "FILE")
    assert_refused(run("frobnicate"), 2, "frobnicate")


@pytest.mark.parametrize("name", ["missing.npy", "folder.npy", "unit.stl"])
def test_paths_that_hold_no_array_are_wrong_usage(run, tmp_path, name):
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "unit.stl").write_text("solid")
    assert_refused(run("solve", tmp_path / name, *SOLID), 2, name)


BAD_ARRAYS = {
    "object": np.array([[[None]]]),
    "structured": np.zeros((2, 2, 2), dtype=[("a", float)]),
    "complex": np.zeros((2, 2, 2), dtype=complex),
    "string": np.full((2, 2, 2), "1"),
    "datetime": np.zeros((2, 2, 2), dtype="datetime64[s]"),
    "0-D": np.array(1.0),
    "1-D": np.ones(3),
    "2-D": np.ones((3, 3)),
    "4-D": np.ones((2, 2, 2, 2)),
    "zero-length": np.ones((3, 0, 3)),
    "nan": np.full((2, 2, 2), np.nan),
    "inf": np.full((2, 2, 2), np.inf),
    "negative": np.full((2, 2, 2), -1),
    "integers": np.full((2, 2, 2), 2),
    "grey": np.full((2, 2, 2), 0.5),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_arrays_that_are_no_cell_are_exit_3(run, tmp_path, name):
    path = tmp_path / f"{name}.npy"
    np.save(path, BAD_ARRAYS[name], allow_pickle=True)
    assert_refused(run("solve", path, *SOLID), 3, f"{name}.npy")


BAD_FILES = {
    "empty": b"",
    "truncated-header": b"\x93NUMPY\x01\x00v\x00{'descr'",
    "text": b"0 1 0 1\n",
    "pickle": b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00]\x94.",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_files_that_are_no_array_are_exit_3(run, tmp_path, name):
    path = tmp_path / f"{name}.npy"
    path.write_bytes(BAD_FILES[name])
    assert_refused(run("solve", path, *SOLID), 3, f"{name}.npy")


@pytest.mark.parametrize("shape", ["(-1, 2, 2)", "(2000000, 2000000, 2)", "(9" * 3 + ")" * 3])
def test_headers_that_lie_are_exit_3(run, tmp_path, shape):
    header = f"{{'descr': '|b1', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    path = tmp_path / "liar.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00v\x00" + header.encode() + b"\x00" * 8)
    assert_refused(run("solve", path, *SOLID), 3, "liar.npy")


def test_special_files_are_exit_3_and_do_not_hang(run, tmp_path):
    loop, pipe = tmp_path / "loop.npy", tmp_path / "pipe.npy"
    loop.symlink_to(loop)
    os.mkfifo(pipe)
    for path in (loop, pipe):
        assert_refused(run("solve", path, *SOLID), 3, path.name)


def test_a_problem_beyond_the_free_memory_is_exit_3_with_the_estimate(run, unit, monkeypatch):
    monkeypatch.setattr("homog.formats.available_memory", lambda: 1000)
    assert_refused(run("solve", unit, *SOLID), 3, "unit.npy", "GB", "unknowns")


def test_no_convergence_is_exit_4_and_never_a_number(run, unit, monkeypatch):
    monkeypatch.setattr("homog.solver.LIMIT", 2)
    assert_refused(run("solve", unit, *SOLID), 4, "unit.npy", "no convergence", "tol")


def box(shape, *solid):
    """A cell of void with boxes of solid."""
    cell = np.zeros(shape, dtype=bool)
    for index in solid:
        cell[index] = True
    return cell


every = slice(None)
CODED = {  # cell, options, code of the warning
    "all void": (box((4, 4, 4)), SOLID, "void"),
    "all solid": (box((4, 4, 4), every), SOLID, "solid"),
    "unspanned axis": (box((4, 4, 4), 1), SOLID, "unspanned-axis"),
    "floating": (box((5, 5, 5), 1, (3, 3, 3)), SOLID, "floating"),
    "edge contact": (box((6, 6, 6), (every, 1, 1), (every, 2, 2)), SOLID, "hinge"),
    "corner contact": (box((3, 3, 3), (0, 0, 0), (1, 1, 1), (2, 2, 2)), SOLID, "hinge"),
    "periodic contact": (box((5, 5, 5), 0, 4), SOLID, "periodic-contact"),
    "one voxel thick": (box((1, 4, 4), (0, 1), (0, 2)), SOLID, "one-voxel-box"),
    "not a cube": (box((4, 4, 6), 1, 2), SOLID, "box-not-cubic"),
    "auxetic solid": (box((4, 4, 4), 1, 2), ["--E", "1", "--nu", "-0.5"], "auxetic-solid"),
    "incompressible": (box((4, 4, 4), 1, 2), ["--E", "1", "--nu", "0.4999"], "locking"),
    "one voxel": (box((4, 4, 4), (1, 1, 1)), SOLID, "floating"),
    "thin struts": (box((4, 4, 4), (every, 1, 1)), SOLID, "one-voxel-feature"),
}


@pytest.mark.parametrize("name", CODED)
def test_unusual_cells_are_solved_with_a_coded_warning(run, tmp_path, name):
    cell, options, expected = CODED[name]
    np.save(tmp_path / "cell.npy", cell)
    code, out, err = run("solve", tmp_path / "cell.npy", *options, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert expected in [warning["code"] for warning in found["warnings"]]
    assert np.isfinite(found["C"]).all()


def test_every_spelling_of_a_file_gives_the_same_digits(run, unit, tmp_path):
    voxels = np.load(unit)
    spelled = {
        "fortran.npy": np.asfortranarray(voxels),
        "big-endian.npy": voxels.astype(">i4"),
        "bytes.npy": voxels.astype(np.uint8),
        "long.npy": voxels.astype(np.int64),
        "with space und Umläüt ∂.npy": voxels,
    }
    for name, array in spelled.items():
        np.save(tmp_path / name, array)
    (tmp_path / "link.npy").symlink_to(unit)
    expected = json.loads(run("solve", unit, *SOLID, "--json")[1])["C"]
    for name in [*spelled, "link.npy"]:
        code, out, err = run("solve", tmp_path / name, *SOLID, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["C"] == expected


@pytest.fixture(scope="module")
def large_cell(tmp_path_factory):
    """Options of a solve that takes long, whose kernels are compiled: that takes as it takes.

    No other test has as many levels. A call of the compiler may last for seconds.
    """
    path = tmp_path_factory.mktemp("large") / "cell.npy"
    grid = np.linspace(0, 2 * np.pi, 128, endpoint=False)
    x, y, z = np.meshgrid(grid, grid, grid, indexing="ij")
    np.save(path, np.cos(x) + np.cos(y) + np.cos(z) < 0)
    options = ["solve", path, *SOLID, "--threads", 1, "--tol"]
    assert homog(*options, 0.9).wait(timeout=600) == 0
    return [*options, 1e-12]


def processor_seconds(pid):
    """What a process has worked so far."""
    with open(f"/proc/{pid}/stat") as stream:
        user, system = stream.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_signals_end_a_solve_within_two_seconds(sent, code, large_cell):
    """Of its own work, and without waiting: a busy machine may give it less than a processor."""
    process = homog(*large_cell)
    time.sleep(4.0)  # past the imports, in the middle of the solve
    before, worked = resource.getrusage(resource.RUSAGE_CHILDREN), processor_seconds(process.pid)
    process.send_signal(sent)
    out, err = process.communicate(timeout=20)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime - worked
    assert process.returncode == code
    assert worked < 2
    assert out == ""
    assert "Traceback" not in err


def test_closed_pipe_ends_quietly(unit):
    process = homog("solve", *[unit] * 3, *SOLID)
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=60) == 141
    assert err == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])  # what is in a buffer is written again at exit
def test_full_disk_is_one_line(unbuffered, unit):
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "homog", "solve", str(unit), *SOLID]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment
        )
    assert done.returncode == 1
    assert done.stderr.startswith("homog: ")
    assert done.stderr.count("\n") == 1


def test_read_only_installation_without_a_home_folder(unit, tmp_path):
    """Kernels are compiled anew, and nothing else changes."""
    code = (
        "import numba.core.caching as caching\n"
        "def nowhere(*_): return None\n"
        "for locator in caching.CacheImpl._locator_classes: locator.from_function = nowhere\n"
        "from homog.cli import main\n"
        f"main(['solve', {str(unit)!r}, '--E', '1', '--nu', '0.3', '--json'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["E"] > 0


def test_progress_bar_never_goes_back(capsys):
    """And prints nothing where stderr is no terminal."""
    with terminal.progress_bar("unit") as progress:
        progress(0.5)
        progress(0.25)  # never goes back
        progress(1.0)
    assert capsys.readouterr() == ("", "")


def test_doctor_tells_versions_and_places(run):
    code, out, err = run("doctor")
    assert (code, err) == (0, "")
    for name in ("homog", "numpy", "numba", "pyamg", "threads", "memory", "kernels"):
        assert any(line.startswith(name) for line in out.splitlines())


def test_version_and_help(run):
    assert run("--version")[1].startswith("homog, version ")
    assert "solve" in run("--help")[1]
    assert "Examples:" in run("solve", "--help")[1]


def test_homog_alone_prints_its_help(run):
    assert run() == run("--help")


def test_shell_completes_names_of_files():
    words = {"_HOMOG_COMPLETE": "bash_complete", "COMP_WORDS": "homog solve ex", "COMP_CWORD": "2"}
    process = homog(env={**os.environ, **words})
    assert process.communicate(timeout=60)[0] == "file,ex\n"


def test_shell_completion_is_that_of_click():
    done = subprocess.run(
        [sys.executable, "-m", "homog"],
        env={**os.environ, "_HOMOG_COMPLETE": "bash_source"},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert "_homog_completion" in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["solve", "{unit}", *SOLID], ["doctor"]])
def test_no_command_imports_torch(arguments, unit, tmp_path):
    """A torch that fails on import stands first on the path."""
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    process = homog(
        *[argument.format(unit=unit) for argument in arguments],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_help_imports_nothing_heavy():
    code = "import sys, homog.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"numpy", "scipy", "numba", "pyamg", "torch", "h5py", "tqdm"}
