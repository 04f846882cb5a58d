"""Generate a few units, label them, and read the labels back.

python examples/03_label.py
"""

import tempfile
from pathlib import Path

import homog
from homog.dataset import write_dataset
from homog.labelling import label_dataset, local
from homog.labels import Settings
from homog.units.sampling import Plan, cells_of, sample

PLAN = Plan(count=8, seed=1, resolution=24, sources=("templates", "lattices"))
SETTINGS = Settings(E=70e3, nu=0.33, scatter=0.01, seed=2)  # aluminium, in MPa


def main():
    with tempfile.TemporaryDirectory() as folder:
        units, labelled = Path(folder) / "units.h5", Path(folder) / "labelled.h5"
        write_dataset(units, cells_of(sample(PLAN), PLAN))

        # the command does the same: homog label units.h5 -o labelled.h5 --E 70e3 ...
        outcome = label_dataset(units, labelled, SETTINGS, local(workers=1))
        print(outcome)

        with homog.Dataset(labelled) as ds:
            print("\ndensity       E      nu   K/K_HS  source")
            labels = ds.labels
            for unit in ds:
                n = unit.index
                ratio = labels["K"][n] / labels["K_upper"][n]
                print(
                    f"{unit.volume_fraction:7.3f} {labels['E'][n]:7.0f} {labels['nu'][n]:7.3f} "
                    f"{ratio:8.3f}  {unit.source}: {unit.family}"
                )
            # each unit was solved a second time, at a solid of its own
            change = ds.scattered["E"] / labels["E"] - 1
            print(f"\nE at the scattered solids: {change.std():.2%} around the nominal label")


if __name__ == "__main__":
    main()
