"""Labels survive what happens: killed workers, killed runs, full disks, other settings."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from conftest import heed_interrupts

from homog import DataError, Dataset, Isotropic, ParameterError, files, homogenize, labelling
from homog.cluster import dask_engine
from homog.dataset import write_dataset
from homog.labelling import Job, label_dataset, local, merge
from homog.labels import DONE, FAILED, UPPER, Settings
from homog.packing import packed_cells
from homog.shards import Shards, locked
from homog.supervision import Supervisor
from homog.units.sampling import Plan, cells_of, sample

SETTINGS = Settings(E=70e3, nu=0.33, scatter=0.01, seed=2)
COUNT = 12


def serial(function, tasks):
    """Engine without processes."""
    for task in tasks:
        for part in task:
            yield part, function(part), None


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """A small dataset of cubic units."""
    path = tmp_path_factory.mktemp("units") / "units.h5"
    plan = Plan(COUNT, seed=3, resolution=16, sources=("templates",))
    write_dataset(path, cells_of(sample(plan), plan))
    return path


@pytest.fixture(scope="module")
def undisturbed(units, tmp_path_factory):
    """Labels of a run that nothing happened to."""
    path = tmp_path_factory.mktemp("labels") / "labelled.h5"
    assert label_dataset(units, path, SETTINGS, serial).missing == 0
    return contents(path)


def contents(path):
    """Bytes of all columns that do not depend on the clock."""
    with Dataset(path) as ds:
        groups = {group: ds.group(group) for group in ("labels", "scattered")}
        columns = {f"{g}.{n}": of[n].tobytes() for g, of in groups.items() for n in of}
        return columns | {"octants": ds.packed(slice(None)).tobytes()}


def test_labels_are_those_of_the_solver(units, tmp_path):
    path = tmp_path / "labelled.h5"
    label_dataset(units, path, SETTINGS, serial)
    with Dataset(path) as ds:
        for index in (0, COUNT - 1):
            result = homogenize(ds[index].voxels, Isotropic(70e3, 0.33), tol=1e-5, threads=1)
            for name in ("E", "G", "nu", "K", "zener"):
                assert ds.labels[name][index] == getattr(result, name)
                for by in ("E", "nu"):
                    found = ds.labels[f"d{name}_d{by}_solid"][index]
                    assert found == result.derivatives[by][name]
            assert ds.labels["C12"][index] == pytest.approx(result.C[0, 1], rel=1e-12)
            assert ds.labels["K_upper"][index] == result.K_upper
        assert (ds.labels["status"] == DONE).all()
        assert ds.labels.attributes["scatter"] == 0.01


def test_scattered_labels_are_those_of_the_solid_that_is_stored(units, tmp_path):
    path = tmp_path / "labelled.h5"
    label_dataset(units, path, SETTINGS, serial)
    with Dataset(path) as ds:
        solid = Isotropic(ds.scattered["E_solid"][5], ds.scattered["nu_solid"][5])
        result = homogenize(ds[5].voxels, solid, tol=1e-9, threads=1)
        assert ds.scattered["E"][5] == pytest.approx(result.E, rel=1e-4)
        assert ds.scattered["C44"][5] == pytest.approx(result.C[3, 3], rel=1e-4)


def test_solids_scatter_as_the_settings_say():
    digests = np.random.default_rng(0).integers(0, 256, (4000, 16), dtype=np.uint8)
    solids = [SETTINGS.solid_of(digest) for digest in digests]
    E, nu = np.array([(solid.E, solid.nu) for solid in solids]).T
    for values, mean in ((E, 70e3), (nu, 0.33)):
        assert values.mean() == pytest.approx(mean, rel=1e-3)
        assert values.std() == pytest.approx(0.01 * mean, rel=0.05)
    assert abs(np.corrcoef(E, nu)[0, 1]) < 0.05
    other = Settings(70e3, 0.33, 0.01, seed=3)
    assert other.solid_of(digests[0]) != solids[0]


def test_cells_that_are_not_cubic_get_all_constants(triclinic, tmp_path):
    units, path = tmp_path / "units.h5", tmp_path / "labelled.h5"
    write_dataset(units, packed_cells([triclinic], ["triclinic"]))
    settings = Settings(70e3, 0.33, 0.01, seed=1, cubic=False)
    label_dataset(units, path, settings, serial)
    result = homogenize(triclinic, Isotropic(70e3, 0.33), tol=1e-5, threads=1)
    with Dataset(path) as ds:
        assert np.array_equal(ds.labels["C"][0], result.C[UPPER])
        assert np.array_equal(ds.labels["dC_dnu_solid"][0], result.dC_dnu[UPPER])
        assert ds.scattered["C"].shape == (1, 21)


def test_number_of_workers_does_not_change_the_labels(units, tmp_path, undisturbed):
    for workers in (1, 2):
        path = tmp_path / f"{workers}.h5"
        label_dataset(units, path, SETTINGS, local(workers))
        assert contents(path) == undisturbed


def test_jobs_of_an_array_add_up(units, tmp_path, undisturbed):
    path = tmp_path / "labelled.h5"
    first = label_dataset(units, path, SETTINGS, serial, Job(0, 2))
    assert first.missing == COUNT // 2
    assert not path.exists()
    with pytest.raises(DataError, match="have no labels yet"):
        merge(units, path, SETTINGS)
    assert label_dataset(units, path, SETTINGS, serial, Job(1, 2)).missing == 0
    assert contents(path) == undisturbed
    assert not Path(f"{path}.shards").exists()


def test_jobs_that_end_at_the_same_moment_merge_once(units, tmp_path, undisturbed, monkeypatch):
    path, together, written = tmp_path / "labelled.h5", Barrier(2, timeout=60), []

    def ending_together(function, tasks):
        yield from serial(function, tasks)
        together.wait()

    def slowly_written(*arguments):
        written.append(arguments)
        time.sleep(0.5)  # so that the other has to wait
        write_dataset(*arguments)

    monkeypatch.setattr(labelling, "SHARD", 1)
    monkeypatch.setattr(labelling, "write_dataset", slowly_written)
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(label_dataset, units, path, SETTINGS, ending_together, Job(n, 2))
            for n in (0, 1)
        ]
        assert [run.result().missing for run in runs] == [0, 0]
    assert len(written) == 1
    assert contents(path) == undisturbed
    assert not Path(f"{path}.shards").exists()
    merge(units, path, SETTINGS)  # as a run does that had to wait: nothing is left to do
    assert len(written) == 1
    with pytest.raises(DataError, match="12 of 12 units have no labels yet"):
        merge(units, path, Settings(71e3, 0.33, 0.01, seed=2))


@pytest.mark.parametrize("text", ["2", "2/2", "a/b", "-1/3", "1/0"])
def test_bad_arrays_are_refused(text):
    with pytest.raises(ParameterError, match="array must be such as"):
        Job.parsed(text)


def test_a_failed_unit_is_a_row_with_a_reason(units, tmp_path, monkeypatch):
    def failing(voxels, *_, **__):
        raise DataError("made to fail")

    monkeypatch.setattr("homog.labels.homogenize", failing)
    path = tmp_path / "labelled.h5"
    assert label_dataset(units, path, SETTINGS, serial).failed == COUNT
    with Dataset(path) as ds:
        assert (ds.labels["status"] == FAILED).all()
        assert ds.labels["message"][0] == b"made to fail"
        assert np.isnan(ds.labels["E"]).all()


def test_labels_of_other_settings_are_never_mixed(units, tmp_path):
    path = tmp_path / "labelled.h5"
    label_dataset(units, path, SETTINGS, serial, Job(0, 2))
    other = Settings(71e3, 0.33, 0.01, seed=2)
    with pytest.raises(ParameterError, match="other units, settings or versions"):
        label_dataset(units, path, other, serial)
    label_dataset(units, path, other, serial, force=True)
    with Dataset(path) as ds:
        assert ds.labels.attributes["E"] == 71e3


def test_a_second_run_on_one_output_is_refused(units, tmp_path):
    path = tmp_path / "labelled.h5"
    folder = Path(f"{path}.shards")
    folder.mkdir()
    with locked(folder / "lock.0.1"), pytest.raises(ParameterError, match="another run"):
        label_dataset(units, path, SETTINGS, serial)


@pytest.mark.parametrize("scatter", [-0.1, np.nan, 0.3])
def test_impossible_scatter_is_refused(scatter):
    with pytest.raises(ParameterError, match="scatter"):
        Settings(70e3, 0.33, scatter)


def test_a_full_disk_keeps_what_is_done(units, tmp_path, monkeypatch, undisturbed):
    path = tmp_path / "labelled.h5"
    monkeypatch.setattr(labelling, "SHARD", 3)
    full, written = os.fsync, []

    def fsync(descriptor):
        written.append(descriptor)
        if len(written) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        full(descriptor)

    monkeypatch.setattr(files.os, "fsync", fsync)
    with pytest.raises(OSError, match="No space"):
        label_dataset(units, path, SETTINGS, serial)
    assert not path.exists()
    monkeypatch.setattr(files.os, "fsync", full)
    assert 0 < label_dataset(units, path, SETTINGS, serial).labelled < COUNT
    assert contents(path) == undisturbed


def label_and_die(units, path, at):
    """Label unit by unit, and be killed before a certain write, fsync or rename."""
    labelling.SHARD, calls = 1, [0]

    def deadly(real):
        def call(*arguments, **options):
            calls[0] += 1
            if calls[0] == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return call

    for name in ("fsync", "replace"):
        setattr(files.os, name, deadly(getattr(os, name)))
    files.tempfile.mkstemp = deadly(files.tempfile.mkstemp)
    label_dataset(units, path, SETTINGS, serial)


@pytest.mark.parametrize("at", range(1, 41))
def test_a_run_killed_at_any_write_continues(units, tmp_path, undisturbed, at):
    path = tmp_path / "labelled.h5"
    run = get_context("fork").Process(target=label_and_die, args=(units, path, at))
    run.start()
    run.join()
    assert run.exitcode == -signal.SIGKILL
    done = Shards(path, key_of(units), SETTINGS).done()
    assert len(done) >= (at - 1) // 4  # four calls a shard: what was reported is there
    assert label_dataset(units, path, SETTINGS, serial).labelled == COUNT - len(done)
    assert contents(path) == undisturbed


def test_a_run_killed_as_it_writes_the_result_continues(units, tmp_path, undisturbed):
    path = tmp_path / "labelled.h5"
    for at in range(4 * COUNT + 1, 4 * COUNT + 4):
        run = get_context("fork").Process(target=label_and_die, args=(units, path, at))
        run.start()
        run.join()
        assert run.exitcode == -signal.SIGKILL
        assert not path.exists() or contents(path) == undisturbed
        label_dataset(units, path, SETTINGS, serial, force=True)
        assert contents(path) == undisturbed
        path.unlink()


def key_of(path):
    with Dataset(path) as ds:
        return SETTINGS.key(ds.column("hash"))


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """More units, which take longer, and their labels."""
    folder = tmp_path_factory.mktemp("many")
    plan = Plan(60, seed=4, resolution=16, sources=("templates",))
    write_dataset(folder / "units.h5", cells_of(sample(plan), plan))
    label_dataset(folder / "units.h5", folder / "labelled.h5", SETTINGS, serial)
    return folder / "units.h5", contents(folder / "labelled.h5")


def test_a_process_tree_killed_at_random_moments_continues(many, tmp_path):
    units, expected = many
    path, rng = tmp_path / "labelled.h5", random.Random(1)
    command = [sys.executable, "-m", "homog", "label", str(units), "-o", str(path)]
    command += ["--E", "70e3", "--nu", "0.33", "--scatter", "0.01", "--seed", "2"]
    killed = 0
    for _ in range(20):
        run = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.2, 2.2))
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            killed += 1
        run.wait()
        if path.exists():
            assert contents(path) == expected
            path.unlink()
    assert killed >= 5
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert contents(path) == expected


def test_killed_workers_are_replaced(many, tmp_path):
    units, expected = many
    path, found = tmp_path / "labelled.h5", []

    def engine(function, tasks):
        with Supervisor(function, 2) as supervisor:
            for number, done in enumerate(supervisor.run(tasks)):
                yield done
                if number % 4 == 2 and supervisor.deaths < 10:
                    with suppress(ProcessLookupError):  # it died before and is not missed yet
                        os.kill(supervisor.pids[number // 4 % 2], signal.SIGKILL)
            found.append(supervisor.deaths)

    assert label_dataset(units, path, SETTINGS, engine).failed == 0
    assert found[0] >= 8  # a worker that has just been hired may be killed twice
    assert contents(path) == expected


def test_killed_workers_of_dask_are_replaced(many, tmp_path):
    distributed = pytest.importorskip("distributed")
    units, expected = many
    path = tmp_path / "labelled.h5"
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as own,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(labelling, "TASK", 4)
        kills = []

        def kill(row):
            if not isinstance(row, int) and len(kills) < 10:
                kills.append(row)
                for nanny in list(own.workers.values())[:1]:
                    while (pid := nanny.pid) is None:  # killed before, and not there again yet
                        time.sleep(0.01)
                    os.kill(pid, signal.SIGKILL)

        engine = dask_engine(own.scheduler_address)
        assert label_dataset(units, path, SETTINGS, engine, progress=kill).failed == 0
    assert len(kills) == 10
    assert contents(path) == expected


def deadly_part(part):
    """Kill the process on one part."""
    if part == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * part


def endless_part(part):
    """Stall on one part."""
    time.sleep(60 if part == 1 else 0)
    return part


def test_a_part_that_kills_its_process_fails_alone():
    with Supervisor(deadly_part, 2) as supervisor:
        done = {part: (result, why) for part, result, why in supervisor.run([[1, 2, 3, 4], [5]])}
    assert {part: result for part, (result, _) in done.items() if part != 3} == {
        1: 10, 2: 20, 4: 40, 5: 50,
    }  # fmt: skip
    assert "its process died 3 times (signal 9)" in done[3][1]


def test_a_part_that_stalls_is_given_up(monkeypatch):
    monkeypatch.setattr("homog.supervision.RETRIES", 1)
    with Supervisor(endless_part, 1, stall=1.5) as supervisor:
        done = {part: why for part, _, why in supervisor.run([[0, 1, 2]])}
    assert done[0] is done[2] is None
    assert "took too long" in done[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_keeps_what_is_done(many, tmp_path, number, code):
    units, expected = many
    path = tmp_path / "labelled.h5"
    command = [sys.executable, "-m", "homog", "label", str(units), "-o", str(path)]
    command += ["--E", "70e3", "--nu", "0.33", "--scatter", "0.01", "--seed", "2"]
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    run = subprocess.Popen(command, preexec_fn=heed_interrupts, **pipes)
    while not Path(f"{path}.shards").exists():
        time.sleep(0.05)
    time.sleep(1.0)  # the workers are starting, or have just begun
    run.send_signal(number)
    start = time.monotonic()
    out, err = run.communicate(timeout=20)
    assert time.monotonic() - start < 2.5
    assert run.returncode == code
    assert out == ""
    assert "the same command continues" in err
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert contents(path) == expected


def test_the_estimate_scales_with_units_and_workers():
    text = labelling.estimate(0.09, 46840, 2)
    assert "46,840          1.17    0 h 35 min" in text
    assert "10,000,000        250.00      5.2 days" in text
