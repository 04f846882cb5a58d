"""The surrogate: what was trained, in a folder of weights and one JSON file.

Nothing in the files is executed when they are read (docs/data-format.md describes them).
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from homog import __version__
from homog.errors import DataError, ParameterError
from homog.files import write_atomically
from learn.calibration import PROBABILITIES, Calibration, interval
from learn.data import Scaler
from learn.framework import Framework
from learn.networks import Architecture
from learn.predictors import PredictorSettings, independent, mixture, predictive
from learn.uncertainty import fixed_draws, moments, moments_around, samples_around

FORMAT, VERSION = "homog surrogate", 2
DESCRIPTION, WEIGHTS = "surrogate.json", "weights.safetensors"
SHIPPED = Path(__file__).parent / "default"
LARGEST = {DESCRIPTION: 16 * 2**20, WEIGHTS: 4 * 2**30}  # bytes
TRAINING_UNITS = "training units"  # tensor of the weights
BATCH = 256  # units at a time: their samples are many more


@dataclass(frozen=True)
class Prediction:
    """A property of units, (B,) arrays in its own unit.

    ``total^2 = aleatoric^2 + epistemic^2``: scatter of the solid, and what the model does not know.
    """

    mean: np.ndarray
    aleatoric: np.ndarray
    epistemic: np.ndarray
    total: np.ndarray
    _scores: np.ndarray = field(repr=False)

    def interval(self, level=0.9):
        """Lower and upper ends, (B,) arrays, between which a share ``level`` of values lies.

        Raises
        ------
        ParameterError
            If the level leaves (0, 0.99].
        """
        if not 0 < level <= 0.99:
            raise ParameterError(f"level must lie in (0, 0.99], got {level}")
        return interval(self.mean, self.total, self._scores, level)

    def select(self, chosen):
        """The predictions of some of the units, by their indices."""
        parts = (self.mean, self.aleatoric, self.epistemic, self.total)
        return Prediction(*(part[chosen] for part in parts), self._scores)


class Surrogate:
    """Octants to latent vectors and back, and latent vectors to properties with uncertainty.

        >>> surrogate = learn.Surrogate.load()
        >>> z = surrogate.encode(dataset.octants[:100])
        >>> E = surrogate.predict_with_uncertainty(z)["E"]
        >>> E.mean, E.aleatoric, E.epistemic, E.total, E.interval(0.9)

    Arrays are those of numpy, in and out.

    Parameters
    ----------
    framework : Framework
    targets : tuple of str
        Names of the properties.
    scaler : Scaler
    calibration : Calibration
    origin : dict
        What it was trained on: hash of the units, solid, scatter.
    notes : dict
        Metrics and whatever else is good to know; not needed to predict.
    """

    def __init__(self, framework, targets, scaler, calibration, origin, notes=None):
        self.framework = framework.eval().requires_grad_(False)
        self.targets, self.scaler, self.calibration = tuple(targets), scaler, calibration
        self.origin, self.notes = origin, notes or {}

    @property
    def architecture(self):
        """The ``Architecture`` of the autoencoder."""
        return self.framework.architecture

    @property
    def device(self):
        return next(self.framework.parameters()).device

    def to(self, device):
        """The same surrogate on another device, such as "cuda"."""
        self.framework.to(device)
        return self

    def check_solid(self, solid):
        """Refuse labels of another solid than those that it was trained on.

        Parameters
        ----------
        solid : mapping
            Attributes of the labels.

        Raises
        ------
        DataError
        """
        if any(solid.get(name) != self.origin[name] for name in ("E", "nu")):
            raise DataError("labels of another solid than the surrogate's; label it again")

    def encode(self, octants):
        """Latent vectors: means of z.

        Parameters
        ----------
        octants : (B, n, n, n) array
            Occupancy in [0, 1], or bool.

        Returns
        -------
        (B, latent) array

        Raises
        ------
        ParameterError
            If the octants have another size, or values that are none.
        """
        return self.encode_with_deviation(octants)[0]

    def encode_with_deviation(self, octants):
        """Means and standard deviations of z, (B, latent) arrays; see ``encode``."""
        octants, n = np.asarray(octants), self.architecture.octant
        if octants.ndim != 4 or octants.shape[1:] != (n,) * 3:
            raise ParameterError(f"expected octants (B, {n}, {n}, {n}), got {octants.shape}")
        numbers = octants.dtype.kind in "bfiu"
        if not (numbers and np.all((octants >= 0) & (octants <= 1))):
            raise ParameterError("octants must hold occupancies from 0 to 1")
        return self._batches(self.framework.vae.encode, octants)

    def decode(self, z):
        """Occupancy in [0, 1] of latent vectors (B, latent), (B, n, n, n) array."""
        return self._batches(lambda z: (self.framework.vae.decode(z),), self._checked(z))[0]

    def predict(self, z):
        """Distribution of the targets in their own units, without sampling or recalibration.

        Parameters
        ----------
        z : (B, latent) array

        Returns
        -------
        torch.distributions.Distribution
            Of batch shape (B,) and event shape (targets,).
        """
        z = torch.as_tensor(self._checked(z), dtype=torch.float32, device=self.device)
        with torch.no_grad():
            distribution = predictive(self.framework.predictor(z))
        gaussian = distribution.component_distribution
        mean, deviation = (
            torch.as_tensor(part, dtype=torch.float32, device=self.device)
            for part in (self.scaler.mean, self.scaler.deviation)
        )
        restored = independent(gaussian.mean * deviation + mean, gaussian.stddev * deviation)
        return mixture(restored, distribution.mixture_distribution.logits)

    def predict_with_uncertainty(self, z, samples=80, calibrated=True):
        """Properties of the units that latent vectors decode to, with uncertainty (Eq. 6 to 9).

        Parameters
        ----------
        z : (B, latent) array
        samples : int
            Points of the latent space for each unit, the same draws every time.
        calibrated : bool
            Whether deviations are those that held on validation units.

        Returns
        -------
        dict
            ``{name: Prediction}``
        """
        return self.predictions(self.sampled(z, samples), calibrated)

    def sampled(self, z, samples=80):
        """What ``predictions`` takes, from ``samples`` points around what each z decodes to.

        The part that takes time: for predictions with and without recalibration it is done once.
        """
        draws = fixed_draws(samples, self.architecture.latent).to(self.device)
        return self._batches(lambda z: _parts(moments(self.framework, z, draws)), self._checked(z))

    def predict_octants(self, octants, samples=80, calibrated=True):
        """Properties of octants as they are, not of what they decode to.

        A cell shifted by half its edges is the same material, but another octant: both are
        encoded, and what they disagree in counts as epistemic.

        Parameters
        ----------
        octants : (B, n, n, n) array
        samples : int
            Points of the latent space around each of the two; 0 for their means alone.
        calibrated : bool
            Whether deviations are those that held on validation units.

        Returns
        -------
        dict
            ``{name: Prediction}``
        """
        return self.predictions(self.sampled_octants(octants, samples), calibrated)

    def sampled_octants(self, octants, samples=80):
        """What ``predictions`` takes, see ``predict_octants``."""
        around = self._around(samples)
        return self._batches(lambda z: _parts(around(moments_around, z)), self._latent(octants))

    def samples_of_octants(self, octants, samples=80):
        """Means, variances and scatter at samples of octants; see ``uncertainty.samples_around``.

        Returns
        -------
        list of (B, hypotheses, 2 samples, targets) array
        """
        around = self._around(samples)
        return self._batches(lambda z: around(samples_around, z), self._latent(octants))

    def factors(self, octants):
        """Factors that recalibration multiplies the deviations of octants by, (B, targets)."""
        means, _ = np.split(self._latent(octants), 2, axis=-1)
        return self.calibration.factors(means)

    def _latent(self, octants):
        """Means and deviations of z of cells as they are and shifted, (B, 2, 2 latent)."""
        octants = np.asarray(octants)
        views = (octants, np.flip(octants, axis=tuple(range(1, octants.ndim))))
        return np.stack(
            [np.concatenate(self.encode_with_deviation(view), axis=1) for view in views], axis=1
        )

    def _around(self, samples):
        """Calls a function of ``learn.uncertainty`` for what ``_latent`` found."""
        latent = self.architecture.latent
        draws = fixed_draws(samples, latent) if samples else torch.zeros(1, latent)
        draws = draws.to(self.device)
        return lambda function, z: function(self.framework, *z.chunk(2, dim=-1), draws)

    def predictions(self, parts, calibrated=True):
        """Predictions, ``{name: Prediction}``, of what ``sampled`` found."""
        *parts, center = parts
        mean, aleatoric, epistemic, total = (np.asarray(part, float) for part in parts)
        known = self.calibration if calibrated else Calibration.none(len(self.targets))
        factors = known.factors(center)
        if calibrated and self.framework.scatter is None:  # nothing tells the two apart
            aleatoric, epistemic, total = (factors * p for p in (aleatoric, epistemic, total))
        elif calibrated:
            total = np.maximum(factors * total, aleatoric)
            epistemic = np.sqrt(total**2 - aleatoric**2)
        unit = self.scaler.deviation
        return {
            name: Prediction(
                self.scaler.restore(mean)[:, i],
                *(part[:, i] * unit[i] for part in (aleatoric, epistemic, total)),
                known.scores[i],
            )
            for i, name in enumerate(self.targets)
        }

    def _checked(self, z):
        z, latent = np.asarray(z, np.float32), self.architecture.latent
        if z.ndim != 2 or z.shape[1] != latent or not np.all(np.isfinite(z)):
            raise ParameterError(f"expected finite latent vectors (B, {latent}), got {z.shape}")
        return z

    def _batches(self, function, array):
        """Arrays that a function makes of batches of an array."""
        parts = []
        with torch.no_grad():
            for start in range(0, max(len(array), 1), BATCH):
                batch = np.ascontiguousarray(array[start : start + BATCH], np.float32)
                made = function(torch.from_numpy(batch).to(self.device))
                parts.append([part.cpu().numpy() for part in made])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def save(self, folder, half=False):
        """Write the folder; a crash leaves the old surrogate, the new one, or none: no mixture.

        Parameters
        ----------
        folder : str or Path
        half : bool
            Whether weights are stored in half precision.

        Raises
        ------
        OSError
            If writing fails.
        """
        folder = Path(folder)
        folder.mkdir(exist_ok=True)
        kind = torch.float16 if half else torch.float32
        state = self.framework.state_dict()
        if self.calibration.known:
            state[TRAINING_UNITS] = torch.from_numpy(self.calibration.known.z)
        weights = save_tensors({k: v.cpu().to(kind).contiguous() for k, v in state.items()})
        text = json.dumps(self._description(weights), indent=1)
        (folder / DESCRIPTION).unlink(missing_ok=True)
        write_atomically(folder / WEIGHTS, weights)
        write_atomically(folder / DESCRIPTION, text.encode())

    def _description(self, weights):
        return {
            "format": FORMAT,
            "version": VERSION,
            "writer": f"homog {__version__}, torch {torch.__version__}",
            "weights": _digest(weights),
            "framework": self.framework.description(),
            "targets": list(self.targets),
            "scaler": {k: v.tolist() for k, v in asdict(self.scaler).items()},
            "calibration": self.calibration.description(),
            "origin": self.origin,
            "notes": self.notes,
        }

    @classmethod
    def load(cls, path=None):
        """Read a surrogate; the one that comes with the package if no folder is named.

        Raises
        ------
        ParameterError
            If there is no such folder.
        DataError
            If it holds no surrogate, a newer one, or a damaged one.
        """
        folder = SHIPPED if path is None else Path(path)
        if not (folder / DESCRIPTION).is_file():
            raise ParameterError(f"{folder}: no surrogate there; homog train makes one")
        text, weights = (_read(folder / name) for name in (DESCRIPTION, WEIGHTS))
        try:
            return cls(*_parsed(text, weights))
        except DataError as error:
            raise DataError(f"{folder}: {error}") from error
        except Exception as error:  # whatever a wrong file leads to; safetensors has its own class
            raise DataError(f"{folder}: not a surrogate, or damaged ({error})") from error


def _parts(found):
    return found.mean, found.aleatoric, found.epistemic, found.total, found.center


def _digest(content):
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _read(path):
    try:
        if path.stat().st_size > LARGEST[path.name]:
            raise DataError(f"{path}: larger than any surrogate; it is something else")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; copy or train the surrogate again") from error


def _parsed(text, weights):
    """Arguments of ``Surrogate`` from the contents of its two files."""
    said = json.loads(text)
    if said.get("format") != FORMAT:
        raise DataError("not a surrogate of homog; homog train makes one")
    if said["version"] > VERSION:
        raise DataError(f"version {said['version']} of the format; update homog to read it")
    if said["weights"] != _digest(weights):
        raise DataError("the weights are not those of the description; copy or train both again")
    made = said["framework"]
    settings = PredictorSettings(**made["predictor"])
    shapes = Architecture(**made["architecture"]), settings, bool(made["scatter"])
    tensors = {k: v.float() for k, v in load_tensors(weights).items()}
    known = tensors.pop(TRAINING_UNITS, None)
    with torch.device("meta"):  # takes no memory, whatever the description says
        expected = Framework(*shapes).state_dict()
    if {k: v.shape for k, v in expected.items()} != {k: v.shape for k, v in tensors.items()}:
        raise DataError("the weights do not have the shapes of the description; train it again")
    framework = Framework(*shapes)
    framework.load_state_dict(tensors)
    targets = tuple(map(str, said["targets"]))
    scaler = Scaler(*(np.array(said["scaler"][k], float) for k in ("mean", "deviation")))
    calibration = Calibration.described(said["calibration"], settings.targets, known)
    if calibration.known and not calibration.known.fits(shapes[0].latent):
        raise DataError("the training units make no sense; copy or train the surrogate again")
    parts = calibration.factor, calibration.scores, calibration.method, calibration.power
    each = targets, scaler.mean, scaler.deviation, *parts
    if {len(part) for part in each} != {settings.targets} or calibration.scores.shape[
        1:
    ] != PROBABILITIES.shape:
        raise DataError("the numbers of targets differ; copy or train the surrogate again")
    return framework, targets, scaler, calibration, said["origin"], said["notes"]
