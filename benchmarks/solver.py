"""CPU time, peak memory and error of the solver, and of muGrid where it is installed.

    python benchmarks/solver.py [TABLE ...]

Tables: general (48^3 cells, six loads, no symmetry used), cubic (a hundred cubic units to 1e-5),
size (48^3 to 192^3), threads (beside two solves at once), apply (the stiffness alone, beside a
triad); all but size if none is named. Each solve runs in a process of its own on one thread,
after a warm-up on a cell of the same shape (compiled kernels, libraries); codes take turns, so
that a change of the machine's speed meets all of them. The peak is that of the whole process.
Errors are those of C relative to its largest entry, against homog at tol=1e-10, which
tests/test_reference.py holds to other codes.
muGrid stops at a relative residual of 1e-6 (of 1e-5 for the cubic units).
"""

import argparse
import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from cells import cell

E, NU = 70e3, 0.33
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
GENERAL = ("octet:48", "bcc:48", "schwarz_p_sheet:48", "gyroid_sheet:48", "spinodal:48")
EXACT = 1e-10


def by_homog(voxels, tol, **options):
    """(C, iterations summed over the loads that were solved) by homog."""
    from homog import Isotropic, homogenize
    from homog.properties import COMPONENTS

    options.setdefault("threads", 1)
    result = homogenize(voxels, Isotropic(E, NU), tol=tol, **options)
    loads = [COMPONENTS.index(name) for name in result.solver.loads]
    return result.C, sum(result.solver.iterations[load] for load in loads)


def by_mugrid(voxels, tol):
    """(C, iterations summed over the loads) by muGrid to the same relative residual."""
    from mugrid_reference import effective_tensor

    reference = effective_tensor(voxels, E, NU, tol)
    return reference.C, reference.iterations


CODES = {
    "multigrid": lambda v, tol: by_homog(v, tol, method="multigrid", use_symmetry=False),
    "amg": lambda v, tol: by_homog(v, tol, method="amg", use_symmetry=False),
    "default": by_homog,
    "two threads": lambda v, tol: by_homog(v, tol, threads=2, use_symmetry=False),
    "muGrid": by_mugrid,
}


def measure(code, name, tol, runs):
    """Solve a cell in this process; what the fastest of the runs took."""
    voxels, found = cell(name), []
    CODES[code](voxels, 0.5)  # warm-up
    for _ in range(runs):
        start, wall = time.process_time(), time.perf_counter()
        C, iterations = CODES[code](voxels, tol)
        found.append((time.process_time() - start, time.perf_counter() - wall))
    return {
        "cpu": min(cpu for cpu, _ in found),
        "wall": min(wall for _, wall in found),
        "iterations": int(iterations),
        "peak": peak_memory(),
        "C": np.asarray(C).tolist(),
    }


