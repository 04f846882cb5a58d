"""Training data: what is split, left out, standardised and read."""

import numpy as np
import pytest
import torch
import toys

from homog import DataError, ParameterError
from homog.dataset import Dataset, write_dataset
from learn.data import PARTS, Selection, split, training_data, with_extra
from learn.networks import Architecture
from learn.octants import AsymmetricUnit


def read(path, selection=None, architecture=toys.SMALL):
    with Dataset(path) as dataset:
        return training_data(dataset, selection or toys.selection(), architecture)


@pytest.fixture(scope="module")
def data(labelled):
    return read(labelled)


@pytest.fixture(scope="module")
def truth():
    """Octants and labels of the toy units."""
    octants, fraction, shape = toys.octants()
    return octants, toys.labels(fraction, shape)


def test_each_source_is_split_70_15_15():
    source = np.repeat(["templates", "lattices", "isosurfaces"], [1000, 60, 20])
    part = split(source, seed=4)
    for name, count in zip(*np.unique(source, return_counts=True), strict=True):
        shares = np.bincount(part[source == name], minlength=3) / count
        assert shares == pytest.approx([0.70, 0.15, 0.15])


def test_the_split_depends_on_the_seed_alone():
    source = np.repeat(["a", "b"], 500)
    assert np.array_equal(split(source, 1), split(source, 1))
    differ = split(source, 1) != split(source, 2)
    assert differ.mean() == pytest.approx(1 - (0.7**2 + 2 * 0.15**2), abs=0.06)  # as by chance


def test_the_split_is_by_chance_within_a_source():
    part = split(np.repeat("a", 4000), seed=0)
    for index, share in enumerate((0.7, 0.15, 0.15)):
        place = np.flatnonzero(part == index)
        assert place.mean() == pytest.approx(2000, abs=150)
        assert np.count_nonzero(place < 2000) / len(place) == pytest.approx(0.5, abs=0.06)
        assert len(place) == 4000 * share


def test_parts_have_all_units_once(data):
    members = [data.members(part) for part in PARTS]
    assert [len(part) for part in members] == [84, 18, 18]
    assert np.array_equal(np.sort(np.concatenate(members)), np.arange(toys.COUNT))


def test_targets_are_the_labels_in_the_order_asked_for(labelled, truth):
    data = read(labelled, toys.selection("nu", "K"))
    for index, name in enumerate(("nu", "K")):
        assert np.array_equal(data.nominal[:, index], truth[1].nominal[name])
        assert np.array_equal(data.observed[:, index], truth[1].scattered[name])
    assert np.array_equal(data.auxetic, truth[1].nominal["nu"] < 0)


def test_scatter_is_the_length_of_the_derivatives_by_the_deviations(data, truth):
    E_step, nu_step = toys.SCATTER * 70e3, toys.SCATTER * 0.33
    by = truth[1].derivatives
    for index, name in enumerate(("E", "nu")):
        first, second = by[f"d{name}_dE_solid"] * E_step, by[f"d{name}_dnu_solid"] * nu_step
        expected = np.sqrt(first**2 + second**2)
        assert data.scatter[:, index] == pytest.approx(expected, rel=1e-12)


def test_observed_values_scatter_as_the_scatter_says(data):
    score = (data.observed - data.nominal) / data.scatter
    assert score.mean(0) == pytest.approx(0, abs=0.25)
    assert score.std(0) == pytest.approx(1, abs=0.2)


def test_targets_of_training_units_are_standardised(data):
    y, log_scatter = data.standardised()
    training = data.members("training")
    assert y[training].mean(0).numpy() == pytest.approx(0, abs=1e-6)
    assert y[training].std(0, correction=0).numpy() == pytest.approx(1, rel=1e-6)
    assert data.scaler.restore(y.numpy()) == pytest.approx(data.observed, rel=1e-4, abs=1e-6)
    scatter = torch.exp(log_scatter).numpy() * data.scaler.deviation
    assert scatter == pytest.approx(data.scatter, rel=1e-5)


