"""How the solid of a cell is stressed: one number for each voxel, and for points of its surface."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from homog.homogenization import homogenize
from homog.vtkhdf import cell_fields

STRAINS = {  # mean strains of size 1; of the volume: its relative change
    **dict(zip(("xx", "yy", "zz", "yz", "xz", "xy"), np.eye(6), strict=True)),
    "volume": np.array([1, 1, 1, 0, 0, 0]) / 3,
}
QUANTITIES = {"energy": "strain energy density", "mises": "von Mises stress"}
SMOOTHING = 1.0  # voxels, standard deviation
ROBUST = 99  # percentile of the solid that a scale of colours ends at


@dataclass(frozen=True)
class VoxelField:
    """A positive quantity in the voxels of a cell.

    ``values`` (nx, ny, nz) are averages over each voxel, 0 in void; ``solid`` (nx, ny, nz) bool.
    ``name`` and ``unit`` say what they are.
    """

    values: np.ndarray
    solid: np.ndarray
    name: str
    unit: str = "unit of E"

    @property
    def maximum(self):
        """Largest value."""
        return float(self.values.max())

    @property
    def limit(self):
        """What only one in a hundred voxels of the solid exceeds."""
        return float(np.percentile(self.values[self.solid], ROBUST))

    def inside(self, points):
        """Value of the voxel that each point lies in; points (n, 3) in voxels, periodic."""
        places = np.floor(points).astype(int) % self.values.shape
        return self.values[tuple(places.T)]

    def near(self, points):
        """Smoothed value at points (n, 3) in or next to the solid.

        A Gaussian average over solid voxels alone, then linear interpolation: what the steps of
        the voxels do to single ones goes, as it does from a smooth surface.
        """
        weight = gaussian_filter(self.solid.astype(float), SMOOTHING, mode="wrap")
        values = gaussian_filter(self.values * self.solid, SMOOTHING, mode="wrap")
        nearest = _nearest(self.solid)
        filled = values[nearest] / weight[nearest]
        return map_coordinates(filled, points.T - 0.5, order=1, mode="grid-wrap")


def stressed(voxels, material, quantity, strain, **options):
    """Energy or stress in each voxel of a cell under a unit strain.

    Parameters
    ----------
    voxels : (nx, ny, nz) bool array
    material : Isotropic
    quantity : {"energy", "mises"}
        Strain energy density, whose mean over the cell is half of the entry of C that belongs to
        the strain (for the volume half of its bulk modulus), or von Mises stress of the mean
        stress of the voxel.
    strain : str
        Key of ``STRAINS``.
    **options
        Of ``homogenize``.

    Returns
    -------
    VoxelField

    Raises
    ------
    HomogError
        As ``homogenize``.
    """
    result = homogenize(voxels, material, fields=True, **options)
    fields = cell_fields(result, voxels, STRAINS[strain])
    values = fields["energy"] if quantity == "energy" else von_mises(fields["stress"])
    of = "volumetric strain" if strain == "volume" else f"strain {strain}"
    return VoxelField(values, voxels, f"{QUANTITIES[quantity]} at unit {of}")


def von_mises(stress):
    """Von Mises stress of stresses (6, ...) in Voigt order."""
    normal, shear = stress[:3], stress[3:]
    differences = normal - np.roll(normal, 1, axis=0)
    return np.sqrt((differences**2).sum(axis=0) / 2 + 3 * (shear**2).sum(axis=0))


def _nearest(solid):
    """Places of the solid voxel nearest to each voxel, across the faces of the cell."""
    margin = 3  # voxels; a surface is nearer to its solid
    wide = np.pad(~solid, margin, mode="wrap")
    places = distance_transform_edt(wide, return_distances=False, return_indices=True)
    inner = places[(slice(None), *(slice(margin, -margin),) * 3)]
    return tuple((of - margin) % n for of, n in zip(inner, solid.shape, strict=True))
