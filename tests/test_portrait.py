"""Pictures of one unit, and files of pictures: where things stand, not pixels."""

from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

pytest.importorskip("skimage")

from matplotlib.colors import to_rgb
from mpl_toolkits.mplot3d import proj3d
from PIL import Image
from test_view import ball

from homog import rendering, view
from homog.errors import DataError, HomogError, ParameterError
from homog.field_colours import colours_of
from homog.plots import direction_text, directional_plot
from homog.portrait import Look, block_surface, portrait
from homog.sections import mid_layers, parallel_layers, section_colours, sections
from homog.surfaces import smooth_surface
from homog.voxel_fields import VoxelField

ANGLES = [(-58, 24), (0, 0), (130, 60), (-45, 35.26), (20, -40)]
BOX = np.random.default_rng(0).random((4, 5, 6)) < 0.6
FIELD = VoxelField(np.where(BOX, np.arange(120.0).reshape(BOX.shape) + 1, 0), BOX, "stress", "MPa")


def area(mesh):
    a, b, c = np.moveaxis(mesh[0][mesh[1]], 1, 0)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2


@pytest.mark.parametrize("stepped", [False, True])
@pytest.mark.parametrize("tile", [(2, 2, 2), (2, 1, 3)])
def test_a_block_has_the_surface_of_all_its_cells(tile, stepped):
    """Of a ball inside: nothing is lost where cells meet."""
    one = block_surface(ball(), Look(stepped=stepped))
    block = block_surface(ball(), Look(tile, stepped))
    assert area(block) == pytest.approx(np.prod(tile) * area(one), rel=1e-3)
    assert (block[0].max(axis=0) > 16 * np.array(tile) - 8).all()


def test_a_block_that_does_not_fit_in_memory_is_refused(monkeypatch):
    monkeypatch.setattr("homog.formats.available_memory", lambda: 10**6)
    with pytest.raises(DataError, match="use fewer tiles"):
        block_surface(ball(), Look(tile=(9, 9, 9)))


@pytest.mark.parametrize("angle", ANGLES)
def test_the_frame_is_that_of_the_viewer(angle):
    axes = view.plt.figure().add_subplot(projection="3d")
    view.stand(axes, (2, 2, 2), angle)
    right, up, towards = view.frame(angle)
    np.testing.assert_allclose(np.cross(right, up), towards, atol=1e-12)
    points = np.array([[1, 1, 1], 1 + right / 9, 1 + up / 9, 1 + towards / 9])
    x, y, _ = proj3d.proj_transform(*points.T, axes.get_proj())
    assert np.ptp(y[[0, 1, 3]]) < 1e-9 * abs(y[2] - y[0])
    assert np.ptp(x[[0, 2, 3]]) < 1e-9 * abs(x[1] - x[0])
    assert x[1] > x[0]
    assert y[2] > y[0]
    view.plt.close("all")


@pytest.mark.parametrize("shape", [(8, 8, 8), (2, 4, 16)])
@pytest.mark.parametrize("angle", ANGLES)
def test_a_box_fills_the_axes_and_stays_within_from_any_angle(angle, shape):
    figure = view.plt.figure(figsize=(4, 4))
    axes = figure.add_axes((0, 0, 1, 1), projection="3d")
    view.stand(axes, shape, angle)
    figure.canvas.draw()
    corners = np.array(list(np.ndindex(2, 2, 2))) * shape
    x, y, _ = proj3d.proj_transform(*corners.T, axes.get_proj())
    places = axes.transAxes.inverted().transform(axes.transData.transform(np.column_stack([x, y])))
    assert places.min() >= -0.02
    assert places.max() <= 1.02
    assert np.ptp(places, axis=0).max() > 0.75
    view.plt.close(figure)


def test_light_moves_with_the_viewer_and_colours_can_do_without():
    mesh = view.without_slivers(smooth_surface(ball(24), 1, 1.2))
    voxels = np.zeros((24, 24, 24), dtype=bool)  # nothing around that would dim
    front, side = (
        view.shade(mesh, voxels, "white", angle).mean(axis=1) for angle in (view.ANGLE, (122, 24))
    )
    _, normals = view.corners_and_normals(mesh)
    order = np.argsort(front)
    brightest, darkest = order[-200:], order[:200]
    turned = normals * [-1, -1, 1]  # half a turn about z, as the viewer made
    for places in (brightest, darkest):
        opposite = [np.argmax(normals @ turned[place]) for place in places]
        np.testing.assert_allclose(side[opposite], front[places], atol=0.05)
    colours = np.random.default_rng(0).random((len(mesh[1]), 3))
    np.testing.assert_allclose(view.shade(mesh, voxels, colours, contrast=0), colours)


