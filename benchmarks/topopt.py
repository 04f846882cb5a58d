"""How good topology optimization gets, and what it costs.

    python benchmarks/topopt.py [RESOLUTION]

All default starts for each task, on one thread. Printed is the best delivered cell: a boolean
array, solved with void exactly zero. The bound of K is that of Hashin and Shtrikman at the density
of the cell; "finer" is the objective on a grid twice as fine, which tells how much of it is owed to
the grid. Seconds are CPU time of all starts together.
"""

import sys
import time

from design.elastic_objective import ElasticObjective
from design.topopt import Settings, optimize

TASKS = (  # objective, whether to minimize, density, diameter of channels relative to the cell
    ("K", False, 0.1, 0),
    ("K", False, 0.2, 0),
    ("K", False, 0.3, 0),
    ("K", False, 0.4, 0),
    ("K", False, 0.3, 1 / 6),
    ("G", False, 0.3, 0),
    ("E", False, 0.3, 0),
    ("K+G", False, 0.3, 0),
    ("nu", True, 0.3, 0),
)


def main():
    resolution = int(sys.argv[1]) if sys.argv[1:] else 48
    print(
        f"{resolution}^3", "objective, density, channel: start, value, finer, K/K_HS, feature, CPU"
    )
    for text, low, density, channel in TASKS:
        settings = Settings(
            ElasticObjective.parse(text),
            density,
            minimize=low,
            resolution=resolution,
            channel=round(channel * resolution),
        )
        begin = time.process_time()
        designs = optimize(settings, threads=1)
        seconds = time.process_time() - begin
        best, labels = designs[0], designs[0].labels["labels"]
        print(
            f"{'min' if low else 'max'} {text:<4} {density:.2f} {settings.channel:3}  "
            f"{best.start!s:<9} {best.objective:10.4f} {best.finer:10.4f} "
            f"{labels['K'] / labels['K_upper']:7.4f} {best.smallest_feature:3} "
            f"{'open' if best.open_cell else 'closed':<6} {seconds:6.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
