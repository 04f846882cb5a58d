"""Predictors of all kinds behave alike, and each is what its theory says."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from torch.distributions import kl_divergence

from homog import ParameterError
from learn.predictors import (
    LOG_DEVIATION,
    LastLayerLaplace,
    PredictorSettings,
    gaussian_loss,
    make_predictor,
    predictive,
    with_one,
)

LATENT, TARGETS, UNITS = 3, 2, 40
HIDDEN = (16, 8)
SETTINGS = {
    "mdn": PredictorSettings("mdn", TARGETS, HIDDEN),
    "mixture": PredictorSettings("mdn", TARGETS, HIDDEN, components=3),
    "deterministic": PredictorSettings("deterministic", TARGETS, HIDDEN),
    "ensemble": PredictorSettings("ensemble", TARGETS, HIDDEN, members=4),
    "mc-dropout": PredictorSettings("mc-dropout", TARGETS, HIDDEN, members=6, dropout=0.2),
    "laplace": PredictorSettings("laplace", TARGETS, HIDDEN, members=7),
}
HYPOTHESES = {"ensemble": 4, "mc-dropout": 6, "laplace": 7}


def made(name, seed=0):
    torch.manual_seed(seed)
    return make_predictor(LATENT, SETTINGS[name])


def units(count=UNITS, seed=0):
    """Latent vectors, and targets that follow from them with noise."""
    draws = torch.Generator().manual_seed(seed)
    z = torch.randn(count, LATENT, generator=draws)
    noise = torch.randn(count, TARGETS, generator=draws)
    return z, torch.stack([z[:, 0] * z[:, 1], z[:, 2]], 1) + 0.2 * noise


@torch.no_grad()
def fitted(name):
    """A predictor whose training is over."""
    predictor = made(name).eval()
    predictor.fit(*units())
    return predictor


every_kind = pytest.mark.parametrize("name", SETTINGS)


@every_kind
def test_a_distribution_of_targets_for_each_hypothesis_and_unit(name):
    found = fitted(name)(units()[0])
    assert found.batch_shape == (HYPOTHESES.get(name, 1), UNITS)
    assert found.event_shape == (TARGETS,)
    assert torch.all(found.variance > 0)


@every_kind
def test_gradients_of_the_loss_reach_all_parameters(name):
    predictor = made(name).train()
    predictor.loss(*units()).backward()
    for key, parameter in predictor.named_parameters():
        assert torch.any(parameter.grad != 0), key


@every_kind
def test_training_lowers_the_loss_and_raises_the_likelihood(name):
    predictor, (z, y) = made(name), units()
    adam = torch.optim.Adam(predictor.parameters(), lr=0.02)
    before = predictor.eval().loss(z, y).item(), predictive(predictor(z)).log_prob(y).mean().item()
    for _ in range(60):
        adam.zero_grad()
        predictor.train().loss(z, y).backward()
        adam.step()
    predictor.eval()
    with torch.no_grad():
        predictor.fit(z, y)
    assert predictor.loss(z, y).item() < before[0]
    assert predictive(predictor(z)).log_prob(y).mean().item() > before[1]


@every_kind
def test_tensors_of_the_state_give_the_same_predictions(name):
    predictor, other, z = fitted(name), made(name, seed=1).eval(), units()[0]
    assert not torch.equal(other(z).mean, predictor(z).mean)
    other.load_state_dict(predictor.state_dict())
    assert torch.equal(other(z).mean, predictor(z).mean)
    assert torch.equal(other(z).variance, predictor(z).variance)


@every_kind
def test_densities_are_finite_far_from_the_units(name):
    predictor, (z, y) = fitted(name), units()
    with torch.no_grad():
        found = predictor(1e6 * z)
        assert torch.all(torch.isfinite(predictive(found).log_prob(y)))
        assert torch.isfinite(predictor.loss(1e6 * z, y))
    shallow, deep = (torch.tensor(end).exp() for end in LOG_DEVIATION)
    deviation = getattr(found, "component_distribution", found).stddev
    assert torch.all((deviation >= 0.99 * shallow) & (deviation <= 1.01 * deep))


@every_kind
def test_hypotheses_add_up_by_the_laws_of_total_expectation_and_variance(name):
    found, z = fitted(name), units()[0]
    with torch.no_grad():
        each, one = found(z), predictive(found(z))
        mean, variance = each.mean.numpy(), each.variance.numpy()
    assert one.batch_shape == (UNITS,)
    assert one.event_shape == (TARGETS,)
    assert one.mean.numpy() == pytest.approx(mean.mean(0), rel=1e-4, abs=1e-6)
    assert one.variance.numpy() == pytest.approx(variance.mean(0) + mean.var(0), rel=1e-4)


@every_kind
def test_density_of_the_hypotheses_together_is_the_mean_of_theirs(name):
    found, (z, y) = fitted(name), units()
    with torch.no_grad():
        each, one = found(z).log_prob(y).numpy(), predictive(found(z)).log_prob(y).numpy()
    assert one == pytest.approx(logsumexp(each, axis=0) - np.log(len(each)), rel=1e-4)


@every_kind
def test_predictors_are_judged_by_the_likelihood_of_their_hypotheses_together(name):
    """But for the one that has no deviation before it is fitted."""
    predictor, (z, y) = fitted(name), units()
    with torch.no_grad():
        each, judged = predictor(z).log_prob(y).numpy(), predictor.judge(z, y).item()
        loss = predictor.loss(z, y).item()
    nll = -np.mean(logsumexp(each, axis=0) - np.log(len(each)))
    assert judged == pytest.approx(loss if name == "deterministic" else nll, rel=1e-4)


def test_gaussian_loss_is_a_weighted_likelihood():
    generator = torch.Generator().manual_seed(0)
    mean, log_deviation, y = (torch.randn(9, TARGETS, generator=generator) for _ in range(3))
    deviation = np.exp(log_deviation.numpy())
    nll = -norm.logpdf(y, mean, deviation) - 0.5 * np.log(2 * np.pi)
    found = gaussian_loss(mean, log_deviation, y).numpy()
    assert found == pytest.approx((deviation * nll).sum(1), rel=1e-4)


def test_gradient_for_the_mean_is_the_standardised_residual():
    """And not that over the deviation once more, by which a likelihood neglects poor fits."""
    mean = torch.zeros(1, 3, requires_grad=True)
    log_deviation = torch.tensor([[-2.0, 0.0, 2.0]], requires_grad=True)
    y = torch.tensor([[0.1, -1.0, 5.0]])
    gaussian_loss(mean, log_deviation, y).sum().backward()
    deviation = torch.exp(log_deviation.detach())
    assert torch.allclose(mean.grad, -y / deviation)
    score = y / deviation
    assert torch.allclose(log_deviation.grad, deviation * (1 - score**2))


def test_gaussian_loss_is_least_at_the_mean_and_deviation_of_the_data():
    y = units()[1][:, :1]
    mean = y.mean().clone().requires_grad_()
    log_deviation = y.std(correction=0).log().requires_grad_()
    gaussian_loss(mean.expand(UNITS, 1), log_deviation.expand(UNITS, 1), y).mean().backward()
    assert mean.grad.item() == pytest.approx(0, abs=1e-5)
    assert log_deviation.grad.item() == pytest.approx(0, abs=1e-5)


def test_loss_of_a_mixture_is_its_negative_log_likelihood():
    predictor, (z, y) = made("mixture"), units()
    with torch.no_grad():
        mean, log_deviation, logits = (part.numpy() for part in predictor.parts(z))
        found = predictor.loss(z, y).item()
    weight = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    slow = 0.0
    for unit in range(UNITS):
        density = 0.0
        for k in range(3):
            of = norm.pdf(y[unit], mean[unit, k], np.exp(log_deviation[unit, k]))
            density += weight[unit, k] * of.prod()
        slow -= np.log(density) / UNITS
    assert found == pytest.approx(slow, rel=1e-5)


def test_components_of_a_mixture_differ():
    mean, _, logits = made("mixture").parts(units()[0])
    assert torch.all(mean.std(1) > 0)
    assert torch.all(logits.std(1) > 0)


def test_deterministic_deviation_is_that_of_the_residuals():
    predictor, (z, y) = fitted("deterministic"), units()
    with torch.no_grad():
        found = predictor(z)
    residual = (y - found.mean[0]).numpy()
    assert found.stddev[0].numpy() == pytest.approx(
        np.tile(np.sqrt((residual**2).mean(0)), (UNITS, 1)), rel=1e-5
    )
    assert predictor.loss(z, y).item() == pytest.approx((residual**2).sum(1).mean(), rel=1e-5)


def test_an_ensemble_is_its_members():
    ensemble, (z, y) = made("ensemble").eval(), units()
    with torch.no_grad():
        found, members = ensemble(z), [member(z) for member in ensemble.members]
        losses = [member.loss(z, y).item() for member in ensemble.members]
    for index, member in enumerate(members):
        assert torch.equal(found.mean[index], member.mean[0])
        assert torch.equal(found.stddev[index], member.stddev[0])
    assert ensemble.loss(z, y).item() == pytest.approx(np.mean(losses), rel=1e-6)
    assert torch.all(found.mean.std(0) > 0)  # they start apart


def test_masks_of_dropout_stay_after_training():
    predictor, z = fitted("mc-dropout"), units()[0]
    assert torch.equal(predictor(z).mean, predictor(z).mean)
    other = made("mc-dropout", seed=1)  # masks do not depend on where the weights start
    assert torch.equal(other.mask0, predictor.mask0)
    assert predictor.mask0.unique().tolist() == pytest.approx([0, 1 / 0.8])
    assert torch.all(predictor(z).mean.std(0) > 0)


def test_many_masks_are_as_random_dropout():
    """First and second moments of the means agree with those of draws that are made anew."""
    settings = PredictorSettings("mc-dropout", TARGETS, HIDDEN, members=256, dropout=0.3)
    torch.manual_seed(0)
    predictor, z = make_predictor(LATENT, settings), units(5)[0]
    with torch.no_grad():
        fixed = predictor.eval()(z).mean
        drop = torch.nn.functional.dropout
        drawn = torch.stack(
            [predictor._parts(z, lambda i, x: drop(x, 0.3))[0] for _ in range(4000)]
        )
    error = drawn.std(0) / np.sqrt(len(fixed))
    assert torch.all((fixed.mean(0) - drawn.mean(0)).abs() < 4 * error)
    assert torch.allclose(fixed.std(0), drawn.std(0), rtol=0.25)


def test_dropout_drops_in_training_alone():
    predictor, (z, y) = made("mc-dropout"), units()
    with torch.no_grad():
        training = {predictor.train().loss(z, y).item() for _ in range(3)}
        judging = {predictor.eval().loss(z, y).item() for _ in range(3)}
    assert len(training) == 3
    assert len(judging) == 1


def linear_case(members=256, count=60):
    """Laplace predictor, latent vectors, and for each target the design and its precisions."""
    settings = PredictorSettings("laplace", TARGETS, (6, 3), members=members)
    torch.manual_seed(3)
    predictor = LastLayerLaplace(LATENT, settings).eval()
    z = units(count)[0]
    with torch.no_grad():
        predictor.deviation.bias.copy_(torch.tensor([-2.0, 1.5]))
        features, _, log_deviation = predictor._parts(z)
        design = with_one(features).double().numpy()
    return predictor, z, design, np.exp(-2 * log_deviation.double().numpy())


@torch.no_grad()
def test_laplace_is_bayesian_linear_regression_on_the_last_layer():
    predictor, z, design, precision = linear_case()
    prior = 2.0
    predictor._prior = lambda *_: torch.tensor(prior, dtype=torch.float64)
    predictor.fit(z, None)
    found = predictor(z).mean.numpy()
    for target in range(TARGETS):
        hessian = np.einsum("ni,n,nj->ij", design, precision[:, target], design)
        covariance = np.linalg.inv(hessian + prior * np.eye(len(hessian)))
        exact = np.einsum("ni,ij,nj->n", design, covariance, design)
        assert found[:, :, target].var(0) == pytest.approx(exact, rel=0.3)
        plain = predictor.mean(predictor.body(z))[:, target].numpy()
        assert found[:, :, target].mean(0) == pytest.approx(plain, abs=1e-5)


@torch.no_grad()
def test_laplace_knows_less_far_from_the_units():
    predictor = fitted("laplace")
    z = units()[0]
    near, far = (predictor(scale * z).mean.std(0).mean(0) for scale in (1.0, 10.0))
    assert torch.all(far > 2 * near)


@pytest.mark.parametrize("deviation", [0.03, 0.3, 3.0])
@pytest.mark.parametrize("unseen", [0, 300])
def test_prior_of_largest_evidence_is_that_of_well_known_weights(deviation, unseen):
    """Precision is the number of weights that data tell of, over their squares (MacKay, 1992)."""
    predictor = linear_case()[0]
    rng = np.random.default_rng(0)
    weights = deviation * rng.standard_normal(50)
    design = np.pad(rng.standard_normal((5000, 50)) * 1e3, ((0, 0), (0, unseen)))
    known = torch.tensor(np.pad(weights, (0, unseen)))
    found = predictor._prior(torch.tensor(design.T @ design), known)
    exact = len(weights) / np.sum(weights**2)
    assert abs(np.log10(found.item() / exact)) <= 0.26  # the grid has half decades


def test_prior_of_largest_evidence_is_that_of_the_marginal_likelihood():
    """All weights follow from data by regression; the evidence is then known exactly."""
    predictor, rng = linear_case()[0], np.random.default_rng(1)
    design = rng.standard_normal((30, 4))
    y = design @ [0.5, -0.2, 0.3, 0.1] + 0.1 * rng.standard_normal(30)
    hessian = design.T @ design / 0.1**2
    grid = LastLayerLaplace.PRECISIONS.double().numpy()
    exact = []
    for p in grid:
        covariance = design @ design.T / p + 0.1**2 * np.eye(30)
        exact.append(-np.linalg.slogdet(covariance)[1] - y @ np.linalg.solve(covariance, y))
    weights = np.linalg.solve(hessian, design.T @ y / 0.1**2)
    found = predictor._prior(torch.tensor(hessian), torch.tensor(weights)).item()
    assert found == pytest.approx(grid[np.argmax(exact)], rel=1e-6)


def test_one_component_is_the_limit_of_a_mixture_that_agrees():
    """Components that are the same make the Gaussian of one."""
    mixture, z = made("mixture"), units()[0]
    last = mixture.network[-1]
    each = 2 * TARGETS
    with torch.no_grad():
        for part in (last.weight, last.bias):
            rows = part.unflatten(0, (3, each + 1))
            rows[1:, :each] = rows[:1, :each]
        found = predictive(mixture(z))
        gaussian = found.component_distribution
        one = torch.distributions.Normal(gaussian.mean[:, 0], gaussian.stddev[:, 0])
        assert torch.allclose(found.mean, one.mean, atol=1e-6)
        same = torch.distributions.Normal(found.mean, found.variance.sqrt())
        assert torch.all(kl_divergence(same, one) < 1e-6)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "forest"}, "predictor must be one of mdn, .*; got 'forest'"),
        ({"kind": "ensemble", "components": 2}, "components are those of mdn, not of ensemble"),
        ({"components": 0}, "components must be in 1 to 64"),
        ({"hidden": ()}, r"1 to 16 hidden layers must have sizes of 1 to 8192, got 2 and \(\)"),
        ({"hidden": (16, 0)}, r"sizes of 1 to 8192, got 2 and \(16, 0\)"),
        ({"hidden": (8,) * 17}, "1 to 16 hidden layers"),
        ({"hidden": (10**9,)}, "sizes of 1 to 8192"),
        ({"targets": 0}, "sizes of 1 to 8192, got 0 and"),
        ({"members": 257}, "members in 1 to 256"),
        ({"dropout": 1.0}, "dropout must lie between 0 and 1, got 1.0"),
        ({"dropout": float("nan")}, "dropout must lie between 0 and 1, got nan"),
    ],
)
def test_settings_that_cannot_be_are_refused(values, words):
    with pytest.raises(ParameterError, match=words):
        PredictorSettings(**values)
