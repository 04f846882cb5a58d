"""Pictures of unit cells: shaded surfaces and galleries of them. Needs the extra ``view``."""

from io import BytesIO
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draws into files, needs no screen

import matplotlib.pyplot as plt
import numpy as np
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from homog.files import write_atomically
from homog.surfaces import smooth_surface

COLOURS = {  # by source
    "templates": "#5b9bd5",
    "lattices": "#4db6a0",
    "isosurfaces": "#f0b84c",
    "files": "#a48ad4",
}
TEXTS = {"svg.fonttype": "none", "svg.hashsalt": "homog", "pdf.fonttype": 42}
NO_DATE = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}  # the same figure, the same file
MAP = "viridis"  # even in lightness, and told apart by the colour-blind
GREY, DARK = "#666666", "#222222"  # of texts
FILLED = 0.46  # how much of the axes a unit fills
BLUR = 0.7  # voxels: thin walls vanish with more
ANGLE = (-58, 24)  # azimuth and elevation in degrees, where the viewer stands
KEY_LIGHT = np.array([0.05, -0.50, 0.86])  # unit vectors from the surface to the lamps,
FILL_LIGHT = np.array([0.60, 0.10, 0.20])  # which move with the viewer; these belong to ANGLE


def shade(mesh, voxels, colour, angle=ANGLE, contrast=1.0):
    """Colour of each triangle: two lamps, a highlight, and dim hollows.

    Parameters
    ----------
    mesh : (vertices, faces)
        Of ``smooth_surface`` or ``voxel_surface``.
    voxels : (nx, ny, nz) bool array
        What the surface belongs to.
    colour : matplotlib colour or (m, 3) array
        Of the body, or of each triangle.
    angle : (azimuth, elevation)
        Of the viewer, in degrees; the lamps move along.
    contrast : float
        Of light and shade; with 0 the colours stay as they are.

    Returns
    -------
    (m, 3) array
        Red, green and blue in [0, 1].
    """
    corners, normals = corners_and_normals(mesh)
    turned = frame(angle).T @ frame(ANGLE)
    key, fill = (np.clip(normals @ turned @ lamp, 0, None) for lamp in (KEY_LIGHT, FILL_LIGHT))
    openness = _openness(corners.mean(axis=1) + 2 * normals, voxels)
    body = 1 + contrast * ((0.44 + 0.52 * key + 0.24 * fill) * openness - 1)
    highlight = contrast * 0.15 * key**8 * openness
    rgb = matplotlib.colors.to_rgb(colour) if isinstance(colour, str) else colour
    return np.clip(body[:, None] * rgb + highlight[:, None], 0, 1)


def corners_and_normals(mesh):
    """Corners (m, 3, 3) of the triangles of a mesh and their outward normals (m, 3)."""
    vertices, faces = mesh
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return corners, normals / np.linalg.norm(normals, axis=1, keepdims=True)


def frame(angle):
    """Directions to the right, upwards and towards the viewer as rows of a (3, 3) matrix."""
    a, e = np.radians(angle)
    return np.array(
        [
            [-np.sin(a), np.cos(a), 0],
            [-np.cos(a) * np.sin(e), -np.sin(a) * np.sin(e), np.cos(e)],
            [np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)],
        ]
    )


def _openness(points, voxels):
    """How little solid surrounds each point: 1 in the open, less in a hollow."""
    margin = 12
    crowding = gaussian_filter(np.pad(voxels, margin).astype(float), 4)
    nearby = map_coordinates(crowding, (points - 0.5 + margin).T, order=1)
    return np.clip(1.12 - 0.7 * nearby, 0.4, 1)


def draw_unit(axes, voxels, colour, blur=1.2, refinement=2):
    """Draw the smooth surface of a unit into 3-D axes.

    Parameters
    ----------
    axes : mpl_toolkits.mplot3d.Axes3D
    voxels : (nx, ny, nz) bool array
        True = solid.
    colour : matplotlib colour
    blur, refinement
        See ``smooth_surface``.
    """
    if voxels.any():
        mesh = without_slivers(smooth_surface(voxels, 1, blur, refinement))
        draw_mesh(axes, mesh, shade(mesh, voxels, colour))
    stand(axes, voxels.shape)


def without_slivers(mesh, smallest=1e-3):
    """The mesh but for triangles so narrow that their direction is noise: they would be specks."""
    vertices, faces = mesh
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    twice_area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    return vertices, faces[twice_area > 2 * smallest]


