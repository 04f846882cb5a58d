"""Speed of surrogates: python benchmarks/surrogate.py [MODEL]; without MODEL the shipped one.

Prints operations and time of a training step of both presets, and designs a second of
``predict_with_uncertainty``. Times are the least of several in one process.
"""

import sys
import time

import numpy as np
import torch

from homog.threads import available_threads
from learn.framework import Batch, Framework, Weights
from learn.networks import Architecture, operations
from learn.predictors import PredictorSettings
from learn.surrogate import Surrogate

UNITS, DESIGNS, SAMPLES, REPEATS = 64, 1000, 80, 3


def least_seconds(work, repeats=REPEATS):
    """Least time of several runs, after one that does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def training_step(preset):
    """Seconds a unit of one training step."""
    torch.manual_seed(0)
    framework = Framework(Architecture(preset), PredictorSettings())
    adam = torch.optim.Adam(framework.parameters())
    seen = (torch.rand(UNITS, *framework.vae.domain.shape) < 0.2).float()
    batch = Batch(seen, torch.randn(UNITS, 2), torch.zeros(UNITS, 2))

    def work():
        adam.zero_grad()
        framework(batch, Weights(1.0, 1e-5, 1e-3))["total"].backward()
        adam.step()

    return least_seconds(work) / UNITS


def main(path=None):
    torch.set_num_threads(available_threads())
    print(f"{available_threads()} threads, torch {torch.__version__}")
    counts = {preset: operations(Architecture(preset)) for preset in ("fast", "paper")}
    times = {preset: training_step(preset) for preset in counts}
    for preset, count in counts.items():
        print(
            f"{preset:<6} {count / 1e6:8.1f} million multiplications a unit, "
            f"{times[preset] * 1e3:8.3f} ms a unit to train"
        )
    ratios = [of["paper"] / of["fast"] for of in (counts, times)]
    print(f"paper / fast: {ratios[0]:.0f} in multiplications, {ratios[1]:.0f} in time")
    surrogate = Surrogate.load(path)
    z = np.random.default_rng(0).standard_normal((DESIGNS, surrogate.architecture.latent))
    seconds = least_seconds(lambda: surrogate.predict_with_uncertainty(z, SAMPLES))
    print(f"predict_with_uncertainty, N = {SAMPLES}: {DESIGNS / seconds:.0f} designs a second")


if __name__ == "__main__":
    main(*sys.argv[1:])
