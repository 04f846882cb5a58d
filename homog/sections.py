"""Pictures of sections through a unit, plain or coloured by a field. Needs the extra ``view``."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb

from homog.errors import ParameterError
from homog.field_colours import colours_of, draw_bar
from homog.view import DARK, GREY

AXES = "xyz"
COLUMNS = 4


def parallel_layers(count, axis, shape):
    """Layers evenly spaced along an axis, as (axis, layer) pairs.

    Parameters
    ----------
    count : int
    axis : int
    shape : tuple
        Voxels of the unit.

    Raises
    ------
    ParameterError
        If there are fewer layers.
    """
    n = shape[axis]
    if count > n:
        raise ParameterError(f"{count} sections of {n} layers along {AXES[axis]}; ask for fewer")
    return [(axis, (2 * k + 1) * n // (2 * count)) for k in range(count)]


def mid_layers(shape):
    """The layer in the middle of each axis, as (axis, layer) pairs."""
    return [(axis, n // 2) for axis, n in enumerate(shape)]


def sections(voxels, colour, caption, layers, field=None):
    """Layers of voxels side by side.

    Parameters
    ----------
    voxels : (nx, ny, nz) bool array
    colour : matplotlib colour
        Of the solid, without a field.
    caption : str
    layers : list of (axis, layer)
    field : VoxelField, optional
        Colours the solid, with a bar beside it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    columns = min(len(layers), COLUMNS)
    rows = -(-len(layers) // columns)
    side = 2.3  # inches, of a section with its title
    foot = 1.0 if field else 0.3
    width, height = max(side * columns + 0.2, 4.0), side * rows + foot
    figure = plt.figure(figsize=(width, height), facecolor="white")
    for number, (axis, layer) in enumerate(layers):
        row, column = divmod(number, columns)
        left = (width - side * columns) / 2 + side * column + 0.3
        bottom = height - side * (row + 1) + 0.25
        place = np.array([left, bottom, side - 0.55, side - 0.55]) / ([width, height] * 2)
        axes = figure.add_axes(tuple(place))
        axes.imshow(
            np.swapaxes(section_colours(voxels, colour, (axis, layer), field), 0, 1),
            origin="lower",
            interpolation="nearest",
            extent=_extent(voxels.shape, axis),
        )
        _label(axes, voxels.shape, axis, layer)
    if field:
        draw_bar(figure, (0.5 - 1.6 / width, 0.9 / height, 3.2 / width, 0.1 / height), field)
    figure.text(0.5, 0.08 / height, caption, ha="center", fontsize=8, color=GREY)
    return figure


def section_colours(voxels, colour, layer, field=None):
    """Colours of the voxels of a layer, (n, m, 3), white where void."""
    axis, place = layer
    solid = voxels.take(place, axis)
    colours = np.ones((*solid.shape, 3))
    colours[solid] = (
        colours_of(field.values.take(place, axis)[solid], field) if field else to_rgb(colour)
    )
    return colours


def _extent(shape, axis):
    first, second = (n for other, n in enumerate(shape) if other != axis)
    return 0, first, 0, second


def _label(axes, shape, axis, layer):
    """Position of a section, names of its axes, and their ends in voxels."""
    first, second = (other for other in range(3) if other != axis)
    title = f"{AXES[axis]} = {layer + 0.5:g} of {shape[axis]} voxels"
    axes.set_title(title, fontsize=8, color=DARK, pad=4)
    axes.set_xlabel(AXES[first], fontsize=8, color=DARK, labelpad=-6)
    axes.set_ylabel(AXES[second], fontsize=8, color=DARK, labelpad=-6)
    axes.set(xticks=(0, shape[first]), yticks=(0, shape[second]))
    axes.tick_params(labelsize=7, colors=GREY, length=2)
    for spine in axes.spines.values():
        spine.set(color="#bbbbbb", lw=0.8)