def draw_mesh(axes, mesh, colours, angle=ANGLE):
    """Draw the triangles of a closed mesh that face the viewer, as an image in vector formats."""
    corners, normals = corners_and_normals(mesh)
    seen = normals @ frame(angle)[2] > -0.15  # the viewer is near: some turn away a little
    colours = colours[seen]
    # edges in the colour of the face hide the seams between triangles
    body = Poly3DCollection(corners[seen], facecolors=colours, edgecolors=colours, linewidths=0.3)
    body.set_rasterized(True)
    axes.add_collection3d(body)


def _extent(shape, angle):
    """Half the larger side of the picture of a box whose diagonal is 1."""
    halves = np.array(shape) / np.linalg.norm(shape) / 2
    return (np.abs(frame(angle)[:2]) @ halves).max()


def stand(axes, shape, angle=ANGLE):
    """Equal axes, which are not drawn, around a block of voxels that is seen from an angle."""
    nx, ny, nz = shape
    axes.set(xlim=(0, nx), ylim=(0, ny), zlim=(0, nz))
    axes.set_box_aspect(shape, zoom=FILLED / _extent(shape, angle))
    axes.set_proj_type("persp", focal_length=1.6)
    axes.view_init(elev=angle[1], azim=angle[0])
    axes.set_axis_off()


def draw_directions(figure, angle=ANGLE):
    """Draw arrows along x, y and z, as they are seen, into the lower left corner of a figure."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0.1 / width, 0.3 / height, 0.8 / width, 0.8 / height))
    for name, (right, up, _) in zip("xyz", frame(angle).T, strict=True):
        arrow = {"arrowstyle": "-|>", "color": GREY, "lw": 1}
        axes.annotate("", (right, up), (0, 0), arrowprops=arrow)
        axes.text(1.35 * right, 1.35 * up, name, ha="center", va="center", fontsize=9, color=DARK)
    axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5))
    axes.set_axis_off()


def gallery(units, columns=8, refinement=1, progress=None):
    """Units side by side, with volume fraction and source below each.

    Parameters
    ----------
    units : sequence of DatasetUnit
    columns : int
    refinement : int
        See ``smooth_surface``.
    progress : callable, optional
        Called for each unit.

    Returns
    -------
    matplotlib.figure.Figure
    """
    return tiles(
        ((unit.voxels, COLOURS.get(unit.source, "#888888")) for unit in units),
        [f"{unit.volume_fraction:.2f}  {unit.source}" for unit in units],
        columns,
        refinement,
        progress,
    )


def tiles(cells, captions, columns=8, refinement=1, progress=None):
    """Cells side by side, row by row, with a caption below each.

    Parameters
    ----------
    cells : iterable of (voxels, colour)
    captions : sequence of str
    columns : int
    refinement : int
        See ``smooth_surface``.
    progress : callable, optional
        Called for each cell.

    Returns
    -------
    matplotlib.figure.Figure
    """
    columns = min(columns, len(captions))
    rows = -(-len(captions) // columns)
    figure = plt.figure(figsize=(1.7 * columns, 1.95 * rows), facecolor="white")
    for number, ((voxels, colour), caption) in enumerate(zip(cells, captions, strict=True)):
        row, column = divmod(number, columns)
        left, bottom = column / columns, 1 - (row + 1) / rows
        axes = figure.add_axes(
            (left, bottom + 0.12 / rows, 1 / columns, 0.88 / rows), projection="3d"
        )
        draw_unit(axes, voxels, colour, BLUR, refinement)
        middle = left + 0.5 / columns
        figure.text(middle, bottom + 0.06 / rows, caption, ha="center", fontsize=7, color="#555555")
        if progress:
            progress()
    return figure


def save_figure(figure, path):
    """Write a figure as PNG, SVG or PDF, by the ending of the path.

    A PNG has 100 pixels per inch, drawn finer so that edges are smooth. Texts stay texts in the
    others.

    Raises
    ------
    OSError
        If writing fails; an old file is then still there.
    """
    drawn, kind = BytesIO(), Path(path).suffix.lower()[1:]
    if kind in ("svg", "pdf"):
        with matplotlib.rc_context(TEXTS):
            figure.savefig(drawn, format=kind, dpi=150, metadata=NO_DATE[kind])
    else:
        figure.savefig(drawn, format="png", dpi=200)
        image = Image.open(drawn).convert("RGB").reduce(2)
        drawn = BytesIO()
        image.save(drawn, format="png", optimize=True)
    plt.close(figure)
    write_atomically(path, drawn.getbuffer())
