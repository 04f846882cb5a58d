"""The surrogate: arrays in and out in physical units, and a folder that is safe to read."""

import json
import pickle
import shutil
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import toys
from safetensors.torch import load, save

import learn
from homog import DataError, ParameterError
from homog.units.family import unfold
from learn import surrogate as module
from learn.calibration import NEAR, PROBABILITIES, Calibration, Known
from learn.data import Scaler
from learn.predictors import PredictorSettings
from learn.surrogate import DESCRIPTION, WEIGHTS, Surrogate, _digest

KINDS = ("mdn", "deterministic", "ensemble", "mc-dropout", "laplace")
ORIGIN = {"units": "00ff", "E": 70e3, "nu": 0.33, "scatter": 0.01, "split seed": 0}
SCALER = Scaler(np.array([5e3, 0.2]), np.array([2e3, 0.05]))


def made(kind="mdn", scatter=True, calibration=None, **options):
    """A surrogate of random weights, of E and nu."""
    settings = PredictorSettings(kind, hidden=(16, 8), members=4, **options)
    framework = toys.framework(settings, scatter)
    known = calibration or Calibration.none(2)
    return Surrogate(framework, ("E", "nu"), SCALER, known, ORIGIN, {"note": 1})


def calibration(*factor):
    scores = np.sort(np.random.default_rng(0).normal(size=(2, len(PROBABILITIES))))
    known = Known(np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32), 0.5)
    power = np.array([0.4, 0.0])
    return Calibration(np.array(factor), scores, ("gaussian", "isotonic"), power, known)


def latent(count=5):
    return np.random.default_rng(3).normal(size=(count, 3))


@pytest.fixture
def saved(tmp_path):
    """Folder of a surrogate."""
    made(calibration=calibration(0.5, 2.0)).save(tmp_path / "model")
    return tmp_path / "model"


def rewritten(folder, change):
    """Change the description in a folder."""
    said = json.loads((folder / DESCRIPTION).read_text())
    change(said)
    (folder / DESCRIPTION).write_text(json.dumps(said))


def with_weights(folder, content):
    """Replace the weights in a folder, and their digest in the description."""
    (folder / WEIGHTS).write_bytes(content)
    rewritten(folder, lambda said: said.update(weights=_digest(content)))


def assert_same_predictions(first, second, z, **tolerance):
    for name in first.targets:
        one, other = (s.predict_with_uncertainty(z)[name] for s in (first, second))
        for part in ("mean", "aleatoric", "epistemic", "total"):
            assert getattr(one, part) == pytest.approx(getattr(other, part), **tolerance)
        for ends in zip(one.interval(0.8), other.interval(0.8), strict=True):
            assert ends[0] == pytest.approx(ends[1], **tolerance)


