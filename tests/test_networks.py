"""Networks of the autoencoder: Table A1, and one that is cheap and cubic by construction."""

from itertools import permutations

import pytest
import torch
from torch import nn

from homog import ParameterError
from learn.networks import (
    LOG_VARIANCE,
    VAE,
    Architecture,
    ResidualBlock,
    operations,
)

TINY = {
    "fast": Architecture("fast", latent=3, octant=8, width=16, depth=2),
    "paper": Architecture("paper", latent=3, octant=8),
}


def described(network):
    """Layers of a network: channels of those with weights, names of the others."""
    rows = []
    for layer in network:
        if isinstance(layer, nn.Linear):
            rows.append(("linear", layer.in_features, layer.out_features))
        elif isinstance(layer, nn.Conv3d | nn.ConvTranspose3d):
            window = layer.kernel_size, layer.stride, layer.padding
            assert window == ((3, 3, 3), (1, 1, 1), (1, 1, 1))
            kind = "transposed" if isinstance(layer, nn.ConvTranspose3d) else "convolution"
            rows.append((kind, layer.in_channels, layer.out_channels))
        elif not isinstance(layer, nn.Flatten | nn.Unflatten):
            rows.append(type(layer).__name__)
    return rows


def three(kind, inputs, outputs):
    """(Conv + ReLU) x 3."""
    pairs = [(inputs, outputs), (outputs, outputs), (outputs, outputs)]
    return [row for pair in pairs for row in ((kind, *pair), "ReLU")]


def test_paper_is_table_a1():
    vae = VAE(Architecture("paper"))
    assert described(vae.encoder) == [
        *three("convolution", 1, 32), "MaxPool3d",
        *three("convolution", 32, 64), "MaxPool3d",
        *three("convolution", 64, 96), "MaxPool3d",
        ("linear", 2592, 1000), "ReLU", ("linear", 1000, 100),
        ("linear", 100, 64),  # mean and variance, 32 each
    ]  # fmt: skip
    assert described(vae.decoder) == [
        ("linear", 32, 32), "ReLU", ("linear", 32, 1000), "ReLU", ("linear", 1000, 2592),
        *three("transposed", 96, 96), "Upsample",
        *three("transposed", 96, 64), "Upsample",
        *three("transposed", 64, 32), "Upsample",
        ("transposed", 32, 16), "ReLU", ("transposed", 16, 16), "ReLU",
        ("transposed", 16, 1), "Sigmoid",
    ]  # fmt: skip


def test_paper_has_the_parameters_that_table_a1_implies():
    encoder = [(1, 32), (32, 32), (32, 32), (32, 64), (64, 64), (64, 64), (64, 96), (96, 96)]
    decoder = [(96, 96)] * 3 + [(96, 64), (64, 64), (64, 64), (64, 32), (32, 32), (32, 32)]
    convolutions = [*encoder, (96, 96), *decoder, (32, 16), (16, 16), (16, 1)]
    dense = [(2592, 1000), (1000, 100), (100, 64), (32, 32), (32, 1000), (1000, 2592)]
    expected = sum(27 * a * b + b for a, b in convolutions) + sum(a * b + b for a, b in dense)
    assert sum(p.numel() for p in VAE(Architecture("paper")).parameters()) == expected


@pytest.mark.parametrize("preset", TINY)
def test_octants_become_latent_vectors_and_occupancies(preset):
    vae, octants = VAE(TINY[preset]), torch.rand(5, 8, 8, 8)
    mean, deviation = vae.encode(octants)
    assert mean.shape == deviation.shape == (5, 3)
    assert torch.all(deviation > 0)
    occupancy = vae.decode(mean)
    assert occupancy.shape == (5, 8, 8, 8)
    assert torch.all((occupancy >= 0) & (occupancy <= 1))


def test_what_fast_decodes_is_cubic():
    vae = VAE(TINY["fast"])
    occupancy = vae.decode(10 * torch.randn(4, 3, generator=torch.Generator().manual_seed(0)))
    assert occupancy.std() > 0.01
    for order in permutations((1, 2, 3)):
        assert torch.equal(occupancy.permute(0, *order), occupancy)


def test_fast_sees_permuted_octants_alike():
    vae, octants = VAE(TINY["fast"]), torch.rand(4, 8, 8, 8)
    for first, second in zip(vae.encode(octants), vae.encode(octants.transpose(1, 3)), strict=True):
        assert torch.allclose(first, second, atol=1e-5)


@pytest.mark.parametrize("factor", [1e6, -1e6])
def test_no_variance_overflows(factor):
    vae = VAE(TINY["fast"])
    nn.init.constant_(vae.encoder[-1].bias, factor)
    _, log_variance = vae.encode_seen(torch.rand(2, *vae.domain.shape))
    assert torch.all(log_variance == LOG_VARIANCE[int(factor > 0)])


def test_residual_blocks_start_as_the_identity():
    x = torch.randn(3, 7)
    assert torch.equal(ResidualBlock(7)(x), x)


def test_operations_are_those_counted_by_hand():
    width, voxels = 5, 4  # i <= j <= k < 2
    block = 2 * width * width
    encoder = voxels * width + block + width * 2 * 3
    decoder = 3 * width + block + width * voxels
    assert operations(Architecture("fast", 3, 2, width, 1)) == encoder + decoder


def test_operations_of_convolutions_count_each_voxel():
    """At 8 voxels; blocks of 32, 64 and 96 channels at 8, 4 and 2 voxels on the way down."""
    down = 27 * (8**3 * 32 * 65 + 4**3 * 64 * 160 + 2**3 * 96 * 256)
    up = 27 * (96 * 288 + 2**3 * 64 * 224 + 4**3 * 32 * 128 + 8**3 * (32 * 16 + 16 * 17))
    dense = 96 * 1000 + 1000 * 100 + 100 * 6 + 3 * 3 + 3 * 1000 + 1000 * 96
    assert operations(TINY["paper"]) == down + up + dense


def test_fast_is_at_least_six_times_cheaper_than_paper():
    assert operations(Architecture("paper")) >= 6 * operations(Architecture("fast"))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"preset": "large"}, "preset must be fast or paper, got 'large'"),
        ({"latent": 0}, "latent must be a number from 1 to 1024, got 0"),
        ({"width": 10**9}, "width must be a number"),
        ({"depth": 2.0}, "depth must be a number"),
        ({"octant": "24"}, "octant must be a number"),
        ({"preset": "paper", "octant": 12}, "12 voxels cannot be; use --preset fast"),
    ],
)
def test_shapes_that_cannot_be_are_refused(values, words):
    with pytest.raises(ParameterError, match=words):
        Architecture(**values)
