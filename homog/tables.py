"""A result as text for people and as plain data for programs."""

import dataclasses
import math

import numpy as np

from homog import __version__
from homog.properties import COMPONENTS
from homog.symmetry import AXES


def result_dict(result, scatter=None):
    """Numbers, strings, lists and dicts of a ``Homogenization``, ready for JSON."""
    solver = dataclasses.asdict(result.solver)
    return _plain(
        {
            "shape": result.shape,
            "volume_fraction": result.volume_fraction,
            "material": dataclasses.asdict(result.material),
            "C": result.C,
            **{name: getattr(result, name) for name in ("E", "G", "nu", "K", "zener")},
            "cubic_deviation": result.cubic_deviation,
            "directional": result.directional,
            "bounds": {"K_upper": result.K_upper, "G_upper": result.G_upper},
            "sensitivity": result.derivatives,
            "symmetry": {"order": result.symmetry.order, "mirrors": result.symmetry.mirrors},
            "spans": dict(zip(AXES, result.spans, strict=True)),
            "dropped": result.dropped,
            "solver": solver,
            **({} if scatter is None else {"scatter": _scatter(result, scatter)}),
            "warnings": [dataclasses.asdict(finding) for finding in result.warnings],
            "version": __version__,
        }
    )


def _scatter(result, relative):
    return {"relative": relative, **result.scatter(relative)}


def _plain(value):
    """Nested lists and dicts of Python scalars; NaN becomes None."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def result_table(result, name="", scatter=None):
    """A ``Homogenization`` as lines of text, at most 80 characters wide but for warnings.

    Parameters
    ----------
    result : Homogenization
    name : str
        Stands at the head of the table, for instance a file name.
    scatter : float, optional
        Relative standard deviation of the solid's E and nu, whose effect is shown.
    """
    box = " x ".join(map(str, result.shape))
    head = f"{box} voxels, density {result.volume_fraction:.4f}"
    blocks = [
        [f"{name}: {head}" if name else head],
        _scalars(result, scatter),
        _stiffness(result.C, result.solver.error),
        _directional(result.directional),
        _conditions(result),
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


def _number(value, figures=6):
    """Significant digits, with an exponent for very large and small values; a dash if undefined."""
    if value is None or math.isnan(value):
        return "-"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if not -5 < magnitude < 6:
        return f"{value:.{figures - 2}e}"
    return f"{value:.{max(0, figures - 1 - magnitude)}f}"


def _ratio(value, bound):
    return f"{value / bound:.4f}" if bound else "-"


def _scalars(result, scatter):
    """The constants of the nearest cubic tensor beside what they are measured by."""
    names = ("E", "G", "nu", "K")
    left = [_number(getattr(result, name)) for name in names]
    if scatter is not None:
        deviations = result.scatter(scatter)
        left = [
            f"{value} ± {_number(deviations[name], 3)}"
            for value, name in zip(left, names, strict=True)
        ]
    right = [
        ("K / K_HS", _ratio(result.K, result.K_upper)),
        ("G / G_HS", _ratio(result.G, result.G_upper)),
        ("Zener ratio", _number(result.zener)),
        ("distance from cubic", _distance(result.cubic_deviation, result.solver.error)),
    ]
    width = max(12, *(len(value) + 2 for value in left))
    return [
        f"  {name:<4}{value:>{width}}      {other:<20}{measure:>12}"
        for name, value, (other, measure) in zip(names, left, right, strict=True)
    ]


def _distance(deviation, error):
    """Deviation from cubic, as far as it can be told from the error."""
    if math.isnan(deviation):
        return "-"
    smallest = max(error, 1e-12)
    return f"{deviation:.1e}" if deviation > smallest else f"< {smallest:.0e}"


def _stiffness(C, error):
    """The effective stiffness; what cannot be told from 0 is shown as 0."""
    shown = np.where(np.abs(C) > max(error, 1e-12) * np.abs(C).max(), C, 0.0)
    header = "  C   " + "".join(f"{name:>12}" for name in COMPONENTS)
    rows = [
        f"  {name:<4}" + "".join(f"{_number(value) if value else '0':>12}" for value in row)
        for name, row in zip(COMPONENTS, shown, strict=True)
    ]
    return [header, *rows]


def _directional(constants):
    """Constants along the axes, from the inverse of C."""
    if constants is None:
        return ["  no directional constants: C is singular"]
    nu = constants["nu"]
    pairs = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)]
    return [
        _line([f"E{i}" for i in "123"] + [f"G{ij}" for ij in COMPONENTS[3:]]),
        _line(map(_number, [*constants["E"], *constants["G"]])),
        _line([f"nu{i + 1}{j + 1}" for i, j in pairs]),
        _line(_number(nu[pair]) for pair in pairs),
    ]


def _line(entries):
    return " " * 6 + "".join(f"{entry:>12}" for entry in entries)


def _conditions(result):
    """Under which conditions the numbers above hold."""
    solver, symmetry = result.solver, result.symmetry
    mirrors = f", mirrors {symmetry.mirrors}" if symmetry.mirrors else ""
    lines = [
        f"  solid     E = {result.material.E:g}, nu = {result.material.nu:g}",
        f"  symmetry  {symmetry.order} of 48 operations{mirrors}",
        f"  solver    {solver.method}: {max(solver.iterations)} iterations, "
        f"{solver.seconds:.2f} s, error {solver.error:.0e} (tol {solver.tol:g})",
    ]
    if solver.loads:
        part = f"1/{2 ** len(solver.mirrors)} of the cell" if solver.mirrors else "the whole cell"
        lines.append(
            f"  solved    {len(solver.loads)} of 6 unit strains on {part}, "
            f"{solver.unknowns} unknowns"
        )
    lines += [f"  warning   {finding.code}: {finding.message}" for finding in result.warnings]
    return lines
