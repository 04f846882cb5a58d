"""Wall time of whole commands: start, imports, work, end.

python benchmarks/command_line.py [--runs 5]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

OCTET = Path(__file__).parents[1] / "examples" / "units" / "octet.npy"


def wall_times(arguments, runs):
    """Seconds of each run of a homog command, after one that is not counted."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "homog", *arguments], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return times[1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "octet24.npy"
        np.save(small, np.load(OCTET)[::2, ::2, ::2])
        solid = ["--E", "70e3", "--nu", "0.33"]
        commands = {
            "homog --help": ["--help"],
            "homog doctor": ["doctor"],
            "homog solve (24^3 unit)": ["solve", str(small), *solid],
            "homog solve (48^3 octet)": ["solve", str(OCTET), *solid],
        }
        print("| command | median s | min s | max s |")
        print("| --- | --- | --- | --- |")
        for name, arguments in commands.items():
            times = wall_times(arguments, runs)
            print(
                f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} | {max(times):.2f} |"
            )


if __name__ == "__main__":
    main()
