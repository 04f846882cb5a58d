"""The whole chain: generate, label, evaluate, design, topology optimization, report.

python examples/06_chain.py [FOLDER]

Small searches, about half a minute; make demo does the same at a larger size with the commands.
Without a FOLDER, what it writes goes away again.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import design
import homog
import learn
from design import topopt
from design.elastic_objective import ElasticObjective
from design.report import write_report
from design.run import design as run_design
from design.topopt_folder import Folder
from homog.dataset import write_dataset
from homog.labelling import label_dataset, local
from homog.labels import Settings
from homog.units.sampling import Plan, cells_of, sample

SOLID = Settings(E=70e3, nu=0.33, scatter=0.01, seed=2)  # aluminium, in MPa


def main(folder):
    units, labelled, run, to = (folder / n for n in ("units.h5", "labelled.h5", "run", "to"))

    plan = Plan(count=40, seed=7)
    write_dataset(units, cells_of(sample(plan), plan))
    print(label_dataset(units, labelled, SOLID, local(workers=1)))

    surrogate = learn.Surrogate.load()  # the one that comes with the package
    with homog.Dataset(labelled) as ds:
        predicted = surrogate.predict_octants(ds.octants[:])
        error = abs(predicted["E"].mean / ds.labels["E"] - 1)
    print(f"median error of E on units that the surrogate has not seen: {np.median(error):.1%}")

    task = design.Task((design.Goal("K"),), design.Cleaning(design.Range(0.295, 0.305)), samples=40)
    search = design.Settings(population=24, generations=8, seed=1)
    designs = run_design(design.Plan(task, search, units=str(labelled), rounds=2, report=6), run)
    K, predicted = designs.true("K")[0], designs.predicted("K")[0]  # the best comes first
    print(f"designed: K = {K:.0f} MPa, predicted {predicted:.0f}")

    rival = topopt.Settings(
        ElasticObjective.parse("K"), 0.3, iterations=30, starts=topopt.named_starts(["void"])
    )
    with Folder(to, rival) as kept:
        optimized = topopt.optimize(rival, kept)
        kept.write(optimized)
    print(f"topology optimization: K = {optimized[0].objective:.0f} MPa")

    write_report(run, folder / "report.html", [to])
    print(f"{folder / 'report.html'}: the designs as a page")


if __name__ == "__main__":
    if sys.argv[1:]:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
