"""Solve two shipped units of equal density and compare their stiffness.

python examples/01_solve.py
"""

from pathlib import Path

import homog

UNITS = Path(__file__).parent / "units"
SOLID = homog.Isotropic(E=70e3, nu=0.33)  # aluminium, in MPa: so are all moduli below


def solve(name):
    """Effective constants of a shipped unit."""
    voxels = homog.read_array(UNITS / f"{name}.npy")  # (48, 48, 48), True = solid
    return homog.homogenize(voxels, SOLID)


def main():
    octet, bcc = solve("octet"), solve("bcc")

    print("            octet      bcc")
    print(f"density  {octet.volume_fraction:8.4f} {bcc.volume_fraction:8.4f}")
    for name in ("E", "nu", "G", "K", "zener"):
        print(f"{name:8} {getattr(octet, name):8.5g} {getattr(bcc, name):8.5g}")
    # K_upper: no unit of this density and solid can resist pressure better
    print(f"K/K_HS   {octet.K / octet.K_upper:8.4f} {bcc.K / bcc.K_upper:8.4f}")

    print("\nC of the octet truss, order 11, 22, 33, 23, 13, 12:")
    print(octet.C.round().astype(int))
    print(f"known to {octet.solver.error:.0e} of its largest entry")

    # struts along <110> resist tension along the axes, struts along <111> resist shear
    print(f"\noctet / bcc: E {octet.E / bcc.E:.2f}, G {octet.G / bcc.G:.2f}")


if __name__ == "__main__":
    main()
