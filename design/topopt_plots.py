"""Pictures of topology optimizations. Need the extra ``view``."""

import matplotlib

matplotlib.use("Agg")  # draws into files, needs no screen

import matplotlib.pyplot as plt

from design.topopt_model import COLUMNS
from homog.view import tiles

COLOUR = "#4db6a0"


def delivered_cells(designs, objective, progress=None):
    """Delivered cells side by side, with their start and objective; closed ones cut in half.

    Parameters
    ----------
    designs : list of Design
    objective : ElasticObjective
    progress : callable, optional
        Called for each cell.

    Returns
    -------
    matplotlib.figure.Figure
    """
    captions = [f"{d.start}  {objective} = {d.objective:.4g}" for d in designs]
    cells = ((_shown(design), COLOUR) for design in designs)
    return tiles(cells, captions, min(len(designs), 4), 2, progress)


def _shown(design):
    """A cell, or that half of one with closed voids whose cut faces the viewer."""
    voxels = design.voxels
    return voxels if design.open_cell else voxels[:, voxels.shape[1] // 2 :]


def convergence(designs, objective):
    """Objective and discreteness over the iterations of each start.

    The objective jumps where the projection gets steeper. Dots are the delivered cells.

    Parameters
    ----------
    designs : list of Design
    objective : ElasticObjective

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, (values, grey) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for design in designs:
        column = dict(zip(COLUMNS, design.history.T, strict=True))
        (line,) = values.plot(column["iteration"], column["objective"], lw=1.2)
        end = len(design.history)
        values.plot(end, design.objective, "o", ms=4, color=line.get_color())
        grey.semilogy(column["iteration"], column["discreteness"], lw=1.2, label=str(design.start))
    values.set(xlabel="iteration", ylabel=str(objective))
    grey.set(xlabel="iteration", ylabel="4 rho (1 - rho), mean of the cell")
    for axes in (values, grey):
        axes.grid(alpha=0.3)
    grey.legend(fontsize=8)
    return figure