def test_a_picture_names_what_it_shows_and_where_colours_end():
    figure = portrait(BOX, "#5b9bd5", "a cell", field=FIELD)
    label = figure.axes[0].get_xlabel()
    assert "stress, MPa" in label
    assert "99th percentile" in label
    assert f"maximum {FIELD.maximum:g}" in label
    low, high = figure.axes[0].get_xlim()
    assert (low, high) == (0, pytest.approx(FIELD.limit))
    assert "a cell" in [text.get_text() for text in figure.texts]
    view.plt.close(figure)


def test_colours_rise_from_zero_to_the_limit_and_stay():
    colours = colours_of(np.array([0, FIELD.limit / 2, FIELD.limit, 9 * FIELD.limit]), FIELD)
    lightness = colours @ [0.2126, 0.7152, 0.0722]
    assert lightness[0] < lightness[1] < lightness[2]
    np.testing.assert_array_equal(colours[2], colours[3])
    nothing = VoxelField(np.zeros(BOX.shape), BOX, "")
    np.testing.assert_array_equal(colours_of(np.zeros(1), nothing)[0], colours[0])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_section_has_the_colours_of_its_voxels(axis):
    plain = section_colours(BOX, "#5b9bd5", (axis, 2))
    coloured = section_colours(BOX, "#5b9bd5", (axis, 2), FIELD)
    for place in np.ndindex(plain.shape[:2]):
        voxel = tuple(np.insert(place, axis, 2))
        body = to_rgb("#5b9bd5") if BOX[voxel] else (1, 1, 1)
        assert tuple(plain[place]) == body
        value = colours_of(FIELD.values[voxel][None], FIELD)[0] if BOX[voxel] else (1, 1, 1)
        np.testing.assert_allclose(coloured[place], value)


def test_sections_say_where_they_are_and_lie_the_right_way_up():
    figure = sections(BOX, "black", "a cell", mid_layers(BOX.shape))
    assert [axes.get_title() for axes in figure.axes] == [
        "x = 2.5 of 4 voxels",
        "y = 2.5 of 5 voxels",
        "z = 3.5 of 6 voxels",
    ]
    along_y = figure.axes[1]
    assert (along_y.get_xlabel(), along_y.get_ylabel()) == ("x", "z")
    image = along_y.images[0]
    assert image.get_extent() == [0, 4, 0, 6]
    assert image.origin == "lower"
    shown = np.asarray(image.get_array())[..., 0] < 0.5
    np.testing.assert_array_equal(shown, BOX[:, 2].T)
    view.plt.close(figure)


def test_parallel_layers_are_evenly_spaced_within_the_unit():
    assert parallel_layers(6, 2, BOX.shape) == [(2, k) for k in range(6)]
    assert parallel_layers(1, 0, (9, 1, 1)) == [(0, 4)]
    layers = [layer for _, layer in parallel_layers(4, 1, (1, 48, 1))]
    assert layers == [6, 18, 30, 42]
    with pytest.raises(ParameterError, match="7 sections of 6 layers along z"):
        parallel_layers(7, 2, BOX.shape)


def test_cuts_are_the_moduli_in_three_planes():
    """Compliance of a fibre along x: E is 8 there and 2 across."""
    C = np.linalg.inv(np.diag([1 / 8, 1 / 2, 1 / 2, 1, 1, 1]))
    figure, text = directional_plot(C, "a fibre", "GPa")
    assert text.startswith("min ")
    assert "max 8 along [1 0 0]" in text
    cuts = [axes for axes in figure.axes if axes.name == "polar"]
    for axes, (first, second) in zip(cuts, [(8, 2), (2, 2), (2, 8)], strict=True):
        turn, E = axes.lines[0].get_data()
        assert E[np.isclose(turn, 0)] == pytest.approx(first)
        assert E[np.isclose(turn, np.pi / 2)] == pytest.approx(second)
    assert any("GPa" in axes.get_xlabel() for axes in figure.axes)
    view.plt.close(figure)


