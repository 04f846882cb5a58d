"""The framework that is trained: an autoencoder, a predictor of properties, and their loss."""

from dataclasses import asdict
from typing import NamedTuple

import torch
from torch import nn

from learn.networks import VAE
from learn.predictors import layers, make_predictor

SCATTER_HIDDEN = (128, 64)
LOG_SCATTER = (-16.0, 4.0)  # of standardised targets


class Weights(NamedTuple):
    """Weights of the terms of the loss (Eq. 4): L = a1 MSE + a2 KL + a3 (NLL + scatter).

    No dataclass: Fabric takes no frozen one.
    """

    reconstruction: float = 1.0
    kl: float = 0.0
    regression: float = 0.0


class Batch:
    """Units as the framework takes them.

    No dataclass: Fabric would round what is in one to the precision of the arithmetic, the targets
    too.

    Parameters
    ----------
    seen : (B, ...) array
        Octants as the network sees them, see ``learn.octants``.
    y : (B, targets) array
        Standardised targets.
    log_scatter : (B, targets) array or None
        Logarithm of the deviation of the standardised targets under the scatter of the solid.
    z : (B, latent) array, optional
        Latent vectors that stay: only the properties are then learned.
    """

    def __init__(self, seen, y, log_scatter, z=None):
        self.seen, self.y, self.log_scatter, self.z = seen, y, log_scatter, z


class Framework(nn.Module):
    """Autoencoder and predictor, trained together.

    Parameters
    ----------
    architecture : Architecture
    settings : PredictorSettings
    scatter : bool
        Whether the deviation under scatter of the solid is learned too, from the sensitivities of
        the labels: without, it cannot be told from errors of the model.
    """

    def __init__(self, architecture, settings, scatter=True):
        super().__init__()
        self.architecture, self.settings = architecture, settings
        self.vae = VAE(architecture)
        self.predictor = make_predictor(architecture.latent, settings)
        self.scatter = None
        if scatter:
            self.scatter = layers(architecture.latent, SCATTER_HIDDEN, settings.targets)

    def log_scatter(self, z):
        """Logarithm of the deviation of the standardised targets (B, targets), or None."""
        return None if self.scatter is None else self.scatter(z).clamp(*LOG_SCATTER)

    def forward(self, batch, weights, sample=True):
        """Terms of the loss, and their sum as ``total``.

        Parameters
        ----------
        batch : Batch
        weights : Weights
        sample : bool
            Whether z is sampled (in training) or the mean (for judging).
        """
        if batch.z is not None:
            terms = self.property_terms(batch.z, batch, sample)
            return {**terms, "total": weights.regression * (terms["regression"] + terms["scatter"])}
        mean, log_variance = (part.float() for part in self.vae.encode_seen(batch.seen))
        z = mean
        if sample:
            z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        reconstruction = self.reconstruction(self.vae.decoder(z), batch.seen)
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
        terms = {"reconstruction": reconstruction, "kl": kl}
        total = weights.reconstruction * reconstruction
        if weights.kl:
            total = total + weights.kl * kl
        if weights.regression:
            terms |= self.property_terms(mean, batch, sample)
            total = total + weights.regression * sum(terms[k] for k in ("regression", "scatter"))
        return {**terms, "total": total}

    def reconstruction(self, made, seen):
        """Mean squared error of the voxels of the octant."""
        squared = (made.float() - seen) ** 2 * self.vae.domain.weights
        return squared.flatten(1).sum(1).mean()

    def property_terms(self, z, batch, learning):
        """Loss of the predictor and of the deviation under scatter.

        What a predictor minimises may be no measure of how good it is (see ``gaussian_loss``):
        where it is judged, the negative log-likelihood counts. Mixed precision leaves out these
        small networks: three digits are too few for errors of a percent.
        """
        with torch.autocast(z.device.type, enabled=False):
            scatter = z.new_zeros(())
            if self.scatter is not None:
                scatter = ((self.log_scatter(z) - batch.log_scatter) ** 2).sum(-1).mean()
            predictor = self.predictor
            judged = predictor.loss(z, batch.y) if learning else predictor.judge(z, batch.y)
        return {"regression": judged, "scatter": scatter}

    def description(self):
        """What makes the same shapes again, as JSON takes it."""
        return {
            "architecture": asdict(self.architecture),
            "predictor": asdict(self.settings),
            "scatter": self.scatter is not None,
        }
