"""What a user should know about a cell or a material: coded warnings."""

from dataclasses import dataclass

import numpy as np

from homog.cell import AXES

LOCKING = 0.49  # Poisson's ratio from which 8-node hexahedra lock noticeably


@dataclass(frozen=True)
class Finding:
    """A warning: a stable ``code`` for programs, a ``message`` for people."""

    code: str
    message: str


MECHANISM = Finding(
    "mechanism",
    "C is singular to within its accuracy: the cell has a way to deform without stress, so it has "
    "no directional constants",
)

FALLBACK = Finding(
    "fallback",
    "multigrid converged too slowly, so the assembled path (amg) solved the cell; parts that hang "
    "by edges or corners are the usual cause",
)


def material_findings(material):
    """Findings on an ``Isotropic`` solid, as a list."""
    if material.nu < 0:
        return [Finding("auxetic-solid", f"the solid itself is auxetic, nu = {material.nu:g}")]
    if material.nu >= LOCKING:
        message = (
            f"nearly incompressible solid, nu = {material.nu:g}: trilinear voxels are too stiff"
        )
        return [Finding("locking", message)]
    return []


def cell_findings(voxels, path):
    """Findings on the geometry of a cell and its ``LoadPath``, as a list."""
    if not voxels.any():
        return [Finding("void", "no solid voxel: every constant is 0"), *_box_findings(voxels)]
    if voxels.all():
        return [
            Finding("solid", "no void voxel: the solid's own constants"),
            *_box_findings(voxels),
        ]
    return [*_load_findings(voxels, path), *_contact_findings(path), *_box_findings(voxels)]


def _load_findings(voxels, path):
    """Axes without load path, fragments, walls of one voxel."""
    findings = []
    unspanned = [name for name, spans in zip(AXES, path.spans, strict=True) if not spans]
    if unspanned:
        message = (
            f"nothing connects the cell along {', '.join(unspanned)}: the stiffness there is 0"
        )
        findings.append(Finding("unspanned-axis", message))
    dropped = np.count_nonzero(voxels) - np.count_nonzero(path.solid)
    if dropped:
        share = f"({dropped / np.count_nonzero(voxels):.2%})"
        message = f"{dropped} solid voxels {share} float free, carry no load and were dropped"
        if dropped == 1:
            message = f"1 solid voxel {share} floats free, carries no load and was dropped"
        findings.append(Finding("floating", message))
    thin = _thin_voxels(voxels)
    if thin:
        stand = "1 solid voxel stands" if thin == 1 else f"{thin} solid voxels stand"
        message = (
            f"{stand} in walls or struts one voxel thick, which are too stiff in bending; "
            "refine the grid"
        )
        findings.append(Finding("one-voxel-feature", message))
    return findings


def _thin_voxels(voxels):
    """Number of solid voxels with void on both sides along some axis."""
    thin = np.zeros_like(voxels)
    for axis in range(3):
        thin |= voxels > (np.roll(voxels, 1, axis) | np.roll(voxels, -1, axis))
    return np.count_nonzero(thin)


def _contact_findings(path):
    """Contacts that are hinges, and contacts that only periodicity makes."""
    findings = []
    if path.parts > path.components:
        message = (
            f"{path.parts} parts meet only at edges or corners of voxels: hinges, whose stiffness "
            "depends on the grid"
        )
        findings.append(Finding("hinge", message))
    if path.pieces > path.parts:
        message = f"{path.pieces} pieces in the box connect only through its periodic faces"
        findings.append(Finding("periodic-contact", message))
    return findings


def _box_findings(voxels):
    """Unusual boxes."""
    findings = []
    shape = " x ".join(map(str, voxels.shape))
    if min(voxels.shape) == 1:
        findings.append(Finding("one-voxel-box", f"the box {shape} is one voxel thick"))
    if len(set(voxels.shape)) > 1:
        message = f"the box {shape} is not a cube: the nearest cubic constants mean little"
        findings.append(Finding("box-not-cubic", message))
    return findings
