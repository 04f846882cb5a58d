"""Draw unit cells side by side as shaded surfaces.

pip install "homog-toolkit[view]"
python examples/draw_units.py -o docs/images/units.png
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from homog.view import draw_unit, save_figure

FOLDER = Path(__file__).parent / "units"


class Exhibit(NamedTuple):
    """How one unit is shown."""

    title: str
    colour: str
    blur: float = 1.2  # voxels
    shift: float = 0.0  # of the cell, along each axis


GALLERY = {
    "octet": Exhibit("Octet truss", "#5b9bd5"),
    "bcc": Exhibit("Body-centred struts", "#4db6a0"),
    "schwarz_p_sheet": Exhibit("Schwarz P sheet", "#f0b84c"),
    "gyroid_sheet": Exhibit(
        "Gyroid sheet", "#e8806a", shift=3 / 8
    ),  # cut so that no corner comes off
    # thin plates do not survive more blur, and half a cell further on we see into them
    "plate_sc_fcc": Exhibit("Cubic + octet plates", "#a48ad4", blur=0.6, shift=0.5),
}


def draw_gallery(folder):
    """Figure of the units of ``GALLERY``, with titles and densities below.

    Parameters
    ----------
    folder : pathlib.Path
        Holds one boolean .npy array per unit.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = plt.figure(figsize=(16, 3.9), facecolor="white")
    width = 1 / len(GALLERY)
    for column, (name, exhibit) in enumerate(GALLERY.items()):
        voxels = np.load(folder / f"{name}.npy", allow_pickle=False)
        shift = [round(exhibit.shift * n) for n in voxels.shape]
        axes = figure.add_axes((column * width, 0.17, width, 0.83), projection="3d")
        draw_unit(axes, np.roll(voxels, shift, axis=(0, 1, 2)), exhibit.colour, exhibit.blur)
        _caption(figure, (column + 0.5) * width, exhibit.title, voxels.mean())
    return figure


def _caption(figure, centre, title, density):
    figure.text(centre, 0.115, title, ha="center", fontsize=16, color="#222222")
    figure.text(centre, 0.035, f"density {density:.2f}", ha="center", fontsize=13, color="#777777")


def main():
    parser = argparse.ArgumentParser(description="Draw the example units side by side.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="where the units are")
    parser.add_argument("-o", "--output", type=Path, default=Path("units.png"), help="picture")
    args = parser.parse_args()
    save_figure(draw_gallery(args.folder), args.output)


if __name__ == "__main__":
    main()