def test_other_parts_do_not_move_the_scaler(labelled, data, tmp_path):
    """Else what is judged would have been seen in training."""

    def shifted(content):
        others = np.setdiff1d(np.arange(toys.COUNT), data.members("training"))
        for group in ("labels", "scattered"):
            content[group][1]["E"][others] *= 3

    changed = read(toys.write_labelled(tmp_path / "changed.h5", change=shifted))
    assert np.array_equal(changed.scaler.mean, data.scaler.mean)
    assert np.array_equal(changed.scaler.deviation, data.scaler.deviation)


def test_range_is_that_of_training_and_validation(data):
    known = data.nominal[np.isin(np.arange(toys.COUNT), data.members("test"), invert=True)]
    assert np.array_equal(data.range(), known.max(0) - known.min(0))


@pytest.mark.parametrize("domain", ["fast", "paper"])
def test_octants_are_read_as_they_are(labelled, truth, domain):
    architecture = Architecture(domain, latent=3, octant=toys.EDGE, width=4, depth=1)
    seen = read(labelled, architecture=architecture).seen
    assert seen.dtype == torch.uint8
    back = AsymmetricUnit(toys.EDGE).expand(seen) if domain == "fast" else seen[:, 0]
    assert np.array_equal(back.numpy(), truth[0])


def test_units_without_labels_are_left_out_and_the_others_stay_in_their_part(data, tmp_path):
    missing = [3, 40, 77]

    def failed(content):
        content["labels"][1]["status"][3] = 1
        content["labels"][1]["E"][40] = np.nan
        content["scattered"][1]["nu"][77] = np.inf

    found = read(toys.write_labelled(tmp_path / "failed.h5", change=failed))
    assert np.array_equal(found.rows, np.setdiff1d(np.arange(toys.COUNT), missing))
    assert np.array_equal(found.part, data.part[found.rows])
    assert np.array_equal(found.nominal, data.nominal[found.rows])
    assert torch.equal(found.seen, data.seen[torch.from_numpy(found.rows)])


def test_without_scatter_nominal_labels_are_observed(tmp_path):
    data = read(toys.write_labelled(tmp_path / "nominal.h5", scatter=False))
    assert np.array_equal(data.observed, data.nominal)
    assert data.scatter is None
    assert data.standardised()[1] is None


def test_a_target_without_sensitivities_leaves_the_scatter_unknown(tmp_path):
    def forgotten(content):
        del content["labels"][1]["dnu_dE_solid"]

    path = toys.write_labelled(tmp_path / "forgotten.h5", change=forgotten)
    assert read(path).scatter is None
    assert read(path, toys.selection("E")).scatter is not None


def test_a_solid_that_does_not_scatter_has_finite_logarithms(tmp_path):
    def still(content):
        content["labels"][0]["scatter"] = 0.0

    data = read(toys.write_labelled(tmp_path / "still.h5", change=still))
    assert torch.all(torch.isfinite(data.standardised()[1]))


def test_labels_are_identified_by_units_and_solid(data, tmp_path):
    def softer(content):
        content["labels"][0]["E"] = 60e3

    other = read(toys.write_labelled(tmp_path / "softer.h5", change=softer)).origin
    assert data.origin == {**other, "E": 70e3}
    assert read(toys.write_labelled(tmp_path / "fewer.h5", 60)).origin["units"] != other["units"]


def turned(octants):
    """Octants of the cells after a shift by half a cell."""
    return octants[:, ::-1, ::-1, ::-1]


