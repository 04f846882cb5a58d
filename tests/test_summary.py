"""What a dataset contains, as text."""

import re

import numpy as np
import pytest

from homog import Isotropic, homogenize
from homog.dataset import Dataset
from homog.summary import (
    bars,
    dataset_hash,
    dataset_summary,
    histogram,
    properties_summary,
    sampled_properties,
)


@pytest.fixture
def dataset(units_file):
    with Dataset(units_file) as dataset:
        yield dataset


def test_counts_are_those_of_the_columns(dataset, cells):
    text = dataset_summary(dataset)
    assert "12 cubic unit cells, 20 x 20 x 20 voxels" in text
    for source in ("templates", "lattices", "isosurfaces"):
        mine = dataset.source == source
        row = re.search(rf"^{source} +(\d+) +([\d.]+)% +(\d+) +([\d.]+)%$", text, re.M).groups()
        assert int(row[0]) == mine.sum()
        assert float(row[1]) == pytest.approx(100 * mine.mean(), abs=0.06)
        assert int(row[2]) == len(set(dataset.family[mine]))
        open_cell = dataset.column("open_cell")[mine]
        assert float(row[3]) == pytest.approx(100 * open_cell.mean(), abs=0.06)
    assert re.search(r"^all +12 ", text, re.M)
    bins = re.findall(r"^  (0\.\d\d) to (0\.\d\d) +(\d+)", text, re.M)
    assert sum(int(count) for _, _, count in bins) == 12
    for low, high, count in bins:
        inside = (dataset.volume_fraction >= float(low)) & (dataset.volume_fraction < float(high))
        assert int(count) == inside.sum()
    for reason, count in cells.origin["rejected"].items():
        assert f"{count} {reason}" in text


def test_the_hash_is_that_of_the_units_in_their_order(dataset):
    assert re.fullmatch(r"[0-9a-f]{16}", dataset_hash(dataset))
    assert dataset_hash(dataset) in dataset_summary(dataset)
    assert dataset_hash(dataset.select(slice(None))) == dataset_hash(dataset)
    assert dataset_hash(dataset.select(slice(None, None, -1))) != dataset_hash(dataset)


def test_bars_are_as_long_as_their_share_of_the_largest():
    assert bars("title", {"a": 4, "bb": 2, "c": 0}) == [
        "title",
        "   a        4 " + 40 * "#",
        "  bb        2 " + 20 * "#",
        "   c        0",
    ]
    assert bars("nothing", {}) == ["nothing"]


def test_histograms_count_within_edges():
    lines = histogram("x", np.array([0.05, 0.1, 0.15, 0.2]), np.array([0.0, 0.1, 0.2]), ".1f")
    assert [line.split()[:4] for line in lines[1:]] == [
        ["0.0", "to", "0.1", "1"],
        ["0.1", "to", "0.2", "3"],  # the last edge belongs to it
    ]


def test_properties_are_those_of_the_units(dataset):
    solid = Isotropic(1.0, 0.33)
    calls = []
    part, found = sampled_properties(dataset, solid, (3, 5), 1, lambda: calls.append(1))
    assert len(part) == len(calls) == 3
    assert [unit.index for unit in part] == [unit.index for unit in dataset.sampled(3, 5)]
    result = homogenize(part[1].voxels, solid)
    assert found["nu"][1] == pytest.approx(result.nu, abs=1e-4)
    assert found["zener"][1] == pytest.approx(result.zener, rel=1e-3)
    assert found["K_ratio"][1] == pytest.approx(result.K / result.K_upper, rel=1e-3)


def test_the_range_of_properties_is_a_table(dataset):
    part = dataset.select(slice(4))
    properties = {
        "nu": np.array([-0.2, 0.1, 0.3, 0.4]),
        "zener": np.array([0.5, 1.0, 2.0, 12.345]),
        "K_ratio": np.array([0.1, 0.9, 0.4, 0.3]),
    }
    rows = dict(re.split(r"\s{2,}", line.strip()) for line in
                properties_summary(part, properties).splitlines())  # fmt: skip
    assert rows["units"] == "4"
    assert rows["nu < 0"] == "25.0%"
    assert rows["nu"] == "-0.200 to 0.400"
    assert rows["Zener ratio"] == "0.5 to 12.3"
    near = np.abs(part.volume_fraction - 0.3) <= 0.02
    expected = f"up to {properties['K_ratio'][near].max():.3f}" if near.any() else "none"
    assert rows["K / K_HS, volume fraction 0.28 to 0.32"] == expected