def peak_memory():
    """MB of 2^20 bytes; unlike that of ``getrusage`` not that of the process that started this."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) / 1024


def measured_apart(code, name, tol, runs=1):
    """``measure`` in a process of its own."""
    return measured_at_once(code, name, tol, runs, processes=1)[0]


def measured_at_once(code, name, tol, runs, processes):
    """``measure`` in several processes side by side."""
    command = [sys.executable, __file__, "--measure", code, name, str(tol), str(runs)]
    options = {"env": {**os.environ, **ONE_THREAD}, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, **options) for _ in range(processes)]
    printed = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise SystemExit(f"{name} failed, see above")
    return [json.loads(text) for text in printed]


def error(found, exact):
    """Largest error of an entry of C, relative to the largest entry."""
    return np.abs(np.subtract(found["C"], exact["C"])).max() / np.abs(exact["C"]).max()


def rivals():
    """muGrid, where it is installed."""
    return ["muGrid"] if importlib.util.find_spec("muGrid") else []


def general():
    """Six loads of 48^3 cells to 1e-6, with no symmetry used."""
    print("| cell | code | CPU s | iterations | peak MB | error of C | of muGrid's time |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in GENERAL:
        exact = measured_apart("default", name, EXACT)
        codes = ["multigrid", "amg", *rivals()]
        found = {code: measured_apart(code, name, 1e-6) for code in codes}
        for code, row in found.items():
            ratio = f"1/{found['muGrid']['cpu'] / row['cpu']:.1f}" if rivals() else "-"
            print(
                f"| {name} | {code} | {row['cpu']:.2f} | {row['iterations']} | {row['peak']:.0f} "
                f"| {error(row, exact):.0e} | {ratio} |",
                flush=True,
            )


def measure_cubic(count, step):
    """CPU time of each cubic unit to 1e-5 in this process, and of muGrid on every so many."""
    rows = []
    for number in range(count):
        voxels = cell(f"cubic:{number}")
        if number == 0:
            by_homog(voxels, 0.5)
        seconds = []
        for _ in range(3):
            start = time.process_time()
            C, iterations = by_homog(voxels, 1e-5)
            seconds.append(time.process_time() - start)
        row = {"number": number, "cpu": statistics.median(seconds), "iterations": int(iterations)}
        exact, _ = by_homog(voxels, EXACT)
        row["error"] = float(np.abs(C - exact).max() / np.abs(exact).max())
        if number % step == 0 and rivals():
            start = time.process_time()
            by_mugrid(voxels, 1e-5)
            row["muGrid"] = time.process_time() - start
        rows.append(row)
    return rows


def cubic(count=100, step=9):
    """A hundred cubic units of 48^3 to 1e-5, symmetry used; muGrid on every ninth."""
    command = [sys.executable, __file__, "--measure-cubic", str(count), str(step)]
    done = subprocess.run(
        command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, text=True, check=True
    )
    rows = json.loads(done.stdout)
    cpu = sorted(1e3 * row["cpu"] for row in rows)
    print(f"{count} cubic units, CPU ms each: ", end="")
    print(f"median {statistics.median(cpu):.1f}, 10 % {cpu[len(cpu) // 10]:.1f}, ", end="")
    print(f"90 % {cpu[-len(cpu) // 10]:.1f}, most {cpu[-1]:.1f}; ", end="")
    print(f"largest error of C {max(row['error'] for row in rows):.1e}")
    ratios = [row["muGrid"] / row["cpu"] for row in rows if "muGrid" in row]
    if ratios:
        theirs = statistics.median(row["muGrid"] for row in rows if "muGrid" in row)
        print(f"muGrid on {len(ratios)} of them: median {theirs:.2f} CPU s; ", end="")
        print(f"ratio on the same unit: median 1/{statistics.median(ratios):.0f}, ", end="")
        print(f"from 1/{min(ratios):.0f} to 1/{max(ratios):.0f}")


def size(kinds=("gyroid_sheet", "octet"), resolutions=(48, 96, 192)):
    """Cost per voxel and memory of larger grids, six loads to 1e-6, with no symmetry used."""
    print("| cell | CPU s | us a voxel | of that at 48^3 | iterations | peak MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for kind in kinds:
        rates = []
        for n in resolutions:
            row = measured_apart("multigrid", f"{kind}:{n}", 1e-6, 3 if n < 100 else 1)
            rates.append(row["cpu"] / n**3 * 1e6)
            print(
                f"| {kind}:{n} | {row['cpu']:.2f} | {rates[-1]:.2f} | {rates[-1] / rates[0]:.2f} "
                f"| {row['iterations']} | {row['peak']:.0f} |",
                flush=True,
            )


def threads(runs=3):
    """Wall time with one and with two threads at 96^3, and what two processes get done at once."""
    for name in ("octet:96", "gyroid_sheet:96"):
        alone, both = (measured_apart(c, name, 1e-6, runs) for c in ("multigrid", "two threads"))
        beside = measured_at_once("multigrid", name, 1e-6, runs, processes=2)
        ceiling = 2 * alone["wall"] / max(row["wall"] for row in beside)
        same = alone["C"] == both["C"]
        print(f"{name}: {alone['wall']:.2f} s with one thread, {both['wall']:.2f} s with two: ")
        print(f"  {alone['wall'] / both['wall']:.2f} times faster; same bits: {same}; ", end="")
        print(f"two solves at once get {ceiling:.2f} times as much done", flush=True)


def apply(n=96, runs=20):
    """Voxels a second of the stiffness alone, beside what memory allows."""
    from homog import voxel_kernels as kernels
    from homog.material import Isotropic
    from homog.multigrid import voxel_weights

    weights = voxel_weights(Isotropic(1.0, NU).stiffness)
    for dtype in (np.float64, np.float32):
        u = np.random.default_rng(0).standard_normal((3, n, n, n)).astype(dtype)
        factor, rows, out = np.ones((n, n, n), dtype), np.ones((n, n), bool), np.zeros_like(u)
        weight, mix = tuple(map(dtype, weights)), (dtype(0),) * 3
        arguments = (u, factor, rows, rows, weight, u, u, u[:1], mix, out)
        seconds, triad = [], []
        big = [np.ones(2 * u.size, dtype) for _ in range(3)]
        for _ in range(runs + 1):
            start = time.process_time()
            kernels.sweep(0, n, kernels.PRODUCT, *arguments)
            middle = time.process_time()
            np.multiply(big[1], dtype(0.5), out=big[0])
            np.add(big[0], big[2], out=big[0])
            seconds.append(middle - start)
            triad.append((time.process_time() - middle) / (6 * big[0].nbytes))
        rate = n**3 / statistics.median(seconds[1:])
        # displacements in; forces out, whose cache lines come in first; factors
        traffic = (9 + 1) * np.dtype(dtype).itemsize
        bound = 1 / (statistics.median(triad[1:]) * traffic)
        print(f"{np.dtype(dtype)} {n}^3: {rate / 1e6:.0f} million voxels a second and thread, ")
        print(f"  {rate / bound:.2f} of the bound that memory sets ({bound / 1e6:.0f} million)")


TABLES = {f.__name__: f for f in (general, cubic, size, threads, apply)}


def main():
    if sys.argv[1:2] == ["--measure"]:
        code, name, tol, runs = sys.argv[2:]
        print(json.dumps(measure(code, name, float(tol), int(runs))))
    elif sys.argv[1:2] == ["--measure-cubic"]:
        print(json.dumps(measure_cubic(*map(int, sys.argv[2:]))))
    else:
        parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
        parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
        for name in parser.parse_args().tables or [t for t in TABLES if t != "size"]:
            print(f"\n{name}: {TABLES[name].__doc__}\n")
            TABLES[name]()


if __name__ == "__main__":
    main()
