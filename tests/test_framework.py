"""Terms of the loss are those of Eq. 4."""

import pytest
import torch
import toys
from torch.distributions import Normal, kl_divergence

from learn.framework import Batch, Weights
from learn.networks import Architecture
from learn.predictors import PredictorSettings

ALL = Weights(reconstruction=2.0, kl=0.3, regression=0.7)
ARCHITECTURES = {"fast": toys.SMALL, "paper": Architecture("paper", latent=3, octant=8)}


def batch_of(framework, count=6):
    octants = torch.from_numpy(toys.octants(count)[0]).float()
    draws = torch.Generator().manual_seed(1)
    y, scatter = (torch.randn(count, 2, generator=draws) for _ in range(2))
    return octants, Batch(framework.vae.domain.reduce(octants), y, scatter)


def test_kl_is_that_of_the_latent_gaussian_from_the_standard_one():
    framework = toys.framework()
    octants, batch = batch_of(framework)
    found = framework(batch, ALL)["kl"]
    exact = kl_divergence(Normal(*framework.vae.encode(octants)), Normal(0.0, 1.0)).mean()
    assert found.item() == pytest.approx(exact.item(), rel=1e-5)
    assert found > 0


@pytest.mark.parametrize("preset", ARCHITECTURES)
def test_reconstruction_is_the_squared_error_of_the_voxels(preset):
    framework = toys.framework(architecture=ARCHITECTURES[preset])
    octants, batch = batch_of(framework)
    found = framework(batch, ALL, sample=False)["reconstruction"]
    made = framework.vae.decode(framework.vae.encode(octants)[0])
    assert found.item() == pytest.approx(((made - octants) ** 2).mean().item(), rel=1e-5)


def test_latent_vectors_are_sampled_in_training_and_means_for_judging():
    framework = toys.framework()
    octants, batch = batch_of(framework)
    torch.manual_seed(5)
    found = framework(batch, ALL)["reconstruction"]
    torch.manual_seed(5)
    mean, deviation = framework.vae.encode(octants)
    made = framework.vae.decode(mean + deviation * torch.randn_like(mean))
    assert found.item() == pytest.approx(((made - octants) ** 2).mean().item(), rel=1e-5)
    first, second = (framework(batch, ALL, sample=False)["total"] for _ in range(2))
    assert torch.equal(first, second)


def test_properties_are_learned_at_the_means():
    """Not at samples: their deviation is a matter of the latent space."""
    framework = toys.framework()
    octants, batch = batch_of(framework)
    z = framework.vae.encode(octants)[0]
    terms = framework(batch, ALL)
    assert torch.allclose(terms["regression"], framework.predictor.loss(z, batch.y))
    error = framework.log_scatter(z) - batch.log_scatter
    assert terms["scatter"].item() == pytest.approx((error**2).sum(1).mean().item(), rel=1e-5)


def test_predictors_learn_by_their_loss_and_are_judged_by_their_likelihood():
    framework = toys.framework()
    octants, batch = batch_of(framework)
    z = framework.vae.encode(octants)[0]
    learned, judged = (framework(batch, ALL, sample)["regression"] for sample in (True, False))
    assert torch.allclose(learned, framework.predictor.loss(z, batch.y))
    assert torch.allclose(judged, -framework.predictor(z).log_prob(batch.y).mean())
    assert abs(judged - learned) > 0.1


def test_total_is_the_weighted_sum():
    framework = toys.framework()
    terms = framework(batch_of(framework)[1], ALL)
    properties = terms["regression"] + terms["scatter"]
    expected = 2.0 * terms["reconstruction"] + 0.3 * terms["kl"] + 0.7 * properties
    assert terms["total"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_without_their_weight_properties_are_not_learned():
    framework = toys.framework()
    terms = framework(batch_of(framework)[1], Weights(1.0, 0.0, 0.0))
    assert set(terms) == {"reconstruction", "kl", "total"}
    assert torch.equal(terms["total"], terms["reconstruction"])
    terms["total"].backward()
    assert all(p.grad is None for p in framework.predictor.parameters())
    assert all(p.grad is not None for p in framework.vae.parameters())


@pytest.mark.parametrize("scatter", [True, False])
def test_latent_vectors_that_stay_give_the_terms_of_properties_alone(scatter):
    framework = toys.framework(scatter=scatter)
    octants, batch = batch_of(framework)
    z = framework.vae.encode(octants)[0]
    staying = Batch(None, batch.y, batch.log_scatter if scatter else None, z)
    terms, whole = framework(staying, ALL), framework(batch, ALL)
    assert set(terms) == {"regression", "scatter", "total"}
    assert torch.allclose(terms["regression"], whole["regression"])
    assert torch.allclose(terms["scatter"], whole["scatter"])
    expected = 0.7 * (terms["regression"] + terms["scatter"])
    assert terms["total"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_without_sensitivities_there_is_no_scatter_to_learn():
    framework = toys.framework(scatter=False)
    assert framework.log_scatter(torch.zeros(4, 3)) is None
    terms = framework(batch_of(framework)[1], ALL)
    assert terms["scatter"] == 0
    assert framework.description()["scatter"] is False


def test_the_description_makes_the_same_shapes():
    settings = PredictorSettings("laplace", 3, (5, 4), members=2)
    framework = toys.framework(settings)
    said = framework.description()
    again = type(framework)(
        Architecture(**said["architecture"]), PredictorSettings(**said["predictor"]), True
    )
    again.load_state_dict(framework.state_dict())
    z = torch.randn(3, 3)
    assert torch.equal(again.predictor(z).mean, framework.predictor(z).mean)
