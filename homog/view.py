"""Pictures of unit cells: shaded surfaces and galleries of them. Needs the extra ``view``."""

from io import BytesIO

import matplotlib

matplotlib.use("Agg")  # draws into files, needs no screen

import matplotlib.pyplot as plt
import numpy as np
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.measure import marching_cubes

from homog.bounds import hashin_shtrikman_upper
from homog.errors import DataError
from homog.files import write_atomically
from homog.material import Isotropic

COLOURS = {  # by source
    "templates": "#5b9bd5",
    "lattices": "#4db6a0",
    "isosurfaces": "#f0b84c",
    "files": "#a48ad4",
}
BLUR = 0.7  # voxels: thin walls vanish with more
KEY_LIGHT = np.array([0.30, -0.62, 0.72])  # unit vectors from the surface to the lamps
FILL_LIGHT = np.array([0.95, 0.10, 0.30])
ELEVATION, AZIMUTH = 24, -58  # degrees, where the viewer stands


def surface(voxels, blur=1.2, refinement=2):
    """Smooth closed surface of the solid of one cell.

    Parameters
    ----------
    voxels : (nx, ny, nz) bool array
        True = solid, periodic.
    blur : float
        Standard deviation of the smoothing, in voxels. Walls thinner than
        about twice that vanish.
    refinement : int
        Sampling points per voxel along each axis.

    Returns
    -------
    vertices : (n, 3) array
        In voxels; the cell spans [0, nx] x [0, ny] x [0, nz].
    faces : (m, 3) int array
        Vertices of each triangle, counter-clockwise from outside.
    """
    field = _smooth(voxels, blur, refinement)
    level = np.quantile(field, 1 - voxels.mean())  # keeps the density, blur alone would not
    closed = np.pad(field, 1, constant_values=-1e3)  # so far below that the caps are flat
    vertices, faces, _, _ = marching_cubes(closed, level, gradient_direction="ascent")
    vertices = (vertices - 1) / refinement
    area = np.linalg.norm(_normals(vertices[faces]), axis=1) / 2
    return vertices, faces[area > 1e-3]  # the direction of slivers is noise, they would be specks


def _normals(corners):
    """Outward normals of triangles, twice as long as their area."""
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def _smooth(voxels, blur, refinement):
    """Periodic blur, sampled from cell face to cell face."""
    margin = 8  # beyond the reach of blur and interpolation
    wrapped = np.pad(voxels.astype(float), margin, mode="wrap")
    blurred = gaussian_filter(wrapped, blur, mode="nearest", truncate=3)
    steps = [np.arange(n * refinement + 1) / refinement - 0.5 + margin for n in voxels.shape]
    return map_coordinates(blurred, np.meshgrid(*steps, indexing="ij"), order=3)


def shade(vertices, faces, voxels, colour):
    """Colour of each triangle: two lamps, a highlight, and dim hollows.

    Parameters
    ----------
    vertices, faces : arrays
        From ``surface``.
    voxels : (nx, ny, nz) bool array
        The unit that the surface belongs to.
    colour : matplotlib colour

    Returns
    -------
    (m, 3) array
        Red, green and blue in [0, 1].
    """
    corners = vertices[faces]
    normals = _normals(corners)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    key, fill = (np.clip(normals @ lamp, 0, None) for lamp in (KEY_LIGHT, FILL_LIGHT))
    openness = _openness(corners.mean(axis=1) + 2 * normals, voxels)
    body = (0.44 + 0.52 * key + 0.24 * fill) * openness
    highlight = 0.15 * key**8 * openness
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    return np.clip(body[:, None] * rgb + highlight[:, None], 0, 1)


def _openness(points, voxels):
    """How little solid surrounds each point: 1 in the open, less in a hollow."""
    margin = 12
    crowding = gaussian_filter(np.pad(voxels, margin).astype(float), 4)
    nearby = map_coordinates(crowding, (points - 0.5 + margin).T, order=1)
    return np.clip(1.12 - 0.7 * nearby, 0.4, 1)


def draw_unit(axes, voxels, colour, blur=1.2, refinement=2):
    """Draw the surface of a unit into 3-D axes.

    Parameters
    ----------
    axes : mpl_toolkits.mplot3d.Axes3D
    voxels : (nx, ny, nz) bool array
        True = solid.
    colour : matplotlib colour
    blur, refinement
        See ``surface``.
    """
    if voxels.any():
        vertices, faces = surface(voxels, blur, refinement)
        colours = shade(vertices, faces, voxels, colour)
        triangles = vertices[faces]
        # edges in the colour of the face hide the seams between triangles
        axes.add_collection3d(
            Poly3DCollection(triangles, facecolors=colours, edgecolors=colours, linewidths=0.3)
        )
    nx, ny, nz = voxels.shape
    axes.set(xlim=(0, nx), ylim=(0, ny), zlim=(0, nz))
    axes.set_box_aspect(voxels.shape, zoom=1.12)
    axes.set_proj_type("persp", focal_length=1.6)
    axes.view_init(ELEVATION, AZIMUTH)
    axes.set_axis_off()


def gallery(units, columns=8, refinement=1, progress=None):
    """Units side by side, with volume fraction and source below each.

    Parameters
    ----------
    units : sequence of DatasetUnit
    columns : int
    refinement : int
        See ``surface``.
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
        See ``surface``.
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


def property_plots(dataset):
    """E, nu, K and G against the volume fraction by source, K and G with their upper bound.

    Parameters
    ----------
    dataset : Dataset
        With labels.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        If there are no labels.
    """
    labels = dataset.labels
    if not len(labels):
        raise DataError("no labels to plot; run homog label first")
    figure, plots = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    fraction, source = dataset.volume_fraction, dataset.source
    solid = Isotropic(float(labels.attributes["E"]), float(labels.attributes["nu"]))
    line = np.linspace(0, fraction.max(), 100)
    bounds = dict(zip(("K", "G"), hashin_shtrikman_upper(line, solid.K, solid.G), strict=True))
    for axes, name in zip(plots.ravel(), ("E", "nu", "K", "G"), strict=True):
        scale = 1.0 if name == "nu" else solid.E
        for of in dict.fromkeys(source):
            mine = source == of
            colour, values = COLOURS.get(of, "#888888"), labels[name][mine] / scale
            axes.scatter(fraction[mine], values, s=3, alpha=0.4, lw=0, color=colour, label=of)
        if name in bounds:
            axes.plot(line, bounds[name] / scale, "k-", lw=1, label="Hashin-Shtrikman")
        axes.set(
            xlabel="volume fraction", ylabel=name if name == "nu" else f"{name} / E of the solid"
        )
        axes.grid(alpha=0.3)
    plots[0, 0].legend(markerscale=4)
    plots[1, 0].legend(markerscale=4)
    return figure


def save_figure(figure, path):
    """Write a figure as a PNG of 100 pixels per inch, drawn finer so that edges are smooth.

    Raises
    ------
    OSError
        If writing fails; an old file is then still there.
    """
    drawn, small = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", dpi=200)
    plt.close(figure)
    Image.open(drawn).convert("RGB").reduce(2).save(small, format="png", optimize=True)
    write_atomically(path, small.getbuffer())
