"""How far stated deviations hold: shares of true values in central intervals of each level.

Once for the designs of the run, and once for the validation units of the surrogate, whose scores
its calibration keeps.
"""

import numpy as np
from scipy.stats import norm

from learn.metrics import LEVELS


def of_designs(designs, names):
    """Coverage of the designs that were predicted before they were solved.

    Truth is the label at a solid that scatters, if there is one: a total deviation means that.

    Parameters
    ----------
    designs : Designs
    names : sequence of str
        Properties.

    Returns
    -------
    dict
        ``count`` of designs, and ``{name: shares}`` at ``LEVELS``.
    """
    new = ~designs.groups["designs"]["known"]
    truth = designs.groups.get("scattered") or designs.groups["labels"]
    found = {}
    for name in names:
        mean, total = designs.predicted(name)[new], designs.predicted(name, "total")[new]
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = (truth[name][new] - mean) / total
        found[name] = covered(scores[np.isfinite(scores)])
    return {"count": int(new.sum()), "shares": found}


def of_validation(surrogate, names):
    """Coverage of validation units by a surrogate as it was trained, and recalibrated.

    Only of properties whose scores were kept, see ``learn.calibration``.

    Returns
    -------
    dict
        ``{name: {"trained": shares, "recalibrated": shares}}`` at ``LEVELS``.
    """
    known, found = surrogate.calibration, {}
    for place, name in enumerate(surrogate.targets):
        if name in names and known.method[place] == "isotonic":
            scores, factor = known.scores[place], known.factor[place]
            found[name] = {"trained": covered(scores * factor), "recalibrated": covered(scores)}
    return found


def covered(scores):
    """Shares of scores within the central interval of a standard Gaussian of each of ``LEVELS``."""
    if not len(scores):
        return None
    ends = norm.ppf((1 + LEVELS) / 2)
    return np.round((np.abs(scores)[:, None] <= ends).mean(axis=0), 4).tolist()
