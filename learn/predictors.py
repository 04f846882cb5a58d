"""Property predictors: from latent vectors to a distribution of the standardised targets.

All share one interface. ``predictor(z)`` of (B, latent) is a ``torch.distributions`` object of
batch shape (M, B) and event shape (targets,): M hypotheses of the model about the same unit, such
as the members of an ensemble; one where the model has only one. Their spread is what the model does
not know, the deviation within each what no such model can know. ``predictor.loss(z, y)`` is what
training minimises, and ``predictor.fit(z, y)`` what is left to do after it.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from homog.errors import ParameterError

LOG_DEVIATION = (-9.0, 4.0)  # of standardised targets
BETA = 0.5  # see gaussian_loss
LAYERS, WIDEST = 16, 8192  # of a network that can be meant
HIDDEN = {"paper": (256, 128), "fast": (512, 512, 256)}  # layers that go with each autoencoder


@dataclass(frozen=True)
class PredictorSettings:
    """What determines a predictor besides the latent space.

    Parameters
    ----------
    kind : str
        One of ``KINDS``.
    targets : int
    hidden : tuple of int
        Units of the hidden layers.
    components : int
        Gaussians of a mixture; of "mdn" only.
    members : int
        Of an ensemble, masks of dropout, or samples of a posterior.
    dropout : float
        Probability to drop a hidden unit; of "mc-dropout" only.

    Raises
    ------
    ParameterError
        If a value is out of range.
    """

    kind: str = "mdn"
    targets: int = 2
    hidden: tuple = (256, 128)
    components: int = 1
    members: int = 5
    dropout: float = 0.1

    def __post_init__(self):
        object.__setattr__(self, "hidden", tuple(self.hidden))
        if self.kind not in KINDS:
            raise ParameterError(f"predictor must be one of {', '.join(KINDS)}; got {self.kind!r}")
        if self.components > 1 and self.kind != "mdn":
            raise ParameterError(f"components are those of mdn, not of {self.kind}")
        if not (1 <= self.components <= 64 and 1 <= self.members <= 256):
            raise ParameterError("components must be in 1 to 64, members in 1 to 256")
        sizes = (self.targets, *self.hidden)
        if len(sizes) - 1 not in range(1, LAYERS + 1) or not all(map(_is_size, sizes)):
            raise ParameterError(
                f"targets and 1 to {LAYERS} hidden layers must have sizes of 1 to {WIDEST}, "
                f"got {self.targets} and {self.hidden}"
            )
        if not 0 < self.dropout < 1:
            raise ParameterError(f"dropout must lie between 0 and 1, got {self.dropout}")


def _is_size(value):
    return isinstance(value, int) and 1 <= value <= WIDEST


def make_predictor(latent, settings):
    """A predictor of ``PredictorSettings`` for latent vectors of so many dimensions."""
    return KINDS[settings.kind](latent, settings)


def predictive(distribution):
    """One distribution of batch shape (B,) of the M hypotheses of a predictor.

    Parameters
    ----------
    distribution : Distribution
        Of batch shape (M, B).

    Returns
    -------
    Distribution
        Its mean and variance follow the laws of total expectation and variance.
    """
    mixed = isinstance(distribution, MixtureSameFamily)
    gaussian = distribution.component_distribution if mixed else distribution
    mean, deviation = gaussian.mean, gaussian.stddev  # (M, B, [K,] targets)
    logits = distribution.mixture_distribution.logits if mixed else mean.new_zeros(mean.shape[:-1])
    if not mixed:
        mean, deviation, logits = mean[..., None, :], deviation[..., None, :], logits[..., None]
    mean, deviation, logits = (_side_by_side(part) for part in (mean, deviation, logits))
    return mixture(independent(mean, deviation), logits)


def _side_by_side(part):
    """(M, B, K, ...) as (B, M K, ...): hypotheses become components."""
    return part.transpose(0, 1).flatten(1, 2)


def gaussian_loss(mean, log_deviation, y):
    """Negative log-likelihood of a Gaussian, weighted by the deviation to the power of 2 beta.

    The plain one (beta = 0) learns means where the deviation is small and neglects the others; the
    weight, through which no gradient goes, keeps them learning.

    References
    ----------
    Seitzer et al. (2022), On the pitfalls of heteroscedastic uncertainty estimation with
    probabilistic neural networks, ICLR.
    """
    squared = ((y - mean) * torch.exp(-log_deviation)) ** 2
    weight = torch.exp(2 * BETA * log_deviation).detach()
    return (weight * (0.5 * squared + log_deviation)).sum(-1)


def gaussian(mean, log_deviation):
    """Independent Gaussians of the targets."""
    return independent(mean, torch.exp(log_deviation))


def independent(mean, deviation):
    """Independent Gaussians of the targets, of deviations instead of their logarithms."""
    return Independent(Normal(mean, deviation, validate_args=False), 1)


def mixture(components, logits):
    """Mixture of the last batch dimension of a distribution."""
    return MixtureSameFamily(Categorical(logits=logits), components, validate_args=False)


def layers(inputs, hidden, outputs=None):
    """Linear layers with ReLU between (Table A1), with a last linear one if it has outputs."""
    sizes = [inputs, *hidden]
    parts = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*parts, *([nn.Linear(sizes[-1], outputs)] if outputs else []))


class Predictor(nn.Module):
    """What the kinds have in common."""

    def __init__(self, latent, settings):
        super().__init__()
        self.settings = settings

    def loss(self, z, y):
        """Mean loss of latent vectors (B, latent) and standardised targets (B, targets)."""
        raise NotImplementedError

    def judge(self, z, y):
        """Mean negative log-likelihood of standardised targets: what choices are made by."""
        return -predictive(self(z)).log_prob(y).mean()

    def fit(self, z, y):
        """Finish after training, with the training units; most have nothing to do."""


class MixtureDensity(Predictor):
    """Mixture density network: ``components`` Gaussians.

    References
    ----------
    Bishop (1994), Mixture density networks, Aston University.
    """

    def __init__(self, latent, settings):
        super().__init__(latent, settings)
        each = 2 * settings.targets + (settings.components > 1)
        self.network = layers(latent, settings.hidden, settings.components * each)

    def parts(self, z):
        """Means and logarithms of deviations (B, K, targets), and logits (B, K)."""
        settings = self.settings
        out = self.network(z).unflatten(-1, (settings.components, -1))
        mean, log_deviation, logits = out.tensor_split(
            (settings.targets, 2 * settings.targets), dim=-1
        )
        logits = logits.squeeze(-1) if settings.components > 1 else logits.new_zeros(out.shape[:-1])
        return mean, log_deviation.clamp(*LOG_DEVIATION), logits

    def forward(self, z):
        mean, log_deviation, logits = (part[None] for part in self.parts(z))
        if self.settings.components == 1:
            return gaussian(mean[:, :, 0], log_deviation[:, :, 0])
        return mixture(gaussian(mean, log_deviation), logits)

    def loss(self, z, y):
        if self.settings.components > 1:
            return -self(z).log_prob(y).mean()
        mean, log_deviation, _ = self.parts(z)
        return gaussian_loss(mean[:, 0], log_deviation[:, 0], y).mean()


class Deterministic(Predictor):
    """Means alone (Appendix D of the publication), with the deviation of all training residuals."""

    def __init__(self, latent, settings):
        super().__init__(latent, settings)
        self.network = layers(latent, settings.hidden, settings.targets)
        self.register_buffer("log_deviation", torch.zeros(settings.targets))

    def forward(self, z):
        mean = self.network(z)[None]
        return gaussian(mean, self.log_deviation.expand_as(mean))

    def loss(self, z, y):
        return ((self.network(z) - y) ** 2).sum(-1).mean()

    def judge(self, z, y):
        return self.loss(z, y)  # the deviation is not known before ``fit``

    def fit(self, z, y):
        residual = y - self.network(z)
        self.log_deviation.copy_(0.5 * torch.log((residual**2).mean(0)).clamp(*LOG_DEVIATION))


class Ensemble(Predictor):
    """Mixture density networks of one Gaussian that differ in where their training began.

    References
    ----------
    Lakshminarayanan, Pritzel & Blundell (2017), Simple and scalable predictive uncertainty
    estimation using deep ensembles, NeurIPS.
    """

    def __init__(self, latent, settings):
        super().__init__(latent, settings)
        self.members = nn.ModuleList(
            MixtureDensity(latent, settings) for _ in range(settings.members)
        )

    def forward(self, z):
        found = [member.parts(z) for member in self.members]
        mean, log_deviation = (torch.stack([part[i][:, 0] for part in found]) for i in range(2))
        return gaussian(mean, log_deviation)

    def loss(self, z, y):
        return torch.stack([member.loss(z, y) for member in self.members]).mean()


class MonteCarloDropout(Predictor):
    """Dropout at training, and fixed masks of it as hypotheses afterwards.

    References
    ----------
    Gal & Ghahramani (2016), Dropout as a Bayesian approximation, ICML.
    """

    def __init__(self, latent, settings):
        super().__init__(latent, settings)
        sizes = [latent, *settings.hidden]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.last = nn.Linear(sizes[-1], 2 * settings.targets)
        keep = 1 - settings.dropout
        draws = torch.Generator().manual_seed(0)
        for i, width in enumerate(settings.hidden):
            kept = torch.rand(settings.members, 1, width, generator=draws) < keep
            self.register_buffer(f"mask{i}", kept / keep)

    def _parts(self, z, dropped):
        for i, layer in enumerate(self.hidden):
            z = dropped(i, torch.relu(layer(z)))
        mean, log_deviation = self.last(z).chunk(2, dim=-1)
        return mean, log_deviation.clamp(*LOG_DEVIATION)

    def forward(self, z):
        return gaussian(*self._parts(z[None], lambda i, x: x * getattr(self, f"mask{i}")))

    def loss(self, z, y):
        probability = self.settings.dropout
        parts = self._parts(z, lambda i, x: nn.functional.dropout(x, probability, self.training))
        return gaussian_loss(*parts, y).mean()


class LastLayerLaplace(Predictor):
    """Mixture density network whose last layer of means has a Gaussian posterior.

    Given the deviations, the mean is linear in the last layer, so that the posterior under a
    Gaussian prior is exact; ``members`` fixed samples of it are the hypotheses. The width of the
    prior is the one of largest evidence.

    References
    ----------
    Daxberger et al. (2021), Laplace redux, NeurIPS.
    """

    PRECISIONS = torch.logspace(-4, 6, 21)

    def __init__(self, latent, settings):
        super().__init__(latent, settings)
        self.body = layers(latent, settings.hidden)
        width, targets = settings.hidden[-1], settings.targets
        self.mean = nn.Linear(width, targets)
        self.deviation = nn.Linear(width, targets)
        self.register_buffer("shift", torch.zeros(settings.members, width + 1, targets))

    def _parts(self, z):
        features = self.body(z)
        return features, self.mean(features), self.deviation(features).clamp(*LOG_DEVIATION)

    def forward(self, z):
        features, mean, log_deviation = self._parts(z)
        mean = mean + with_one(features) @ self.shift
        return gaussian(mean, log_deviation.expand_as(mean))

    def loss(self, z, y):
        _, mean, log_deviation = self._parts(z)
        return gaussian_loss(mean, log_deviation, y).mean()

    def fit(self, z, y):
        features, _, log_deviation = self._parts(z)
        design, draws = with_one(features).double(), torch.Generator().manual_seed(0)
        for target in range(self.settings.targets):
            precision = torch.exp(-2 * log_deviation[:, target].double())
            hessian = design.T @ (precision[:, None] * design)
            weights = torch.cat([self.mean.weight[target], self.mean.bias[target, None]]).double()
            prior = self._prior(hessian, weights)
            values, vectors = torch.linalg.eigh(hessian + prior * torch.eye(len(hessian)))
            shape = (len(hessian), self.settings.members)
            noise = torch.randn(shape, generator=draws, dtype=torch.float64)
            noise -= noise.mean(1, keepdim=True)  # the samples leave the mean where it is
            samples = vectors @ (values[:, None] ** -0.5 * noise)
            self.shift[:, :, target] = samples.T.to(self.shift.dtype)

    def _prior(self, hessian, weights):
        """Precision of the prior of largest evidence, on a grid (the optimum is flat)."""
        values = torch.linalg.eigvalsh(hessian).clamp(min=0)
        evidence = [
            len(weights) * torch.log(p) - p * (weights**2).sum() - torch.log(values + p).sum()
            for p in self.PRECISIONS.double()
        ]
        return self.PRECISIONS[int(torch.stack(evidence).argmax())].double()


def with_one(features):
    """Features and a one, for the bias."""
    return torch.cat([features, torch.ones_like(features[..., :1])], dim=-1)


KINDS = {
    "mdn": MixtureDensity,
    "deterministic": Deterministic,
    "ensemble": Ensemble,
    "mc-dropout": MonteCarloDropout,
    "laplace": LastLayerLaplace,
}
