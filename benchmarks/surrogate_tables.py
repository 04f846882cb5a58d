"""Tables of docs/surrogate.md that come from trainings and their evaluations, as Markdown.

python benchmarks/surrogate_tables.py training model/ evaluation/
python benchmarks/surrogate_tables.py latent latents/
python benchmarks/surrogate_tables.py predictors mdn.json ensemble.json ...

The first prints the phases, Tables C2 and C3 (the weights of the loss) and Table 3 (best and worst
predicted units), the second Table C1 (latent sizes), the third what evaluations found of several
predictors (``homog evaluate ... --json``); the publication's numbers in brackets.
"""

import json
import sys
from pathlib import Path

from learn.progressive import HISTORY, phase_line, read_history

LATENT = {  # Table C1: MSE of validation
    "4": (None, "0.1032"), "16": (None, "0.0172"), "32": (None, "0.0162"),
    "48": (None, "0.0160"), "64": (None, "0.0152"),
}  # fmt: skip
KL = {  # Table C2: KL weight, MSE of training and validation, KL of validation
    "0": ("0.0102", "0.0162", "inf"), "1e-08": ("0.0119", "0.0128", "8.799"),
    "1e-07": ("0.0085", "0.1034", "4.636"), "1e-06": ("0.0077", "0.0098", "3.414"),
    "1e-05": ("0.0076", "0.0097", "2.791"), "0.0001": ("0.0085", "0.0103", "1.356"),
    "0.001": ("0.0107", "0.012", "0.97"), "0.01": ("0.0198", "0.0199", "0.486"),
    "0.1": ("0.0328", "0.0332", "0.292"), "1": ("0.1217", "0.1222", "0.0115"),
}  # fmt: skip
REGRESSION = {  # Table C3: MSE of both, KL and regression of validation
    "1e-05": ("0.0088", "0.0099", "2.663", "-2.585"),
    "0.0001": ("0.0089", "0.0101", "2.671", "-3.074"),
    "0.001": ("0.0089", "0.0105", "2.594", "-2.797"),
    "0.01": ("0.011", "0.0117", "3.135", "-3.323"),
    "0.1": ("0.0163", "0.0171", "3.826", "-3.596"),
    "1": ("0.02114", "0.02211", "4.268", "-3.725"),
}
CASES = (  # Table 3: relative voxel difference, error, total, aleatoric, true aleatoric, epistemic
    ("0.0176", "1e-8", "0.001", "0.0008", "0.0003", "0.0005"),
    ("0.0306", "7e-8", "0.003", "0.002", "0.0008", "0.0022"),
    ("0.0081", "2e-7", "0.0009", "0.0005", "0.0006", "0.0007"),
    ("0.1856", "0.4669", "0.0118", "0.0103", "0.0001", "0.0056"),
    ("0.1603", "0.2697", "0.0298", "0.0206", "0.0003", "0.0215"),
    ("0.3175", "0.2059", "0.0204", "0.0053", "0.0003", "0.0196"),
)
KEYS = (
    "relative voxel difference", "error", "total", "aleatoric", "true aleatoric", "epistemic",
)  # fmt: skip


def main():
    kind, *paths = sys.argv[1:]
    paths = [Path(path) for path in paths]
    if kind == "training":
        model, evaluation = paths
        cases = json.loads((evaluation / "evaluation.json").read_text())
        found = tables(read_history(model / HISTORY), cases)
    elif kind == "latent":
        found = {"C1": latent_table(read_history(paths[0] / HISTORY))}
    else:
        found = {kind: predictor_table(paths)}
    for name, text in found.items():
        print(f"## {name}\n{text}\n")


def tables(history, evaluation):
    """``{name: text}`` of a history of training and the numbers of an evaluation."""
    found = {
        "phases": "\n".join(map(phase_line, history["phases"])),
        "C2": kl_table(history),
        "C3": regression_table(history),
    }
    cases = next((v for k, v in evaluation.items() if k.startswith("cases of ")), [])
    found["3"] = case_table(cases)
    return found