def test_extra_units_train_and_none_of_them_is_one_that_judges(data, tmp_path):
    """Nor nearly so, nor after a shift by half a cell."""
    octants, fraction, shape = toys.octants()
    judges = octants[data.rows[data.part > 0]]
    judges = np.concatenate([judges, turned(judges)])
    for name, units in {"same": octants, "turned": turned(octants)}.items():
        path = tmp_path / f"{name}.h5"
        write_dataset(path, toys.cells(units), toys.groups(toys.labels(fraction, shape)))
        added = read(path)
        apart = [(unit != judges).sum((1, 2, 3)) / (unit | judges).sum((1, 2, 3)) for unit in units]
        new = np.min(apart, axis=1) >= 0.02
        assert toys.COUNT / 2 < np.count_nonzero(new) < toys.COUNT
        found = with_extra(data, [path], toys.selection(), toys.SMALL)
        of = slice(toys.COUNT, None)
        assert np.array_equal(
            found.members("training")[found.members("training") < of.start],
            data.members("training"),
        )
        assert np.all(found.part[of] == PARTS.index("training"))
        for column in ("nominal", "observed", "scatter", "auxetic", "rows"):
            assert np.array_equal(getattr(found, column)[of], getattr(added, column)[new])
            assert np.array_equal(getattr(found, column)[: of.start], getattr(data, column))
        assert torch.equal(found.seen[of], added.seen[torch.from_numpy(new)])
        for part in ("validation", "test"):
            assert np.array_equal(found.members(part), data.members(part))
        assert found.scaler is data.scaler
        assert found.origin == {**data.origin, "extra": [added.origin["units"]]}
    both = with_extra(data, [tmp_path / "same.h5", path], toys.selection(), toys.SMALL)
    assert len(both.origin["extra"]) == 2
    assert len(both.rows) > len(found.rows)


def test_extra_units_are_of_the_same_solid(data, tmp_path):
    def softer(content):
        content["labels"][0]["E"] = 60e3

    def forgotten(content):
        del content["labels"][1]["dnu_dE_solid"]

    for change, words in ((softer, "of another solid"), (forgotten, "only one of the datasets")):
        path = toys.write_labelled(tmp_path / f"{change.__name__}.h5", 30, change=change)
        with pytest.raises(DataError, match=f"{path.name}: .*{words}"):
            with_extra(data, [path], toys.selection(), toys.SMALL)


def spoiled(change):
    return lambda path: toys.write_labelled(path, change=change)


def without_labels(path):
    write_dataset(path, toys.cells(toys.octants()[0]))
    return path


def not_cubic(path):
    octants, fraction, shape = toys.octants(30)
    write_dataset(path, toys.cells(octants, cubic=False), toys.groups(toys.labels(fraction, shape)))
    return path


def no_status(content):
    content["labels"][1]["status"][15:] = 1


def one_value(content):
    content["scattered"][1]["nu"][:] = 0.3


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (without_labels, "no labels yet; run homog label first"),
        (not_cubic, "not all cells are cubic"),
        (spoiled(no_status), "only 15 units have labels; label more"),
        (spoiled(one_value), "a target has the same value in all units; choose another"),
        (lambda path: toys.write_labelled(path, 24, edge=4), "octants of 8 voxels, got 4"),
    ],
    ids=["no labels", "not cubic", "failed", "constant", "size"],
)
def test_datasets_that_cannot_train_are_refused(write, words, tmp_path):
    with pytest.raises(DataError, match=words):
        read(write(tmp_path / "units.h5"))


@pytest.mark.parametrize("name", ["zener", "status", "message", ""])
def test_targets_that_are_no_labels_are_refused_with_those_that_are(labelled, name):
    with pytest.raises(DataError, match=f"no label '{name}' to learn; there are E, K, d"):
        read(labelled, toys.selection("E", name))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"targets": ()}, r"distinct names, got \[\]"),
        ({"targets": ("E", "E")}, r"distinct names, got \['E', 'E'\]"),
        ({"keep_positive": 0.0}, r"\(0, 1\], got 0.0"),
        ({"keep_positive": float("nan")}, r"\(0, 1\], got nan"),
    ],
)
def test_selections_that_cannot_be_are_refused(values, words):
    with pytest.raises(ParameterError, match=words):
        Selection(**values)
