"""Pictures of unit cells."""

import errno
import os

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

from PIL import Image

from homog import view
from homog.dataset import Dataset
from homog.surfaces import enclosed_volume, smooth_surface


def ball(n=16, radius=0.3):
    centres = (np.indices((n, n, n)) + 0.5) / n - 0.5
    return (centres**2).sum(axis=0) <= radius**2


def test_a_surface_encloses_the_solid_and_points_outwards():
    voxels = ball()
    vertices, faces = smooth_surface(voxels, blur=1.2)
    assert enclosed_volume(vertices, faces) == pytest.approx(voxels.sum(), rel=0.1)
    distance = np.linalg.norm(vertices - 8, axis=1)
    np.testing.assert_allclose(distance, 0.3 * 16, atol=0.5)


def test_a_solid_at_the_faces_of_the_cell_is_closed_there():
    voxels = np.zeros((8, 8, 8), dtype=bool)
    voxels[:, 2:6, 2:6] = True
    vertices, faces = smooth_surface(voxels, blur=0.5)
    assert enclosed_volume(vertices, faces) == pytest.approx(voxels.sum(), rel=0.05)
    assert vertices[:, 0].min() == pytest.approx(0, abs=0.05)
    assert vertices[:, 0].max() == pytest.approx(8, abs=0.05)


def test_shades_are_colours_and_light_comes_from_above():
    voxels = ball()
    vertices, faces = view.without_slivers(smooth_surface(voxels, blur=1.2))
    colours = view.shade((vertices, faces), voxels, "#5b9bd5")
    assert colours.shape == (len(faces), 3)
    assert colours.min() >= 0
    assert colours.max() <= 1
    height = vertices[faces].mean(axis=(1,))[:, 2]
    brightness = colours.mean(axis=1)
    assert brightness[height > 11].mean() > brightness[height < 5].mean() + 0.1


def test_a_gallery_shows_each_unit_in_the_colour_of_its_source(units_file, tmp_path):
    with Dataset(units_file) as dataset:
        units = list(dataset.select(slice(3)))
    calls = []
    figure = view.gallery(units, columns=2, progress=lambda: calls.append(1))
    assert len(calls) == len(figure.axes) == 3
    captions = [text.get_text() for text in figure.texts]
    assert captions == [f"{unit.volume_fraction:.2f}  {unit.source}" for unit in units]
    view.save_figure(figure, tmp_path / "gallery.png")
    with Image.open(tmp_path / "gallery.png") as image:
        assert image.size == (340, 390)
        pixels = np.asarray(image.convert("RGB")).astype(int)
    coloured = np.ptp(pixels, axis=2) > 30
    assert coloured[:195, :170].mean() > 0.1  # the first cell
    assert coloured[195:, 170:].mean() < 0.001  # no fourth one


def test_a_cell_without_solid_is_drawn_as_nothing():
    figure = view.plt.figure()
    axes = figure.add_subplot(projection="3d")
    view.draw_unit(axes, np.zeros((4, 4, 4), dtype=bool), "black")
    assert len(axes.collections) == 0
    view.draw_unit(axes, np.ones((4, 4, 4), dtype=bool), "black")
    assert len(axes.collections) == 1
    view.plt.close(figure)


def test_a_picture_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "gallery.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        view.save_figure(view.plt.figure(figsize=(1, 1)), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