def test_an_isotropic_stiffness_has_no_extremes():
    C = np.linalg.inv(
        np.diag([1, 1, 1, 2.6, 2.6, 2.6]) - 0.3 * np.kron([[1, 0], [0, 0]], 1 - np.eye(3))
    )
    figure, text = directional_plot(C, "a solid", "MPa")
    assert text == "E = 1 MPa in every direction"
    view.plt.close(figure)


@pytest.mark.parametrize(
    ("direction", "text"),
    [
        ([1, 0, 0], "[1 0 0]"),
        ([0, -0.6, 0.6], "[0 1 -1]"),
        ([-1, 1, 1e-6], "[1 -1 0]"),
        ([0.6, 0, -0.8], "(0.60, 0.00, -0.80)"),
    ],
)
def test_directions_are_short_where_they_can_be(direction, text):
    assert direction_text(np.array(direction) / np.linalg.norm(direction)) == text


@pytest.mark.parametrize("kind", ["surface", "coloured", "sections", "moduli"])
def test_svg_is_small_xml_whose_texts_are_texts(kind, tmp_path):
    def drawn():
        if kind == "sections":
            return sections(BOX, "black", "a caption", mid_layers(BOX.shape), FIELD)
        if kind == "moduli":
            return directional_plot(np.eye(6) + 0.1, "a caption", "MPa")[0]
        return portrait(
            ball(24), "#5b9bd5", "a caption", field=FIELD if kind == "coloured" else None
        )

    for name in ("one.svg", "two.svg"):
        view.save_figure(drawn(), tmp_path / name)
    content = (tmp_path / "one.svg").read_bytes()
    root = ElementTree.fromstring(content)
    names = [element.tag.rpartition("}")[2] for element in root.iter()]
    texts = ["".join(of.itertext()).strip() for of in root.iter() if of.tag.endswith("}text")]
    assert "a caption" in texts
    assert "image" in names
    assert names.count("path") < 300
    assert len(content) < 1_000_000
    assert content == (tmp_path / "two.svg").read_bytes()


def test_pdf_and_png_are_what_their_names_say(tmp_path):
    for name in ("unit.pdf", "unit.png"):
        view.save_figure(portrait(BOX, "#5b9bd5", "a caption"), tmp_path / name)
    assert (tmp_path / "unit.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(tmp_path / "unit.png") as image:
        assert (image.format, image.size) == ("PNG", (640, 620))
        pixels = np.asarray(image)
    assert (pixels[:4] == 255).all()  # nothing is cut off
    assert matplotlib.get_backend().lower() == "agg"


def test_pyvista_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(rendering, "find_spec", lambda name: None)
    with pytest.raises(ParameterError, match=r"pip install 'homog-toolkit\[pyvista\]'"):
        portrait(BOX, "black", "", Look(renderer="pyvista"))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("kill -SEGV $$", "no graphics library.*install libegl1"),
        ("echo 'bad thing' >&2; exit 1", "could not draw: bad thing"),
        ("exit 0", "leave --renderer out"),
    ],
)
def test_a_renderer_that_crashes_is_an_error_with_advice(script, words, tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(rendering, "find_spec", lambda name: True)
    monkeypatch.setattr(rendering.sys, "executable", str(program))
    with pytest.raises(HomogError, match=words):
        portrait(BOX, "black", "", Look(renderer="pyvista"))


def test_pyvista_draws_the_unit_where_matplotlib_does():
    pytest.importorskip("pyvista", reason="needs the extra pyvista and a graphics library")
    voxels = np.zeros((12, 12, 12), dtype=bool)
    voxels[:6] = voxels[:, :, :3] = True
    images = []
    for renderer in ("matplotlib", "pyvista"):
        figure = portrait(voxels, "#5b9bd5", "", Look(renderer=renderer))
        figure.canvas.draw()
        images.append(np.asarray(figure.canvas.buffer_rgba())[:, :, 0] < 250)
        view.plt.close(figure)
    both, either = images[0] & images[1], images[0] | images[1]
    assert both.sum() > 0.85 * either.sum()
