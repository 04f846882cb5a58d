"""Mean and deviations over samples of the latent space (Eq. 6 to 9)."""

import numpy as np
import pytest
import torch
import toys

from homog import ParameterError
from learn.predictors import PredictorSettings
from learn.uncertainty import fixed_draws, moments, moments_around

SETTINGS = {
    "mdn": PredictorSettings("mdn", 2, (16, 8)),
    "mixture": PredictorSettings("mdn", 2, (16, 8), components=3),
    "ensemble": PredictorSettings("ensemble", 2, (16, 8), members=4),
}
SCATTER = [True, False]


def latent(count=5, seed=0):
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))


def wide_framework(name="mdn", scatter=True):
    """One whose parts all matter: its scatter is as large as what its predictor states."""
    framework = toys.framework(SETTINGS[name], scatter)
    if scatter:
        with torch.no_grad():
            framework.scatter[-1].weight.mul_(3)
    return framework


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("scatter", SCATTER)
@torch.no_grad()
def test_moments_are_those_of_a_loop_over_units_samples_and_hypotheses(name, scatter):
    framework = wide_framework(name, scatter)
    z, draws = latent(), fixed_draws(7, 3)
    found = moments(framework, z, draws)
    for unit in range(len(z)):
        center, deviation = framework.vae.encode(framework.vae.decode(z[unit : unit + 1]))
        means, within, aleatoric = [], [], []
        for draw in draws:
            point = center + deviation * draw
            predicted = framework.predictor(point)
            for mean, variance in zip(predicted.mean[:, 0], predicted.variance[:, 0], strict=True):
                means.append(mean.numpy())
                solid = variance.numpy()
                if scatter:
                    solid = np.exp(2 * framework.log_scatter(point)[0].numpy())
                aleatoric.append(solid)
                within.append(np.maximum(variance.numpy(), solid))
        total = np.mean(within, 0) + np.var(means, 0)
        assert found.mean[unit].numpy() == pytest.approx(np.mean(means, 0), rel=1e-4, abs=1e-5)
        solid = np.mean(aleatoric, 0) ** 0.5
        assert found.aleatoric[unit].numpy() == pytest.approx(solid, rel=1e-4)
        assert found.total[unit].numpy() == pytest.approx(total**0.5, rel=1e-4)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("scatter", SCATTER)
@torch.no_grad()
def test_squares_of_aleatoric_and_epistemic_add_up_to_the_total(name, scatter):
    found = moments(wide_framework(name, scatter), latent(), fixed_draws(20, 3))
    squares = found.aleatoric**2 + found.epistemic**2
    assert torch.allclose(squares, found.total**2, rtol=1e-5)
    assert torch.all(found.epistemic > 0)


@pytest.mark.parametrize("scatter", SCATTER)
@torch.no_grad()
def test_one_sample_without_spread_is_the_plain_prediction_of_what_is_decoded(scatter):
    framework, z = wide_framework(scatter=scatter), latent()
    found = moments(framework, z, torch.zeros(1, 3))
    again = framework.vae.encode(framework.vae.decode(z))[0]
    plain = framework.predictor(again)
    assert torch.allclose(found.mean, plain.mean[0])
    if scatter:
        assert torch.allclose(found.aleatoric, framework.log_scatter(again).exp())
        within = torch.maximum(plain.stddev[0], found.aleatoric)
        assert torch.allclose(found.total, within)
    else:
        assert torch.allclose(found.aleatoric, plain.stddev[0])
        assert torch.allclose(found.total, found.aleatoric)
        assert torch.all(found.epistemic == 0)


@torch.no_grad()
def test_without_sensitivities_the_spread_of_means_is_what_is_epistemic():
    """As in the publication (Eq. 8)."""
    framework = wide_framework(scatter=False)
    center, deviation, draws = latent(), 0.3 * torch.ones(5, 3), fixed_draws(30, 3)
    found = moments_around(framework, center, deviation, draws)
    means = torch.stack([framework.predictor(center + deviation * d).mean[0] for d in draws])
    assert torch.allclose(found.epistemic, means.std(0, correction=0), rtol=1e-4)


@torch.no_grad()
def test_total_is_never_below_the_scatter_of_the_solid():
    framework = wide_framework()
    framework.scatter[-1].bias.add_(5)
    found = moments(framework, latent(), fixed_draws(10, 3))
    assert torch.all(found.total >= found.aleatoric)
    assert torch.all(found.aleatoric > 1)


@torch.no_grad()
def test_a_linear_predictor_passes_the_latent_deviation_on():
    """The deviation of a . z is |a * deviation| once there are many samples."""
    framework = toys.framework(scatter=False)
    slope = torch.tensor([1.0, -2.0, 0.5])

    def linear(z):
        mean = (z @ slope)[None, :, None].expand(1, -1, 2)
        return torch.distributions.Independent(torch.distributions.Normal(mean, 0.5), 1)

    framework.predictor = linear_module(linear)
    deviation = torch.tensor([[0.1, 0.2, 0.3], [1.0, 0.0, 0.0]])
    found = moments_around(framework, latent(2), deviation, fixed_draws(4000, 3))
    exact = (slope * deviation).norm(dim=1, keepdim=True).expand(2, 2)
    assert torch.allclose(found.epistemic, exact, rtol=0.05)
    assert torch.allclose(found.mean, (latent(2) @ slope)[:, None].expand(2, 2), atol=1e-4)
    assert torch.allclose(found.aleatoric, torch.full((2, 2), 0.5))


def linear_module(function):
    module = torch.nn.Module()
    module.forward = function
    return module


@pytest.mark.parametrize("samples", [1, 2, 7, 80])
def test_draws_are_the_same_each_time_and_antithetic(samples):
    draws = fixed_draws(samples, 5)
    assert draws.shape == (samples, 5)
    assert torch.equal(draws, fixed_draws(samples, 5))
    assert not torch.equal(draws, fixed_draws(samples, 5, seed=1))
    half = samples // 2
    assert torch.equal(draws[-half:] if half else draws[:0], -draws[:half])
    if samples % 2 == 0:
        assert torch.allclose(draws.mean(0), torch.zeros(5), atol=1e-6)


def test_draws_are_standard_normal():
    draws = fixed_draws(4000, 4)
    assert torch.allclose(draws.T.cov(), torch.eye(4), atol=0.1)
    assert (draws.abs() < 1.645).float().mean().item() == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("samples", [0, -3])
def test_no_samples_are_refused(samples):
    with pytest.raises(ParameterError, match=f"samples must be 1 or more, got {samples}"):
        fixed_draws(samples, 3)
