"""Design units of high bulk modulus at a density of 0.3, and solve them by finite elements.

python examples/05_design.py

A search of seconds; docs/design.md shows full ones. The folder that a run fills goes away here;
homog design --maximize K --density 0.299:0.301 -o run/ keeps it.
"""

import tempfile

import design
from design.output import table
from design.run import design as run_design


def main():
    cleaning = design.Cleaning(design.Range(0.295, 0.305))
    task = design.Task((design.Goal("K"),), cleaning, risk=5.0, samples=40)
    search = design.Settings(population=24, generations=8, seed=1)
    plan = design.Plan(task, search, rounds=2, report=6, count=120)
    with tempfile.TemporaryDirectory() as folder:
        designs = run_design(plan, folder)
    print(table(designs, task))
    best = 0  # designs are ordered by their true values
    print(
        f"K of the best of {len(designs)} verified designs: {designs.true('K')[best]:.0f} MPa, "
        f"predicted {designs.predicted('K')[best]:.0f} +- {designs.predicted('K', 'total')[best]:.0f}"
    )


if __name__ == "__main__":
    main()
