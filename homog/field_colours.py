"""Colours of a field, and the bar that explains them. Needs the extra ``view``."""

import matplotlib.pyplot as plt

from homog.view import DARK, MAP
from homog.voxel_fields import ROBUST


def colours_of(values, field):
    """Colours (..., 3) of values of a field: from 0 to its limit."""
    return plt.get_cmap(MAP)(values / _top(field))[..., :3]


def draw_bar(figure, place, field):
    """Draw the bar of a field into a figure at (left, bottom, width, height).

    It names the field and its unit, and says where it ends.
    """
    axes = figure.add_axes(place)
    scale = plt.cm.ScalarMappable(plt.Normalize(0, _top(field)), MAP)
    figure.colorbar(scale, axes, orientation="horizontal", extend="max")
    axes.tick_params(labelsize=8, colors=DARK)
    axes.xaxis.set_major_locator(plt.MaxNLocator(5))
    axes.xaxis.set_major_formatter("{x:,g}")
    maximum = float(f"{field.maximum:.3g}")
    axes.set_xlabel(
        f"{field.name}, {field.unit}\nends at the {ROBUST}th percentile of the solid, "
        f"maximum {maximum:,g}",
        fontsize=9,
        color=DARK,
    )


def _top(field):
    return field.limit or 1.0  # a cell that nothing resists has no energy
