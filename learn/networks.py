"""Networks of the variational autoencoder: what encodes octants, and what decodes latent vectors.

Two presets. ``paper`` is Table A1 of the publication: three-dimensional convolutions on the octant.
``fast`` is made for a CPU: residual layers on the asymmetric unit of the octant, a sixth of its
voxels, so that what it decodes is cubic by construction.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from homog.errors import ParameterError
from learn.octants import AsymmetricUnit, WholeOctant

LARGEST = {"latent": 1024, "octant": 128, "width": 8192, "depth": 64}
LOG_VARIANCE = (-14.0, 6.0)  # the encoder's stays within, so that no exponential overflows


@dataclass(frozen=True)
class Architecture:
    """What determines the shapes of all weights.

    Parameters
    ----------
    preset : str
        "fast" or "paper".
    latent : int
        Dimensions of the latent space.
    octant : int
        Voxels along an edge of the octant; "paper" takes multiples of 8.
    width, depth : int
        Units and residual blocks of the layers of "fast".

    Raises
    ------
    ParameterError
        If a value is out of range.
    """

    preset: str = "fast"
    latent: int = 32
    octant: int = 24
    width: int = 512
    depth: int = 2

    def __post_init__(self):
        if self.preset not in PRESETS:
            raise ParameterError(f"preset must be fast or paper, got {self.preset!r}")
        for name, most in LARGEST.items():
            value = getattr(self, name)
            if not (isinstance(value, int) and 1 <= value <= most):
                raise ParameterError(f"{name} must be a number from 1 to {most}, got {value!r}")
        if self.preset == "paper" and self.octant % 8:
            raise ParameterError(
                f"preset paper halves octants three times, {self.octant} voxels cannot be; "
                "use --preset fast"
            )


class VAE(nn.Module):
    """Variational autoencoder of octants.

    Parameters
    ----------
    architecture : Architecture

    References
    ----------
    Kingma & Welling (2014), Auto-encoding variational Bayes, ICLR.
    """

    def __init__(self, architecture):
        super().__init__()
        _, encoder, decoder = PRESETS[architecture.preset]
        self.domain = make_domain(architecture)
        self.encoder = encoder(architecture)
        self.decoder = decoder(architecture)

    def encode_seen(self, seen):
        """Mean and logarithm of the variance of z, (B, latent), of what the network sees."""
        mean, log_variance = self.encoder(2 * seen - 1).chunk(2, dim=-1)
        return mean, log_variance.clamp(*LOG_VARIANCE)

    def encode(self, octants):
        """Mean and standard deviation of z, (B, latent), of octants (B, n, n, n) in [0, 1]."""
        mean, log_variance = self.encode_seen(self.domain.reduce(octants))
        return mean, torch.exp(0.5 * log_variance)

    def decode(self, z):
        """Occupancy in [0, 1], (B, n, n, n), of latent vectors (B, latent)."""
        return self.domain.expand(self.decoder(z))


class ResidualBlock(nn.Module):
    """x + W2 gelu(W1 norm(x)), which starts as the identity."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x):
        return x + self.outer(nn.functional.gelu(self.inner(self.norm(x))))


def dense(inputs, outputs, architecture):
    """Residual layers of one width between a linear layer on each side."""
    width = architecture.width
    blocks = [ResidualBlock(width) for _ in range(architecture.depth)]
    return [nn.Linear(inputs, width), *blocks, nn.LayerNorm(width), nn.Linear(width, outputs)]


def dense_encoder(architecture):
    (voxels,) = AsymmetricUnit(architecture.octant).shape
    return nn.Sequential(*dense(voxels, 2 * architecture.latent, architecture))


def dense_decoder(architecture):
    (voxels,) = AsymmetricUnit(architecture.octant).shape
    return nn.Sequential(*dense(architecture.latent, voxels, architecture), nn.Sigmoid())


CHANNELS = (32, 64, 96)  # Table A1
HIDDEN, BOTTLENECK, LAST = 1000, 100, 16


def convolutions(layer, inputs, outputs, count=3):
    """Three-dimensional convolutions of 3 x 3 x 3, each with ReLU."""
    sizes = [inputs, *[outputs] * count]
    pairs = pairwise(sizes)
    return [part for a, b in pairs for part in (layer(a, b, 3, padding=1), nn.ReLU())]


def convolutional_encoder(architecture):
    first, second, third = CHANNELS
    flat = third * (architecture.octant // 8) ** 3
    return nn.Sequential(
        *convolutions(nn.Conv3d, 1, first), nn.MaxPool3d(2),
        *convolutions(nn.Conv3d, first, second), nn.MaxPool3d(2),
        *convolutions(nn.Conv3d, second, third), nn.MaxPool3d(2),
        nn.Flatten(), nn.Linear(flat, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, BOTTLENECK),
        nn.Linear(BOTTLENECK, 2 * architecture.latent),
    )  # fmt: skip


def convolutional_decoder(architecture):
    first, second, third = CHANNELS
    edge, latent, transposed = architecture.octant // 8, architecture.latent, nn.ConvTranspose3d
    return nn.Sequential(
        nn.Linear(latent, latent), nn.ReLU(), nn.Linear(latent, HIDDEN), nn.ReLU(),
        nn.Linear(HIDDEN, third * edge**3), nn.Unflatten(1, (third, edge, edge, edge)),
        *convolutions(transposed, third, third), nn.Upsample(scale_factor=2),
        *convolutions(transposed, third, second), nn.Upsample(scale_factor=2),
        *convolutions(transposed, second, first), nn.Upsample(scale_factor=2),
        *convolutions(transposed, first, LAST, 2), transposed(LAST, 1, 3, padding=1), nn.Sigmoid(),
    )  # fmt: skip


PRESETS = {
    "fast": (AsymmetricUnit, dense_encoder, dense_decoder),
    "paper": (WholeOctant, convolutional_encoder, convolutional_decoder),
}


def make_domain(architecture):
    """How octants are seen: a module of ``learn.octants``."""
    return PRESETS[architecture.preset][0](architecture.octant)


def operations(architecture):
    """Multiplications to encode and decode one unit, counted in its linear and convolution layers.

    Parameters
    ----------
    architecture : Architecture

    Returns
    -------
    int
    """
    counted = 0

    def count(module, _, output):
        nonlocal counted
        positions = output[0].numel() // output.shape[1]
        counted += positions * module.weight.numel()

    with torch.device("meta"):
        vae = VAE(architecture)
        layers = (nn.Linear, nn.Conv3d, nn.ConvTranspose3d)
        for module in vae.modules():
            if isinstance(module, layers):
                module.register_forward_hook(count)
        seen = torch.zeros(1, *vae.domain.shape)
        vae.decoder(vae.encode_seen(seen)[0])
    return counted
