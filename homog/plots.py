"""Plots of numbers: properties of a dataset, Young's modulus by direction. Needs ``view``."""

import matplotlib.pyplot as plt
import numpy as np

from homog.bounds import hashin_shtrikman_upper
from homog.directional import directional_modulus, extreme_moduli, sphere
from homog.errors import DataError
from homog.material import Isotropic
from homog.view import (
    ANGLE,
    COLOURS,
    DARK,
    GREY,
    MAP,
    corners_and_normals,
    draw_directions,
    draw_mesh,
    frame,
    without_slivers,
)

RADIUS = 50  # of the surface of moduli, so that its triangles are about as large as voxels
LAMP = np.array([-0.35, 0.6, 0.72])  # to the right, upwards and towards the viewer
PLANES = {"xy": (0, 1), "yz": (1, 2), "zx": (2, 0)}


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


def directional_plot(C, caption, unit, angle=ANGLE, singular=1e-9):
    """Young's modulus in all directions as a surface, and in three planes.

    Parameters
    ----------
    C : (6, 6) array
        Stiffness in Voigt order, of any anisotropy.
    caption : str
        What it belongs to.
    unit : str
        Of C.
    angle : (azimuth, elevation)
        Of the viewer, in degrees.
    singular : float
        As of ``directional_modulus``.

    Returns
    -------
    matplotlib.figure.Figure
    str
        The extremes, as they stand in it.

    Raises
    ------
    DataError
        If C is singular.
    """
    extremes = extreme_moduli(C, singular)
    largest = extremes[1][0]
    figure = plt.figure(figsize=(8.4, 6.4), facecolor="white")
    _modulus_surface(figure, C, extremes, unit, angle)
    for row, plane in enumerate(PLANES):
        axes = figure.add_axes((0.73, 0.69 - 0.285 * row, 0.2, 0.2 * 8.4 / 6.4), projection="polar")
        _cut(axes, C, plane, largest)
    draw_directions(figure, angle)
    rings = f"rings at {largest / 2:,.4g} and {largest:,.4g}"
    figure.text(0.83, 0.085, rings, ha="center", fontsize=8, color=GREY)
    figure.text(0.04, 0.945, "Young's modulus by direction", fontsize=13, color=DARK)
    figure.text(0.04, 0.905, caption, fontsize=9, color=GREY)
    text = extremes_text(extremes, unit)
    figure.text(0.04, 0.03, text.replace("; ", "     "), fontsize=9, color=DARK)
    return figure, text


def _modulus_surface(figure, C, extremes, unit, angle):
    """Surface whose distance from its middle is the modulus, which colours it as well."""
    axes = figure.add_axes((0.0, 0.14, 0.66, 0.76), projection="3d")
    (low, _), (high, _) = extremes
    norm = plt.Normalize(low, max(high, low * (1 + 1e-6)))
    mesh = _modulus_mesh(C, high)
    vertices, faces = mesh
    E = high / RADIUS * np.linalg.norm(vertices, axis=1)[faces].mean(axis=1)
    colours = plt.get_cmap(MAP)(norm(E))[:, :3]
    _, normals = corners_and_normals(mesh)
    light = 0.68 + 0.32 * np.clip(normals @ frame(angle).T @ LAMP, 0, None)
    draw_mesh(axes, mesh, light[:, None] * colours, angle)
    axes.set(xlim=(-RADIUS, RADIUS), ylim=(-RADIUS, RADIUS), zlim=(-RADIUS, RADIUS))
    axes.set_box_aspect((1, 1, 1), zoom=1.7)
    axes.view_init(elev=angle[1], azim=angle[0])
    axes.set_axis_off()
    bar = figure.add_axes((0.12, 0.135, 0.42, 0.018))
    figure.colorbar(plt.cm.ScalarMappable(norm, MAP), bar, orientation="horizontal")
    bar.xaxis.set_major_formatter("{x:,g}")
    bar.set_xlabel(f"Young's modulus, {unit}", fontsize=9, color=DARK)
    bar.tick_params(labelsize=8)


def _modulus_mesh(C, high):
    """Triangles of the surface, the largest modulus at a distance of ``RADIUS``."""
    n = sphere(150)
    points = RADIUS / high * n * directional_modulus(C, n)[..., None]
    numbers = np.arange(points[..., 0].size).reshape(points.shape[:2])
    a, b, c, d = numbers[:-1, :-1], numbers[1:, :-1], numbers[1:, 1:], numbers[:-1, 1:]
    squares = np.stack([a, b, c, a, c, d], axis=-1)
    return without_slivers((points.reshape(-1, 3), squares.reshape(-1, 3)), 1e-9)


def _cut(axes, C, plane, largest):
    """Modulus in a plane as a polar curve."""
    first, second = PLANES[plane]
    turn = np.linspace(0, 2 * np.pi, 361)
    directions = np.zeros((turn.size, 3))
    directions[:, first], directions[:, second] = np.cos(turn), np.sin(turn)
    E = directional_modulus(C, directions)
    axes.plot(turn, E, color="#3b528b", lw=1.6)
    axes.fill(turn, E, color="#3b528b", alpha=0.12, lw=0)
    axes.set_rlim(0, 1.05 * largest)
    axes.set_rgrids([largest / 2, largest], labels=["", ""])
    a, b = plane
    axes.set_thetagrids((0, 90, 180, 270), (a, b, "", ""), fontsize=9, color=DARK)
    axes.tick_params(pad=-3)
    axes.grid(color="#dddddd", lw=0.6)
    axes.spines["polar"].set_visible(False)


def extremes_text(extremes, unit):
    """Smallest and largest modulus with their directions, in words."""
    (low, softest), (high, stiffest) = extremes
    if high / low < 1 + 1e-4:
        return f"E = {high:,.4g} {unit} in every direction"
    return (
        f"min {low:,.4g} along {direction_text(softest)}; "
        f"max {high:,.4g} along {direction_text(stiffest)}; ratio {high / low:.3g}"
    )


def direction_text(n):
    """A direction in brackets: whole numbers where it has some, else the unit vector."""
    n = n * np.sign(n[np.argmax(np.abs(n) > 1e-3)])
    whole = n / np.abs(n).max()
    if np.abs(whole - np.rint(whole)).max() < 1e-3:
        return "[" + " ".join(f"{round(c)}" for c in whole) + "]"
    return "(" + ", ".join(f"{c:.2f}" for c in n) + ")"
