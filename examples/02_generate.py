"""Generate unit cells, write them to a dataset file, and read it back.

python examples/02_generate.py
"""

import tempfile
from pathlib import Path

import homog
from homog.dataset import write_dataset
from homog.units.sampling import Plan, cells_of, sample

PLAN = Plan(count=24, seed=1, resolution=24)  # small; 48 voxels are the default


def generate(path):
    """Sample distinct cubic cells that carry load, and write them."""
    found = sample(PLAN)
    write_dataset(path, cells_of(found, PLAN))
    print(f"{len(found.units)} units, rejected on the way: {found.rejected}\n")


def show(path):
    """Print a table of the units in the file."""
    with homog.Dataset(path) as dataset:
        print(f"{'':>2} {'source':<12} {'family':<28} {'density':>7} {'feature':>7}  void")
        for unit in dataset:
            void = "open" if unit.open_cell else "closed"
            print(
                f"{unit.index:2} {unit.source:<12} {unit.family:<28} {unit.volume_fraction:7.3f} "
                f"{unit.smallest_feature:7}  {void}"
            )
        densest = dataset[dataset.volume_fraction.argmax()]

    # family, parameters and level make the same shape at any resolution
    finer = homog.unit_cell(densest.family, densest.parameters, densest.level, resolution=48)
    print(f"\ndensest unit: {densest.voxels.mean():.3f} solid at 24 voxels, ", end="")
    print(f"{finer.mean():.3f} at 48; parameters {densest.parameters}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "units.h5"
        generate(path)
        show(path)


if __name__ == "__main__":
    main()
