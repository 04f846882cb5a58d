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
    plan = design.Plan(task, search, rounds=2, report=6, count=60)
    with tempfile.TemporaryDirectory() as folder:
        designs = run_design(plan, folder)
    print(table(designs, task))
    true, predicted = designs.true("K")[0], designs.predicted("K")[0]  # the best comes first
    print(f"best of {len(designs)} verified designs: K = {true:.0f} MPa, predicted {predicted:.0f}")


if __name__ == "__main__":
    main()