def records(history, step, first=None):
    """``{weight: record}`` of the phases of a step."""
    found = {} if first is None else {"0": first}
    for record in history["phases"]:
        name, _, weight = record["name"].partition("-")
        if name == step:
            found[weight] = record
    return found


def chosen_of(history, step):
    """Latent size or weight that a step chose, as its phase is named."""
    return history["chosen"][step]["phase"].partition("-")[2]


def latent_table(history):
    chosen = chosen_of(history, "latent")
    lines = ["| latent size | MSE, training | MSE, validation |", "| --- | --- | --- |"]
    for size, record in records(history, "latent").items():
        mine = [f"{record[f'{part} reconstruction']:.4f}" for part in ("training", "validation")]
        lines.append(row(label(size, chosen), mine, LATENT[size]))
    return "\n".join(lines)


def predictor_table(paths):
    """Accuracy and uncertainty on test units of evaluations, one in each JSON file."""
    head = "R2 of E | R2 of nu | R2 of K | NLL, E | NLL, nu | CRPS, E | CRPS, nu | coverage, far"
    lines = [f"| predictor | {head} |", "| --- " * 9 + "|"]
    for path in paths:
        found = json.loads(path.read_text())
        accuracy, of = found["accuracy"]["test"], found["uncertainty"]
        mine = [f"{accuracy[f'R2 {name}']:.4f}" for name in ("E", "nu", "K")]
        mine += [f"{of[name]['NLL, recalibrated']:.3f}" for name in ("E", "nu")]
        mine += [f"{of[name]['CRPS, recalibrated']:.4g}" for name in ("E", "nu")]
        far = [of[name]["90 % coverage, far"] for name in of]
        mine.append(f"{min(far):.2f} to {max(far):.2f}")
        lines.append(row(path.stem, mine, [None] * len(mine)))
    return "\n".join(lines)


def kl_table(history):
    chosen, latent = chosen_of(history, "kl"), chosen_of(history, "latent")
    first = records(history, "latent")[latent]
    lines = [
        "| KL weight | MSE, training | MSE, validation | KL, validation |",
        "| --- | --- | --- | --- |",
    ]
    for weight, record in records(history, "kl", first).items():
        mine = (
            f"{record['training reconstruction']:.4f}",
            f"{record['validation reconstruction']:.4f}",
            f"{record['validation kl']:.3f}",
        )
        lines.append(row(label(weight, chosen), mine, KL[weight]))
    return "\n".join(lines)


def regression_table(history):
    chosen = chosen_of(history, "regression")
    head = "MSE, training | MSE, validation | KL, validation | regression, training | regression, "
    lines = [f"| regression weight | {head}validation |", "| --- " * 6 + "|"]
    for weight, record in records(history, "regression").items():
        theirs = REGRESSION[weight]
        mine = (
            f"{record['training reconstruction']:.4f}",
            f"{record['validation reconstruction']:.4f}",
            f"{record['validation kl']:.3f}",
            f"{record['training regression']:.3f}",
            f"{record['validation regression']:.3f}",
        )
        lines.append(row(label(weight, chosen), mine, (*theirs[:3], None, theirs[3])))
    return "\n".join(lines)


def label(weight, chosen):
    return f"{weight} (chosen)" if weight == chosen else weight


def case_table(cases):
    lines = [
        "| unit | relative voxel difference | error of nu | total | aleatoric | true aleatoric | "
        "epistemic |",
        "| --- " * 7 + "|",
    ]
    for case, theirs in zip(cases, CASES, strict=True):
        mine = [f"{case[key]:.2g}" for key in KEYS]
        lines.append(row(f"{case['unit']} ({case['part']})", mine, theirs))
    return "\n".join(lines)


def row(name, mine, theirs):
    """A row of a table, the publication's numbers in brackets."""
    pairs = zip(mine, theirs, strict=True)
    cells = (m if t is None else f"{m} ({t})" for m, t in pairs)
    return f"| {name} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
