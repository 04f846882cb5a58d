"""Pictures of one unit, or a block of it, plain or coloured by a field. Needs ``view``."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb

from homog.field_colours import colours_of, draw_bar
from homog.formats import check_free
from homog.rendering import rendered
from homog.surfaces import smooth_surface, voxel_surface
from homog.view import (
    ANGLE,
    BLUR,
    GREY,
    corners_and_normals,
    draw_directions,
    draw_mesh,
    frame,
    shade,
    stand,
    without_slivers,
)

FINE = 64**3  # voxels of a block up to which its surface is sampled twice a voxel
MEMORY = 750  # bytes taken for each triangle that is counted, measured


@dataclass(frozen=True)
class Look:
    """How a unit is shown: cells along each axis, steps of the voxels or a smooth surface, angle.

    ``angle`` is (azimuth, elevation) of the viewer in degrees, ``renderer`` matplotlib or pyvista.
    """

    tile: tuple = (1, 1, 1)
    stepped: bool = False
    angle: tuple = ANGLE
    renderer: str = "matplotlib"


def portrait(voxels, colour, caption, look=Look(), field=None):
    """A unit, or a block of it, as a shaded surface with a caption.

    Parameters
    ----------
    voxels : (nx, ny, nz) bool array
        Some of it solid.
    colour : matplotlib colour
        Of the solid, without a field.
    caption : str
    look : Look
    field : VoxelField, optional
        Colours the surface, with a bar beside it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    block = np.tile(voxels, look.tile)
    mesh = block_surface(voxels, look)
    figure, place = _stage(field)
    if field is None:
        plain, contrast = np.tile(to_rgb(colour), (len(mesh[1]), 1)), 1.0
    else:
        plain, contrast = colours_of(surface_values(mesh, field, look), field), 0.5
        draw_bar(figure, (0.2, 0.15, 0.6, 0.02), field)
    if look.renderer == "pyvista":
        axes = figure.add_axes(place)
        axes.imshow(rendered(mesh, plain, block.shape, frame(look.angle), contrast))
        axes.set_axis_off()
    else:
        axes = figure.add_axes(place, projection="3d")
        stand(axes, block.shape, look.angle)
        draw_mesh(axes, mesh, shade(mesh, block, plain, look.angle, contrast), look.angle)
    draw_directions(figure, look.angle)
    figure.text(0.5, 0.025, caption, ha="center", fontsize=9, color=GREY)
    return figure


def block_surface(voxels, look):
    """Surface of a block of cells, (vertices, faces)."""
    block = voxels.size * np.prod(look.tile)
    squares = sum(np.count_nonzero(voxels != np.roll(voxels, 1, axis)) for axis in range(3))
    refinement = 2 if block <= FINE else 1
    triangles = 2 * squares * np.prod(look.tile) * (1 if look.stepped else refinement**2)
    check_free(MEMORY * triangles, "the picture of its surface needs", "use fewer tiles")
    if look.stepped:
        return voxel_surface(voxels, look.tile)
    return without_slivers(smooth_surface(voxels, look.tile, BLUR, refinement))


def surface_values(mesh, field, look):
    """Value of a field for each triangle: of its voxel, or smoothed as the surface is."""
    corners, normals = corners_and_normals(mesh)
    within = corners.mean(axis=1) - normals / 2
    return field.inside(within) if look.stepped else field.near(within)


def _stage(field):
    """Figure for a unit, and where in it the unit stands."""
    height = 6.2 if field is None else 7.0
    figure = plt.figure(figsize=(6.4, height), facecolor="white")
    return figure, (0.3 / 6.4, 1 - 5.8 / height, 5.8 / 6.4, 5.8 / height)
