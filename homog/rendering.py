"""Surfaces with shadows and soft light, drawn by VTK. Needs the extra ``pyvista``.

VTK ends the whole process where it finds no graphics library, so it runs in one of its own:
``python -m homog.rendering IN.npz OUT.npy``.
"""

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from homog.errors import HomogError, ParameterError
from homog.files import write_arrays

KEY, FILL = (-0.35, 0.65, 0.65), (0.9, 0.2, 0.5)  # to the lamps: right, up, towards the viewer
DISTANCE = 8  # of the viewer, in diagonals of the box
PIXELS = 1160  # along each edge of the image
TIME = 600  # seconds


def rendered(mesh, colours, box, frame, contrast=1.0):
    """Image of a surface.

    Parameters
    ----------
    mesh : (vertices, faces)
    colours : (m, 3) array
        Of the triangles, without light.
    box : tuple
        Lengths of the block around the surface.
    frame : (3, 3) array
        Directions to the right, upwards and towards the viewer as rows.
    contrast : float
        Of light and shade; with 0 the colours stay as they are.

    Returns
    -------
    (PIXELS, PIXELS, 3) uint8 array
        On white.

    Raises
    ------
    ParameterError
        If pyvista is missing.
    HomogError
        If it finds no graphics library.
    """
    if find_spec("pyvista") is None:
        raise ParameterError("pyvista is not installed; pip install 'homog-toolkit[pyvista]'")
    with tempfile.TemporaryDirectory(prefix="homog-") as folder:
        given, drawn = Path(folder, "in.npz"), Path(folder, "out.npy")
        scene = {"box": box, "frame": frame, "contrast": contrast, "colours": colours}
        write_arrays(given, {"vertices": mesh[0], "faces": mesh[1], **scene})
        command = [sys.executable, "-m", "homog.rendering", str(given), str(drawn)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIME)
        if done.returncode or not drawn.exists():
            raise HomogError(_reason(done))
        return np.load(drawn, allow_pickle=False)


def _reason(done):
    """What to do where VTK drew nothing."""
    if done.returncode > 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return f"pyvista could not draw: {last}; leave --renderer out to draw with matplotlib"
    return (
        "VTK found no graphics library and ended; install libegl1 with libgl1-mesa-dri, or "
        "libosmesa6 (apt install), or leave --renderer out to draw with matplotlib"
    )


def draw(scene):
    """Draw a scene, see ``rendered``, in this process."""
    import pyvista

    vertices, faces = scene["vertices"], scene["faces"]
    frame, contrast = scene["frame"], float(scene["contrast"])
    centre, diagonal = scene["box"] / 2, np.linalg.norm(scene["box"])
    plotter = pyvista.Plotter(off_screen=True, window_size=(PIXELS, PIXELS), lighting="none")
    plotter.set_background("white")
    triangles = np.column_stack([np.full(len(faces), 3), faces])
    surface = pyvista.PolyData(vertices, triangles.ravel())
    surface.cell_data["colour"] = np.rint(255 * scene["colours"]).astype(np.uint8)
    plotter.add_mesh(
        surface, scalars="colour", rgb=True, smooth_shading=True, split_sharp_edges=True,
        feature_angle=35, ambient=1 - 0.55 * contrast, diffuse=0.7 * contrast,
        specular=0.1 * contrast, specular_power=12,
    )  # fmt: skip
    for lamp, intensity in ((KEY, 0.85), (FILL, 0.3)):
        position = centre + 10 * diagonal * (frame.T @ lamp)
        plotter.add_light(pyvista.Light(position=position, focal_point=centre, intensity=intensity))
    half = (np.abs(frame[:2]) @ scene["box"]).max() / 2
    plotter.camera.focal_point = centre
    plotter.camera.position = centre + DISTANCE * diagonal * frame[2]
    plotter.camera.up = frame[1]
    plotter.camera.view_angle = np.degrees(2 * np.arctan(half / 0.94 / (DISTANCE * diagonal)))
    plotter.enable_ssao(radius=0.12 * diagonal, bias=0.004 * diagonal, kernel_size=128)
    plotter.enable_anti_aliasing("ssaa")
    return plotter.screenshot(None, return_img=True)


if __name__ == "__main__":
    with np.load(sys.argv[1], allow_pickle=False) as _scene:
        np.save(sys.argv[2], draw(dict(_scene)))
