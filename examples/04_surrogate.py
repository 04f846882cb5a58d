"""Properties of two units and of one between them from the surrogate, beside finite elements.

python examples/04_surrogate.py
"""

from pathlib import Path

import numpy as np

import homog
import learn
from homog.units.family import unfold

UNITS = Path(__file__).parent / "units"
SOLID = homog.Isotropic(E=70e3, nu=0.33)  # aluminium, in MPa: what the surrogate was trained on


def main():
    surrogate = learn.Surrogate.load()  # the one that comes with the package
    cells = [homog.read_array(UNITS / f"{name}.npy") for name in ("octet", "schwarz_p_sheet")]
    n = surrogate.architecture.octant
    ends = surrogate.encode(np.array(cells)[:, :n, :n, :n])
    z = learn.slerp(*ends, np.array([0.0, 0.5, 1.0]))

    decoded = unfold(surrogate.decode(z) >= 0.5)
    predicted = surrogate.predict_with_uncertainty(z)
    print("            density  property  predicted  aleatoric  epistemic  finite elements")
    for i, name in enumerate(("octet", "in between", "Schwarz P")):
        solved = homog.homogenize(decoded[i], SOLID, tol=1e-5)
        for target, of in predicted.items():
            print(
                f"{name:<12}{solved.volume_fraction:7.3f}  {target:<8}{of.mean[i]:>11.4g}"
                f"{of.aleatoric[i]:>11.2g}{of.epistemic[i]:>11.2g}"
                f"{getattr(solved, target):>17.4g}"
            )


if __name__ == "__main__":
    main()
