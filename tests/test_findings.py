"""Warnings on the geometry of a cell: counts against loops, and their words."""

import numpy as np
import pytest

from homog.cell import load_path
from homog.findings import cell_findings


def messages(cell):
    """Messages of the findings by code."""
    return {finding.code: finding.message for finding in cell_findings(cell, load_path(cell))}


def bar_with(*voxels):
    """A bar along x, two voxels thick, and single voxels."""
    cell = np.zeros((8, 8, 8), dtype=bool)
    cell[:, 2:4, 2:4] = True
    for index in voxels:
        cell[index] = True
    return cell


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 5), (2, 3, 4), (6, 5, 4)])
def test_thin_voxels_have_void_on_both_sides_along_some_axis(shape):
    for density in (0.2, 0.5, 0.9):
        cell = np.random.default_rng(0).random(shape) < density
        thin = 0
        for voxel in np.argwhere(cell):
            steps = [(voxel + step, voxel - step) for step in np.eye(3, dtype=int)]
            sides = [[cell[tuple(np.mod(other, shape))] for other in pair] for pair in steps]
            thin += any(not any(pair) for pair in sides)
        message = messages(cell).get("one-voxel-feature", "0")
        assert cell.all() or int(message.split()[0]) == thin


def test_one_voxel_and_several_are_told_apart_in_words():
    one = messages(bar_with((0, 6, 6)))
    assert one["floating"].startswith("1 solid voxel (3.03%) floats free, carries no load and was")
    assert one["one-voxel-feature"].startswith("1 solid voxel stands in ")
    two = messages(bar_with((0, 6, 6), (4, 6, 6)))
    assert two["floating"].startswith("2 solid voxels (5.88%) float free, carry no load and were")
    assert two["one-voxel-feature"].startswith("2 solid voxels stand in ")


def test_contacts_are_counted_among_what_carries_load():
    """A hinge and a cut of the box in the bar; the fragment and its own hinge do not count."""
    assert not {"hinge", "periodic-contact"} & set(messages(bar_with((0, 6, 6), (1, 7, 7))))
    assert messages(bar_with((4, 4, 4)))["hinge"].startswith("2 parts meet only at edges")
    shifted = np.roll(bar_with(), -3, axis=1)  # cut by the faces of y
    expected = "2 pieces in the box connect only through its periodic faces"
    assert messages(shifted) == {
        "unspanned-axis": "nothing connects the cell along y, z: the stiffness there is 0",
        "periodic-contact": expected,
    }
