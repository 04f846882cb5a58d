"""Fields of a solved cell as a VTKHDF file, which ParaView and VTK open as image data.

References
----------
VTK documentation, VTKHDF file format specification, section Image Data.
"""

import io

import h5py
import numpy as np

from homog.cell import load_path
from homog.element import VOIGT
from homog.errors import ParameterError
from homog.files import write_atomically

TENSOR = (0, 1, 2, 5, 3, 4)  # VTK has symmetric tensors as XX, YY, ZZ, XY, YZ, XZ


def parse_strain(text):
    """Six numbers separated by commas as a mean strain.

    Parameters
    ----------
    text : str
        Voigt order 11, 22, 33, 23, 13, 12, engineering shear.

    Returns
    -------
    (6,) array

    Raises
    ------
    ParameterError
        If these are not six finite numbers, or all of them are 0.
    """
    try:
        strain = np.array([float(word) for word in text.split(",")])
    except ValueError:
        strain = np.empty(0)
    if strain.shape != (6,) or not np.isfinite(strain).all() or not strain.any():
        raise ParameterError(
            "strain must be six numbers like 1,0,0,0,0,0 (order 11, 22, 33, 23, 13, 12), not all "
            f"of them 0; got {text!r}"
        )
    return strain


def cell_fields(result, voxels, strain):
    """Displacement, strain, stress and energy of a cell under a mean strain.

    Fields of a voxel are averages over it: for the strain, its value in the centre. In void the
    strain is that of the nodes around, the rest is 0; parts that float free have no stress, and
    components of the strain that nothing resists cause none. The averages of strain and stress over
    the cell are the mean strain and ``C @ strain``, that of the energy density is half of ``strain
    @ C @ strain``; stress to the first order of the error of the displacement only, whose square is
    the error of C.

    Parameters
    ----------
    result : Homogenization
        Solved with ``fields=True`` and a homogeneous solid.
    voxels : (nx, ny, nz) bool array
    strain : (6,) array
        Voigt order 11, 22, 33, 23, 13, 12, engineering shear.

    Returns
    -------
    dict of array
        ``displacement`` (3, nx + 1, ny + 1, nz + 1) in edges of a voxel; ``strain, stress``
        (6, nx, ny, nz) in Voigt order, stress and ``energy`` (nx, ny, nz), per volume, in the unit
        of E; ``solid`` (nx, ny, nz) bool.
    """
    carrying = load_path(voxels).solid
    carried = result.fields.resisted(strain)
    resisted = _strain(result.fields.displacement(carried))
    stress = np.einsum("ij,jxyz->ixyz", result.material.stiffness, resisted) * carrying
    twice = result.fields.energy_derivative(np.outer(strain, strain)) * voxels.size
    return {
        "displacement": result.fields.displacement(strain),
        "strain": resisted + np.reshape(strain - carried, (6, 1, 1, 1)),  # the rest is uniform
        "stress": stress,
        "energy": twice / 2 * carrying,
        "solid": voxels,
    }


def _strain(u):
    """Strain in the centre of each voxel, Voigt, (6, nx, ny, nz), of displacements of nodes."""
    gradient = np.array([[_slope(u[i], j) for j in range(3)] for i in range(3)])
    return np.array(
        [gradient[i, j] if i == j else gradient[i, j] + gradient[j, i] for i, j in VOIGT]
    )


def _slope(values, axis):
    """Derivative along an axis in the centres of voxels, of values at the nodes."""
    for other in range(3):
        ahead = np.delete(values, 0, other)
        behind = np.delete(values, -1, other)
        values = ahead - behind if other == axis else (ahead + behind) / 2
    return values


def write_fields(path, fields):
    """Write the fields of a cell as VTKHDF image data.

    The edge of a voxel has length 1. Strain and stress are symmetric tensors in VTK's order XX,
    YY, ZZ, XY, YZ, XZ; the shear strains there are those of the tensor, half of the engineering
    ones. Numbers have single precision.

    Parameters
    ----------
    path : str or Path
    fields : dict
        From ``cell_fields``.

    Raises
    ------
    OSError
        If writing fails; an old file is then still there.
    """
    halves = np.array([1, 1, 1, 0.5, 0.5, 0.5]).reshape(6, 1, 1, 1)
    tensors = {"strain": fields["strain"] * halves, "stress": fields["stress"]}
    points = {"displacement": _components_last(fields["displacement"])}
    cells = {name: _components_last(tensor[list(TENSOR)]) for name, tensor in tensors.items()}
    cells["strain energy density"] = fields["energy"].T.astype(np.float32)
    cells["solid"] = fields["solid"].T.astype(np.uint8)
    write_atomically(path, _image(fields["solid"].shape, points, cells))


def _components_last(values):
    """(components, x, y, z) as VTK has it: (z, y, x, components)."""
    return values.T.astype(np.float32)


def _image(shape, points, cells):
    """Bytes of a VTKHDF file."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        root = file.create_group("VTKHDF")
        root.attrs["Version"] = np.array([1, 0])  # has all that is needed: any reader knows it
        root.attrs["Type"] = np.bytes_("ImageData")  # of fixed length and ASCII, or it is refused
        root.attrs["WholeExtent"] = np.array([(0, n) for n in shape]).ravel()
        root.attrs["Origin"] = np.zeros(3)
        root.attrs["Spacing"] = np.ones(3)
        root.attrs["Direction"] = np.eye(3).ravel()
        for group, arrays in (("PointData", points), ("CellData", cells)):
            for name, values in arrays.items():
                root.create_dataset(
                    f"{group}/{name}", data=values, compression="gzip", compression_opts=4,
                    shuffle=True, track_times=False,
                )  # fmt: skip
    return stream.getbuffer()
