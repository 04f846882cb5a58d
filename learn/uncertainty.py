"""Uncertainty of a prediction: what scatters in the solid, and what the model does not know.

A latent vector is decoded and encoded again; the properties are predicted at samples around it
(Eq. 6 to 9). The spread of the means over samples, and over the hypotheses of the predictor, is
epistemic. The deviation that the predictor itself states holds two things: scatter of the solid,
which is aleatoric, and errors of its function, which are not. The scatter is learned on its own
from the sensitivities of the labels, so that the two can be told apart; without sensitivities all
of it counts as aleatoric, as in the publication.
"""

from dataclasses import dataclass, replace

import torch

from homog.errors import ParameterError


@dataclass(frozen=True)
class Moments:
    """Mean and deviations of targets, (B, targets) tensors; total^2 = aleatoric^2 + epistemic^2.

    They are of units at latent vectors ``center``, (B, views, latent).
    """

    mean: torch.Tensor
    aleatoric: torch.Tensor
    epistemic: torch.Tensor
    total: torch.Tensor
    center: torch.Tensor | None = None


def fixed_draws(samples, latent, seed=0):
    """Standard normal draws, the second half the negatives of the first.

    Parameters
    ----------
    samples, latent : int
    seed : int

    Returns
    -------
    (samples, latent) tensor
        The same for the same arguments; their mean is zero if the number is even.

    Raises
    ------
    ParameterError
        If there are none.
    """
    if samples < 1:
        raise ParameterError(f"samples must be 1 or more, got {samples}")
    generator = torch.Generator().manual_seed(seed)
    half = torch.randn(-(-samples // 2), latent, generator=generator)
    return torch.cat([half, -half])[:samples]


def moments(framework, z, draws):
    """Moments of the standardised targets of units at latent vectors.

    Parameters
    ----------
    framework : Framework
    z : (B, latent) tensor
    draws : (N, latent) tensor
        Standard normal; one row of zeros gives the plain prediction at the mean.

    Returns
    -------
    Moments
    """
    center, log_variance = framework.vae.encode_seen(framework.vae.decoder(z))
    return moments_around(framework, center, torch.exp(0.5 * log_variance), draws)


def moments_around(framework, center, deviation, draws):
    """Moments over what ``samples_around`` predicts (Eq. 6 to 9)."""
    found = combined(*samples_around(framework, center, deviation, draws))
    return replace(found, center=center if center.ndim > 2 else center[:, None])


def samples_around(framework, center, deviation, draws):
    """What is predicted at samples around latent means and deviations.

    Parameters
    ----------
    framework : Framework
    center, deviation : (B, latent) or (B, views, latent) tensor
        Of one or several latent vectors of each unit.
    draws : (N, latent) tensor

    Returns
    -------
    mean, within, aleatoric : (B, hypotheses, N or views N, targets) tensor
        Means, variances that the predictor states, and the part of them that scatters in the
        solid; standardised.
    """
    samples = (center[..., None, :] + deviation[..., None, :] * draws).flatten(1, -2)
    shape = samples.shape[:2]
    samples = samples.flatten(0, 1)
    predicted = framework.predictor(samples)
    mean, within = (part.unflatten(1, shape) for part in (predicted.mean, predicted.variance))
    log_scatter = framework.log_scatter(samples)
    aleatoric = within
    if log_scatter is not None:
        aleatoric = torch.exp(2 * log_scatter).unflatten(0, shape)[None].expand_as(within)
        within = torch.maximum(within, aleatoric)  # what scatters in the solid is there at least
    return tuple(part.transpose(0, 1) for part in (mean, within, aleatoric))


def combined(mean, within, aleatoric):
    """Law of total variance over hypotheses and samples (Eq. 6 to 9), of ``samples_around``."""
    over = (1, 2)
    spread = (mean - mean.mean(over, keepdim=True)) ** 2
    epistemic = (within - aleatoric + spread).mean(over)
    aleatoric = aleatoric.mean(over)
    total = aleatoric + epistemic
    return Moments(mean.mean(over), aleatoric.sqrt(), epistemic.sqrt(), total.sqrt())
