"""CPU time, peak memory and error of homog, and of muGrid where it is installed.

    python benchmarks/solver.py [--units octet gyroid_sheet ...] [--tol 1e-6]

Every solve runs on one thread in a process of its own, after a warm-up on a small cell of the
same process (compiled kernels, libraries); codes take turns on each unit, so that a change of
the machine's speed meets both. The peak is that of the whole process. Errors are those of C
relative to its largest entry, against tests/data/shipped_units.json.
"""

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
UNITS = ROOT / "examples" / "units"
EXPECTED = json.loads((ROOT / "tests" / "data" / "shipped_units.json").read_text())
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def solve_with_amg(voxels, tol):
    """(C, iterations summed over the loads) by homog's assembled path."""
    from homog import Isotropic, homogenize

    solid = Isotropic(EXPECTED["E"], EXPECTED["nu"])
    result = homogenize(voxels, solid, tol=tol, method="amg", threads=1)
    return result.C, sum(result.solver.iterations)


def solve_with_mugrid(voxels, tol):
    """(C, iterations summed over the loads) by muGrid to the same relative residual."""
    from mugrid_reference import effective_tensor

    reference = effective_tensor(voxels, EXPECTED["E"], EXPECTED["nu"], tol)
    return reference.C, reference.iterations


CODES = {"amg": solve_with_amg, "muGrid": solve_with_mugrid}


def measure(code, unit, tol):
    """Solve one unit in this process and return what it took."""
    CODES[code](np.load(UNITS / f"{unit}.npy")[::4, ::4, ::4], 1e-3)  # warm-up
    voxels = np.load(UNITS / f"{unit}.npy")
    start = time.process_time()
    C, iterations = CODES[code](voxels, tol)
    seconds = time.process_time() - start
    expected = np.array(EXPECTED["units"][unit]["C"])
    return {
        "cpu": seconds,
        "iterations": int(iterations),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,  # KiB on Linux
        "error": float(np.abs(C - expected).max() / np.abs(expected).max()),
    }


def measured_apart(code, unit, tol):
    """``measure`` in a process of its own."""
    command = [sys.executable, __file__, "--measure", code, unit, "--tol", str(tol)]
    environment = {**os.environ, **ONE_THREAD}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", nargs="+", default=sorted(EXPECTED["units"]))
    parser.add_argument("--tol", type=float, default=1e-6)
    parser.add_argument("--measure", nargs=2, metavar=("CODE", "UNIT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure, options.tol)))
        return
    codes = [code for code in CODES if code == "amg" or importlib.util.find_spec("muGrid")]
    print("| unit | code | CPU s | iterations | peak MB | error of C | times amg |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for unit in options.units:
        found = {code: measured_apart(code, unit, options.tol) for code in codes}
        for code, row in found.items():
            ratio = row["cpu"] / found["amg"]["cpu"]
            print(
                f"| {unit} | {code} | {row['cpu']:.2f} | {row['iterations']} | {row['peak']:.0f} "
                f"| {row['error']:.1e} | {ratio:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