@pytest.mark.parametrize("scatter", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_gives_the_surrogate_back(kind, scatter, tmp_path):
    surrogate = made(kind, scatter, calibration(0.5, 2.0))
    surrogate.save(tmp_path / "model")
    again = Surrogate.load(tmp_path / "model")
    assert_same_predictions(again, surrogate, latent(), rel=1e-5)
    assert np.array_equal(again.decode(latent()), surrogate.decode(latent()))
    assert (again.targets, again.origin, again.notes) == (("E", "nu"), ORIGIN, {"note": 1})
    assert again.architecture == toys.SMALL
    assert again.framework.settings == surrogate.framework.settings
    assert again.calibration.method == ("gaussian", "isotonic")
    assert np.array_equal(again.calibration.known.z, surrogate.calibration.known.z)


def test_a_folder_of_version_1_knows_no_training_units(tmp_path):
    surrogate = made(calibration=Calibration.none(2))
    surrogate.save(tmp_path / "model")

    def older(said):
        said["version"] = 1
        del said["calibration"]["power"], said["calibration"]["typical"]

    rewritten(tmp_path / "model", older)
    assert_same_predictions(Surrogate.load(tmp_path / "model"), surrogate, latent(), rel=1e-5)


def test_half_precision_is_half_as_large_and_close(tmp_path):
    surrogate = made("mc-dropout")
    for half in (False, True):
        surrogate.save(tmp_path / str(half), half)
    full, small = ((tmp_path / str(half) / WEIGHTS).stat().st_size for half in (False, True))
    assert small < 0.65 * full  # names and shapes take place too
    again = Surrogate.load(tmp_path / "True")
    assert {p.dtype for p in again.framework.parameters()} == {torch.float32}
    assert_same_predictions(again, surrogate, latent(), rel=0.02)


def test_saving_again_replaces_the_surrogate(saved):
    other = made("laplace")
    other.save(saved)
    assert_same_predictions(Surrogate.load(saved), other, latent(), rel=1e-5)
    assert sorted(path.name for path in saved.iterdir()) == [DESCRIPTION, WEIGHTS]


def test_a_crash_while_saving_never_leaves_a_mixture(saved, monkeypatch):
    def crash(path, content):
        if path.name == DESCRIPTION:
            raise KeyboardInterrupt
        path.write_bytes(content)

    monkeypatch.setattr(module, "write_atomically", crash)
    with pytest.raises(KeyboardInterrupt):
        made("laplace").save(saved)
    with pytest.raises(ParameterError, match="no surrogate there"):
        Surrogate.load(saved)


def test_latent_vectors_are_the_means_of_octants():
    surrogate, octants = made(), toys.octants(6)[0]
    with torch.no_grad():
        mean, deviation = surrogate.framework.vae.encode(torch.from_numpy(octants).float())
    found = surrogate.encode_with_deviation(octants)
    assert np.array_equal(surrogate.encode(octants), mean)
    assert np.array_equal(found[0], mean)
    assert np.array_equal(found[1], deviation)


def as_fortran(octants):
    return np.asfortranarray(octants)


@pytest.mark.parametrize(
    "change",
    [np.float64, np.uint8, np.dtype(">f4"), np.dtype(">i8"), as_fortran],
    ids=["float64", "uint8", "big-endian", "big-endian integers", "Fortran order"],
)
def test_octants_of_any_type_have_the_same_latent_vectors(change):
    surrogate, octants = made(), toys.octants(3)[0]
    changed = change(octants) if change is as_fortran else octants.astype(change)
    assert np.array_equal(surrogate.encode(changed), surrogate.encode(octants))


def test_what_is_decoded_are_occupancies():
    occupancy = made().decode(latent())
    assert occupancy.shape == (5, 8, 8, 8)
    assert np.all((occupancy >= 0) & (occupancy <= 1))
    assert np.array_equal(occupancy, occupancy.transpose(0, 3, 2, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_predict_is_in_physical_units(kind):
    surrogate, z = made(kind), latent()
    found = surrogate.predict(z)
    assert found.batch_shape == (5,)
    assert found.event_shape == (2,)
    with torch.no_grad():
        each = surrogate.framework.predictor(torch.from_numpy(z).float())
        mean, variance = each.mean.double().numpy(), each.variance.double().numpy()
    assert found.mean.numpy() == pytest.approx(SCALER.restore(mean.mean(0)), rel=1e-4)
    total = np.sqrt(variance.mean(0) + mean.var(0)) * SCALER.deviation
    assert found.stddev.numpy() == pytest.approx(total, rel=2e-3)


def test_density_is_that_of_the_values_in_their_units():
    surrogate, z = made(components=3), latent()
    found = surrogate.predict(z)
    value = torch.from_numpy(SCALER.restore(np.zeros((5, 2)))).float()
    with torch.no_grad():
        plain = surrogate.framework.predictor(torch.from_numpy(z).float()).log_prob(
            torch.zeros(5, 2)
        )[0]
    expected = plain.numpy() - np.log(SCALER.deviation).sum()
    assert found.log_prob(value).numpy() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("kind", ["mdn", "ensemble"])
def test_without_latent_spread_uncertainty_is_that_of_the_plain_prediction(kind, monkeypatch):
    """At what is decoded and encoded again."""
    surrogate, z = made(kind, scatter=False), latent()
    monkeypatch.setattr(module, "fixed_draws", lambda samples, size: torch.zeros(samples, size))
    found = surrogate.predict_with_uncertainty(z, samples=1)
    plain = surrogate.predict(surrogate.encode(surrogate.decode(z)))
    for index, name in enumerate(("E", "nu")):
        assert found[name].mean == pytest.approx(plain.mean[:, index].numpy(), rel=1e-4)
        assert found[name].total == pytest.approx(plain.stddev[:, index].numpy(), rel=2e-3)


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("scatter", [True, False])
@pytest.mark.parametrize("factor", [0.1, 1.0, 3.0])
def test_squares_of_the_parts_add_up_to_the_total(scatter, factor, calibrated):
    surrogate = made("ensemble", scatter, calibration(factor, factor))
    for found in surrogate.predict_with_uncertainty(latent(), calibrated=calibrated).values():
        assert found.aleatoric**2 + found.epistemic**2 == pytest.approx(found.total**2, rel=1e-6)
        assert np.all(found.epistemic >= 0)


@pytest.mark.parametrize("factor", [0.3, 2.0])
def test_recalibration_multiplies_the_total(factor):
    """All of it where nothing tells scatter from errors, else what is beyond the scatter."""
    z, known = latent(), calibration(factor, factor)
    for scatter in (True, False):
        surrogate = made("ensemble", scatter, known)
        center = surrogate.encode(surrogate.decode(z))
        distance = np.linalg.norm(center[:, None] - known.known.z, axis=-1).min(1) / 0.5
        factors = {"E": factor * np.maximum(distance, NEAR) ** 0.4, "nu": factor}
        raw, right = (surrogate.predict_with_uncertainty(z, calibrated=c) for c in (False, True))
        for name in ("E", "nu"):
            assert np.array_equal(right[name].mean, raw[name].mean)
            expected = factors[name] * raw[name].total
            if scatter:
                expected = np.maximum(expected, raw[name].aleatoric)
                assert np.array_equal(right[name].aleatoric, raw[name].aleatoric)
            else:
                assert right[name].aleatoric == pytest.approx(factors[name] * raw[name].aleatoric)
            assert right[name].total == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scatter", [True, False])
def test_octants_are_as_far_as_both_their_views(scatter):
    surrogate = made(scatter=scatter, calibration=calibration(0.5, 2.0))
    octants = toys.octants(4)[0]
    views = [surrogate.encode(o) for o in (octants, np.flip(octants, (1, 2, 3)))]
    known = surrogate.calibration.known.z
    far = [np.linalg.norm(z[:, None] - known, axis=-1).min(1) / 0.5 for z in views]
    distance = np.sqrt(np.maximum(far[0], NEAR) * np.maximum(far[1], NEAR))
    expected = np.column_stack([0.5 * distance**0.4, np.full(4, 2.0)])
    assert surrogate.factors(octants) == pytest.approx(expected, rel=1e-5)
    raw, right = (surrogate.predict_octants(octants, calibrated=c) for c in (False, True))
    stated = np.maximum(expected[:, 0] * raw["E"].total, raw["E"].aleatoric if scatter else 0)
    assert right["E"].total == pytest.approx(stated, rel=1e-5)


def test_intervals_are_those_of_the_scores():
    surrogate = made(calibration=calibration(1.0, 1.0))
    found = surrogate.predict_with_uncertainty(latent())["nu"]
    lower, upper = found.interval(0.9)
    scores = np.interp([0.05, 0.95], PROBABILITIES, surrogate.calibration.scores[1])
    assert lower == pytest.approx(found.mean + scores[0] * found.total)
    assert upper == pytest.approx(found.mean + scores[1] * found.total)
    raw = surrogate.predict_with_uncertainty(latent(), calibrated=False)["nu"]
    assert raw.interval(0.9)[1] == pytest.approx(raw.mean + 1.645 * raw.total, rel=1e-3)


@pytest.mark.parametrize("level", [0.0, 0.995, -1.0, float("nan")])
def test_levels_of_no_interval_are_refused(level):
    with pytest.raises(ParameterError, match=r"level must lie in \(0, 0.99\]"):
        made().predict_with_uncertainty(latent())["E"].interval(level)


def test_octants_as_they_are_need_no_decoding():
    """Predictions are those around the latent means of a cell and of the same cell shifted."""
    surrogate, octants = made(), toys.octants(4)[0]
    cells = np.roll(unfold(octants), [octants.shape[1]] * 3, axis=(1, 2, 3))
    shifted = cells[:, : octants.shape[1], : octants.shape[1], : octants.shape[1]]
    draws, each = module.fixed_draws(80, 3), []
    for view in (octants, shifted):
        mean, deviation = map(torch.from_numpy, surrogate.encode_with_deviation(view))
        z = mean[:, None] + deviation[:, None] * draws
        with torch.no_grad():
            predicted = surrogate.framework.predictor(z.flatten(0, 1)).mean[0]
        each.append(predicted.unflatten(0, (4, 80)))
    assert not np.allclose(each[0], each[1], rtol=1e-3)
    found, again = surrogate.predict_octants(octants), surrogate.predict_octants(shifted)
    for index, name in enumerate(("E", "nu")):
        expected = SCALER.restore(torch.cat(each, 1).mean(1).numpy())[:, index]
        assert found[name].mean == pytest.approx(expected, rel=1e-4)
        assert again[name].mean == pytest.approx(found[name].mean, rel=1e-5)
        assert again[name].total == pytest.approx(found[name].total, rel=1e-4)


def test_batches_give_the_same_as_all_at_once(monkeypatch):
    surrogate, octants, z = made(), toys.octants(11)[0], latent(11)
    whole = surrogate.encode(octants), surrogate.decode(z), surrogate.predict_with_uncertainty(z)
    monkeypatch.setattr(module, "BATCH", 4)
    parts = surrogate.encode(octants), surrogate.decode(z), surrogate.predict_with_uncertainty(z)
    assert parts[0] == pytest.approx(whole[0], rel=1e-4, abs=1e-6)
    assert parts[1] == pytest.approx(whole[1], rel=1e-4)
    for name in ("E", "nu"):
        assert parts[2][name].total == pytest.approx(whole[2][name].total, rel=1e-4)
    alone = surrogate.predict_with_uncertainty(z[7:8])["E"]
    assert alone.mean == pytest.approx(whole[2]["E"].mean[7:8], rel=1e-5)


@pytest.mark.filterwarnings("error")
def test_of_no_units_there_is_nothing_to_say():
    surrogate = made()
    assert surrogate.encode(np.zeros((0, 8, 8, 8))).shape == (0, 3)
    assert surrogate.decode(np.zeros((0, 3))).shape == (0, 8, 8, 8)
    assert surrogate.predict_with_uncertainty(np.zeros((0, 3)))["E"].total.shape == (0,)


@pytest.mark.parametrize(
    ("octants", "words"),
    [
        (np.zeros((8, 8, 8)), r"expected octants \(B, 8, 8, 8\), got \(8, 8, 8\)"),
        (np.zeros((2, 16, 16, 16)), r"expected octants \(B, 8, 8, 8\), got \(2, 16, 16, 16\)"),
        (np.full((1, 8, 8, 8), 2), "occupancies from 0 to 1"),
        (np.full((1, 8, 8, 8), -0.1), "occupancies from 0 to 1"),
        (np.full((1, 8, 8, 8), np.nan), "occupancies from 0 to 1"),
        (np.full((1, 8, 8, 8), "solid"), "occupancies from 0 to 1"),
        (np.full((1, 8, 8, 8), 1j), "occupancies from 0 to 1"),
        (np.full((1, 8, 8, 8), None), "occupancies from 0 to 1"),
    ],
)
def test_octants_that_are_none_are_refused(octants, words):
    with pytest.raises(ParameterError, match=words):
        made().encode(octants)


@pytest.mark.parametrize(
    "z", [np.zeros(3), np.zeros((2, 4)), np.full((1, 3), np.nan), np.full((1, 3), 1e300)]
)
@pytest.mark.parametrize("method", ["decode", "predict", "predict_with_uncertainty"])
@pytest.mark.filterwarnings("ignore:overflow")
def test_latent_vectors_that_are_none_are_refused(method, z):
    with pytest.raises(ParameterError, match=r"expected finite latent vectors \(B, 3\), got \("):
        getattr(made(), method)(z)


def test_no_samples_are_refused():
    with pytest.raises(ParameterError, match="samples must be 1 or more, got 0"):
        made().predict_with_uncertainty(latent(), samples=0)


@pytest.mark.parametrize("name", ["", "missing", DESCRIPTION])
def test_folders_without_a_surrogate_are_refused(name, tmp_path):
    (tmp_path / DESCRIPTION).mkdir()
    with pytest.raises(ParameterError, match="no surrogate there; homog train makes one"):
        Surrogate.load(tmp_path / name)


def changed(**entries):
    return lambda said: said.update(entries)


def changed_in(part, **entries):
    return lambda said: said[part].update(entries)


def framework_with(part, **entries):
    return lambda said: said["framework"][part].update(entries)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed(format="homog dataset"), "not a surrogate of homog; homog train makes one"),
        (lambda said: said.clear(), "not a surrogate of homog"),
        (changed(version=3), "version 3 of the format; update homog to read it"),
        (changed(version="one"), "not a surrogate, or damaged"),
        (lambda said: said.pop("scaler"), "not a surrogate, or damaged"),
        (changed(weights="00"), "the weights are not those of the description"),
        (framework_with("architecture", width=25), "do not have the shapes of the description"),
        (framework_with("predictor", hidden=[16]), "do not have the shapes of the description"),
        (framework_with("architecture", preset="huge"), "preset must be fast or paper"),
        (framework_with("architecture", width="24"), "width must be a number"),
        (framework_with("architecture", eval="print()"), "not a surrogate, or damaged"),
        (framework_with("predictor", kind="os.system"), "predictor must be one of"),
        (framework_with("predictor", hidden="ab"), "must have sizes of 1 to 8192, got 2 and"),
        (framework_with("predictor", targets=-1), "must have sizes of 1 to 8192, got -1 and"),
        (framework_with("predictor", hidden=[16] * 10**5), "targets and 1 to 16 hidden layers"),
        (changed(targets=["E"]), "the numbers of targets differ"),
        (changed_in("scaler", mean=[1.0]), "the numbers of targets differ"),
        (changed_in("scaler", deviation=[1.0]), "the numbers of targets differ"),
        (changed_in("calibration", factor=[1, 2, 3]), "the numbers of targets differ"),
        (changed_in("calibration", scores=[[1, 2], [1, 2]]), "the numbers of targets differ"),
        (changed_in("calibration", method=["gaussian"]), "the numbers of targets differ"),
        (changed_in("calibration", power=[0.4]), "the numbers of targets differ"),
        (changed_in("calibration", typical=0.0), "training units make no sense"),
        (changed_in("calibration", typical=float("nan")), "training units make no sense"),
        (changed_in("calibration", typical=None), "not a surrogate, or damaged"),
        (changed_in("scaler", mean=["a", "b"]), "not a surrogate, or damaged"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(change, words, saved):
    rewritten(saved, change)
    with pytest.raises(DataError, match=words) as refused:
        Surrogate.load(saved)
    assert str(refused.value).startswith(f"{saved}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"7", b"{", b"\xff\xfe", b"[" * 100_000])
def test_files_that_are_no_description_are_refused(content, saved):
    (saved / DESCRIPTION).write_bytes(content)
    with pytest.raises(DataError, match="not a surrogate, or damaged"):
        Surrogate.load(saved)


def cut(content):
    return content[:-10]


def flipped(content):
    """One bit of the last number."""
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("spoil", [cut, flipped, lambda content: b""])
def test_weights_that_were_damaged_are_noticed(spoil, saved):
    (saved / WEIGHTS).write_bytes(spoil((saved / WEIGHTS).read_bytes()))
    with pytest.raises(DataError, match="the weights are not those of the description"):
        Surrogate.load(saved)


@pytest.mark.parametrize(
    "content",
    [b"", b"weights", cut(save({"a": torch.ones(9)})), b"\xff" * 8 + b"{}"],
    ids=["empty", "text", "cut", "a header of exabytes"],
)
def test_weights_that_are_none_are_refused(content, saved):
    with_weights(saved, content)
    with pytest.raises(DataError, match="not a surrogate, or damaged"):
        Surrogate.load(saved)


def test_weights_of_other_names_or_shapes_are_refused(saved):
    tensors = load((saved / WEIGHTS).read_bytes())
    name, tensor = next(iter(tensors.items()))
    for wrong in ({**tensors, "more": torch.ones(1)}, {**tensors, name: tensor[None]}):
        with_weights(saved, save(wrong))
        with pytest.raises(DataError, match="do not have the shapes of the description"):
            Surrogate.load(saved)


@pytest.mark.parametrize(
    "units", [torch.ones(7, 2), torch.ones(7), torch.ones(0, 3), torch.full((7, 3), torch.nan)]
)
def test_training_units_of_no_such_latent_space_are_refused(units, saved):
    tensors = load((saved / WEIGHTS).read_bytes())
    with_weights(saved, save({**tensors, module.TRAINING_UNITS: units}))
    with pytest.raises(DataError, match="training units make no sense"):
        Surrogate.load(saved)


def test_missing_weights_are_refused(saved):
    (saved / WEIGHTS).unlink()
    with pytest.raises(DataError, match="No such file or directory; copy or train the surrogate"):
        Surrogate.load(saved)


def test_a_file_larger_than_any_surrogate_is_not_read(saved, monkeypatch):
    monkeypatch.setitem(module.LARGEST, WEIGHTS, 100)
    with pytest.raises(DataError, match="larger than any surrogate; it is something else"):
        Surrogate.load(saved)


class Trap:
    """Leaves a trace if it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("write", [pickle.dumps, None], ids=["pickle", "torch.save"])
def test_a_pickle_is_never_executed(write, saved, tmp_path):
    trace = tmp_path / "trace"
    if write:
        content = write(Trap(trace))
    else:
        torch.save({"weights": Trap(trace)}, tmp_path / "weights.pt")
        content = (tmp_path / "weights.pt").read_bytes()
    with_weights(saved, content)
    with pytest.raises(DataError, match="not a surrogate, or damaged"):
        Surrogate.load(saved)
    assert not trace.exists()
    if write:
        pickle.loads(content)  # the trap works
        assert trace.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_description_of_absurd_size_takes_no_memory(kind, saved):
    """Hundreds of gigabytes, if it were built."""

    def huge(said):
        said["framework"]["architecture"].update(latent=1024, octant=24, width=8192, depth=64)
        said["framework"]["predictor"].update(kind=kind, hidden=[8192] * 16, members=32)

    rewritten(saved, huge)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="do not have the shapes"):
            Surrogate.load(saved)
        assert tracemalloc.get_traced_memory()[1] < 2**28
    finally:
        tracemalloc.stop()


def test_the_shipped_surrogate_is_loaded_without_a_name(saved, monkeypatch):
    monkeypatch.setattr(module, "SHIPPED", saved)
    assert learn.Surrogate.load().targets == ("E", "nu")
    shutil.rmtree(saved)
    with pytest.raises(ParameterError, match="no surrogate there"):
        learn.Surrogate.load()


def test_a_surrogate_moves_to_a_device():
    surrogate = made()
    assert surrogate.device == torch.device("cpu")
    moved = []
    surrogate.framework = SimpleNamespace(to=moved.append, architecture=None)
    assert surrogate.to("cuda") is surrogate
    assert moved == ["cuda"]


def test_names_of_the_package_are_found_when_they_are_used():
    assert set(dir(learn)) == {"Surrogate", "Prediction", "Evaluation", "slerp"}
    for name in dir(learn):
        assert getattr(learn, name).__name__ == name
    with pytest.raises(AttributeError, match="module 'learn' has no attribute 'forest'"):
        learn.forest  # noqa: B018
