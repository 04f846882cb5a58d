"""What a dataset contains, as text: counts, histograms and the range of properties."""

import hashlib
from collections import Counter
from functools import partial
from itertools import pairwise

import numpy as np

from homog.homogenization import homogenize
from homog.processes import processes

BINS = 7
LISTED = 5  # of the slowest and of the failed units
BAR = 40  # characters of the longest bar
WINDOW = (0.28, 0.32)  # of the volume fraction, where bulk moduli are compared


def dataset_summary(dataset):
    """Counts by source, volume fraction and smallest feature, and a hash of all units.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    str
    """
    source, family = dataset.source, dataset.family
    lines = [
        f"{dataset.path}: {len(dataset)} {'cubic ' * dataset.cubic}unit cells, "
        f"{' x '.join(map(str, dataset.shape))} voxels",
        f"written by {dataset.writer}; units {dataset_hash(dataset)}",
        "",
        f"{'source':<14}{'units':>8}{'share':>8}{'families':>10}{'open':>8}",
    ]
    open_cell = dataset.column("open_cell")
    for name in dict.fromkeys(of for _, of, _ in dataset.families):
        mine = source == name
        if mine.any():
            lines.append(
                f"{name:<14}{mine.sum():>8}{mine.mean():>8.1%}{len(set(family[mine])):>10}"
                f"{open_cell[mine].mean():>8.1%}"
            )
    lines.append(
        f"{'all':<14}{len(dataset):>8}{'':>8}{len(set(family)):>10}{open_cell.mean():>8.1%}"
    )
    edges = np.linspace(*_range(dataset.volume_fraction, 0.05), BINS + 1)
    lines += ["", *histogram("volume fraction", dataset.volume_fraction, edges, ".2f")]
    feature = Counter(np.minimum(dataset.column("smallest_feature"), 10).tolist())
    counts = {f"{n}{'+' * (n == 10)}": feature[n] for n in sorted(feature)}
    lines += ["", *bars("smallest feature, voxels", counts)]
    rejected = dataset.origin.get("rejected")
    if rejected and isinstance(rejected, dict):
        why = ", ".join(f"{n} {reason}" for reason, n in sorted(rejected.items()))
        lines += ["", f"rejected on the way: {why}"]
    return "\n".join(lines)


def dataset_hash(dataset):
    """Hash of the voxels of all units in their order, 16 hexadecimal digits."""
    return hashlib.blake2b(dataset.column("hash").tobytes(), digest_size=8).hexdigest()


def _range(values, step):
    """Multiples of a step between which the values lie."""
    low, high = np.floor(values.min() / step) * step, np.ceil(values.max() / step) * step
    return low, max(high, low + step)


def histogram(title, values, edges, digits):
    """Lines of a histogram in text."""
    edges = np.round(edges, 10)  # as they are printed
    counts, _ = np.histogram(values, edges)
    names = [f"{a:{digits}} to {b:{digits}}" for a, b in pairwise(edges)]
    return bars(title, dict(zip(names, counts.tolist(), strict=True)))


def bars(title, counts):
    """Lines of a bar chart in text, ``{name: count}``."""
    longest = max([*counts.values(), 1])
    width = max(map(len, counts), default=0)
    chart = [
        f"  {name:>{width}} {count:>8} {'#' * round(BAR * count / longest)}".rstrip()
        for name, count in counts.items()
    ]
    return [title, *chart]


def sampled_properties(dataset, material, draw, workers, progress=None):
    """Solve random units of a dataset.

    Parameters
    ----------
    dataset : Dataset
    material : Isotropic
    draw : (int, int)
        Number of units and seed.
    workers : int
        Processes.
    progress : callable, optional
        Called for each unit.

    Returns
    -------
    part : Dataset
        The units.
    properties : dict
        ``nu``, ``zener`` and ``K_ratio``, K relative to its bound: (n,) arrays.
    """
    part = dataset.sampled(*draw)
    rows = []
    with processes(partial(_properties, material), workers) as map_cells:
        for row in map_cells(part.voxels):
            rows.append(row)
            if progress:
                progress()
    return part, dict(zip(("nu", "zener", "K_ratio"), np.array(rows).T, strict=True))


def _properties(material, voxels):
    result = homogenize(voxels, material, tol=1e-5, threads=1)
    return result.nu, result.zener, result.K / result.K_upper


def labels_summary(dataset):
    """Histograms of E, nu and K / K_HS of a labelled dataset, and its slowest and failed units.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    str
    """
    labels, seconds = dataset.labels, dataset.group("effort")["seconds"]
    done = labels["status"] == 0
    solid = dict(labels.attributes)
    lines = [
        f"labels: solid E = {solid['E']:g}, nu = {solid['nu']:g}, tol {solid['tol']:g}, scatter "
        f"{solid['scatter']:g} (seed {solid['seed']}); {np.count_nonzero(~done)} of {len(done)} "
        "failed"
    ]
    if done.any():
        part = dataset.select(done)
        columns = {name: part.labels[name] for name in ("E", "nu", "K", "K_upper", "zener")}
        ratio = columns["K"] / columns["K_upper"]
        for title, values in (
            ("E / E of the solid", columns["E"] / solid["E"]),
            ("nu", columns["nu"]),
            ("K / K_HS", ratio),
        ):
            finite = values[np.isfinite(values)]
            edges = np.linspace(*_range(finite, 0.05), BINS + 1)
            lines += ["", *histogram(title, finite, edges, ".3f")]
        known = {"nu": columns["nu"], "zener": columns["zener"], "K_ratio": ratio}
        lines += ["", properties_summary(part, known)]
    lines += ["", "slowest units"]
    slowest = np.argsort(-np.nan_to_num(seconds), kind="stable")[:LISTED]
    lines += [f"  {index:>8} {seconds[index]:8.2f} s" for index in slowest]
    failed = np.flatnonzero(~done)[:LISTED]
    if len(failed):
        messages = labels["message"][failed]
        lines += ["", "failed units"]
        lines += [
            f"  {i:>8} {m.decode(errors='replace')}" for i, m in zip(failed, messages, strict=True)
        ]
    return "\n".join(lines)


def properties_summary(dataset, properties):
    """Range of the properties of units, as a table.

    Parameters
    ----------
    dataset : Dataset
    properties : dict
        Of its units, as from ``sampled_properties``.

    Returns
    -------
    str
    """
    volume_fraction, open_cell = dataset.volume_fraction, dataset.column("open_cell")
    nu, zener, ratio = (properties[name] for name in ("nu", "zener", "K_ratio"))
    near = (volume_fraction >= WINDOW[0]) & (volume_fraction <= WINDOW[1])
    between = f"volume fraction {WINDOW[0]} to {WINDOW[1]}"
    rows = [
        ("units", f"{len(nu)}"),
        ("nu < 0", f"{np.mean(nu < 0):.1%}"),
        ("nu", f"{nu.min():.3f} to {nu.max():.3f}"),
        ("Zener ratio", f"{zener.min():.3g} to {zener.max():.3g}"),
        (f"K / K_HS, {between}", _largest(ratio[near])),
        ("  of those, open cells", _largest(ratio[near & open_cell])),
    ]
    return "\n".join(f"{name:<44}{value:>18}" for name, value in rows)


def _largest(values):
    return f"up to {values.max():.3f}" if len(values) else "none"
