"""The map by processes: the order of the items, errors, and processes that are killed."""

import os
import signal
import time
from functools import partial
from multiprocessing import active_children

import pytest

from homog.checking import check_dataset
from homog.dataset import Dataset
from homog.errors import DataError, HomogError
from homog.processes import processes
from homog.units import sampling
from homog.units.sampling import sample

EARLY = 6  # items after which a process is killed


def slowly(item):
    """The early ones take longest."""
    time.sleep(0.05 / (1 + item))
    return 10 * item


def dying_once(folder, item):
    """Kill the process on the items from 3 to 5, the first time each."""
    flag = folder / str(item)
    if 3 <= item < 6 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * item


def deadly(item):
    """Kill the process on one item."""
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def failing(item):
    """Refuse one item."""
    if item == 3:
        raise DataError("made to fail")
    return item


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers, at_once):
    with processes(slowly, workers, at_once) as over:
        for count in (40, 0, 3):  # more than once
            assert list(over(range(count))) == [10 * item for item in range(count)]


def test_few_results_are_made_ahead_of_one_that_is_awaited():
    taken = []

    def items():
        for item in range(1000):
            taken.append(item)
            yield item

    with processes(slowly, 2, at_once=2) as over:
        for number, _ in enumerate(over(items())):
            assert len(taken) <= number + 1 + 2 * 8 * 2 + 2
            if number == 100:
                break


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_killed_process_is_replaced_and_its_items_are_repeated(tmp_path, at_once):
    with processes(partial(dying_once, tmp_path), 2, at_once) as over:
        assert list(over(range(20))) == [10 * item for item in range(20)]
    assert len(list(tmp_path.iterdir())) == 3


def test_an_item_that_kills_every_process_is_an_error():
    with (
        pytest.raises(HomogError, match=r"died 3 times \(signal 9\).*use fewer workers"),
        processes(deadly, 2) as over,
    ):
        list(over(range(20)))
    assert not active_children()


def test_an_error_is_that_of_the_item_and_ends_the_processes():
    with pytest.raises(DataError, match="made to fail"), processes(failing, 2) as over:
        list(over(range(20)))
    assert not active_children()


class Killing:
    """Progress that kills all processes when some units are done."""

    def __init__(self):
        self.calls, self.killed = 0, 0

    def __call__(self):
        self.calls += 1
        if self.calls == EARLY:
            for process in active_children():
                os.kill(process.pid, signal.SIGKILL)
                self.killed += 1


def test_units_are_the_same_when_processes_are_killed(plan, cells, monkeypatch):
    monkeypatch.setattr(sampling, "CHUNK", 1)
    progress = Killing()
    found = sample(plan, workers=2, progress=progress)
    assert [unit.packed.tobytes() for unit in found.units] == [of.tobytes() for of in cells.packed]
    assert found.rejected == cells.origin["rejected"]
    assert (progress.calls, progress.killed) == (plan.count, 2)


def test_a_check_goes_on_when_processes_are_killed(units_file, monkeypatch):
    monkeypatch.setattr("homog.checking.CHUNK", 1)
    progress = Killing()
    with Dataset(units_file) as dataset:
        assert check_dataset(dataset, workers=2, progress=progress) == []
    assert (progress.calls, progress.killed) == (12, 2)
