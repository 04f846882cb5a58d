"""Sampling: reproducible, shared among sources, even, load-carrying, distinct."""

from collections import Counter

import numpy as np
import pytest

from homog.cell import components, is_open
from homog.dataset import unpack
from homog.errors import DataError, ParameterError
from homog.symmetry import symmetry
from homog.thickness import smallest_feature
from homog.units import families, find_family, sampling
from homog.units.distinct import Distinct
from homog.units.family import unfold
from homog.units.sampling import Plan, sample


def octant_of(unit, plan):
    return unpack(unit.packed, (plan.resolution // 2,) * 3)


def packed(found):
    return [unit.packed.tobytes() for unit in found.units]


@pytest.fixture(scope="module")
def found(plan):
    return sample(plan)


def test_units_do_not_depend_on_the_number_of_workers(plan, found, monkeypatch):
    monkeypatch.setattr(sampling, "CHUNK", 3)  # so that both workers have something to do
    other = sample(plan, workers=2)
    assert packed(other) == packed(found)
    assert other.rejected == found.rejected
    assert [unit.parameters for unit in other.units] == [unit.parameters for unit in found.units]


def test_other_seeds_give_other_units(plan, found):
    other = sample(Plan(plan.count, seed=4, resolution=plan.resolution))
    assert not set(packed(other)) & set(packed(found))


def test_units_carry_load_are_cubic_and_are_what_is_said_of_them(plan, found):
    for unit in found.units:
        octant = octant_of(unit, plan)
        cell = unfold(octant)
        assert symmetry(cell).order == 48
        assert components(cell).spans.tolist() == [[True] * 3]  # one part, along all axes
        assert sampling.VOLUME_FRACTION[0] <= cell.mean() <= sampling.VOLUME_FRACTION[1]
        assert unit.volume_fraction == cell.mean()
        assert unit.smallest_feature == smallest_feature(cell)
        assert unit.open_cell == is_open(cell)
        again = find_family(unit.family).octant(unit.parameters, unit.level, plan.resolution)
        np.testing.assert_array_equal(again, octant)
        assert find_family(unit.family).source == unit.source


def test_cells_that_carry_no_load_are_rejected():
    plan = Plan(24, seed=1, resolution=24)
    found = sample(plan)
    assert found.rejected["not spanning"] > 0
    assert found.rejected["not connected"] > 0
    for unit in found.units:
        assert components(unfold(octant_of(unit, plan))).spans.tolist() == [[True] * 3]


def test_no_two_units_are_alike(plan, found):
    seen = Distinct()
    assert not any(seen.like(octant_of(unit, plan)) for unit in found.units)


def test_many_distinct_cells_are_remembered():
    """Also beyond the first block of memory."""
    octants = np.random.default_rng(1).random((1100, 3, 3, 3)) < 0.5
    octants = np.unique(octants, axis=0)
    seen = Distinct()
    new = [octant for octant in octants if not seen.like(octant)]
    assert len(new) > 1024
    assert all(seen.like(octant) for octant in new[::50])
    assert seen.like(new[-1])


def test_every_attempt_is_counted_as_a_unit_or_a_rejection(plan, monkeypatch):
    outcomes, attempt = Counter(), sampling._attempt

    def counted(*arguments):
        unit, reason = attempt(*arguments)
        outcomes[reason] += 1
        return unit, reason

    monkeypatch.setattr(sampling, "_attempt", counted)
    # small octants: so few shapes that many are alike
    plan = Plan(60, seed=1, resolution=16, sources=("lattices", "templates"))
    found = sample(plan)
    accepted = outcomes.pop(None)
    assert found.rejected.pop("near-duplicate") == accepted - plan.count > 0
    assert found.rejected == outcomes
    assert set(outcomes) <= {
        *("volume fraction out of range", "not connected", "not spanning", "feature too small"),
    }


def test_features_are_as_thick_as_asked_for():
    plan = Plan(6, seed=1, resolution=32, sources=("isosurfaces", "lattices"), min_feature=2)
    found = sample(plan)
    assert min(unit.smallest_feature for unit in found.units) >= 2
    assert found.rejected["feature too small"] > 0


def test_progress_is_told_once_a_unit():
    calls = []
    sample(Plan(3, resolution=20, sources=("lattices",)), progress=lambda: calls.append(1))
    assert len(calls) == 3


@pytest.mark.parametrize("sources", [("templates",), ("isosurfaces", "lattices"), sampling.SOURCES])
def test_every_source_has_its_share_and_covers_the_densities_evenly(sources):
    slots = Plan(700, seed=5, sources=sources).slots()
    total = sum(sampling.SHARES[source] for source in sources)
    low, high = sampling.VOLUME_FRACTION
    for source in sources:
        aims = np.array([aim for name, aim in slots if name == source])
        assert len(aims) == pytest.approx(700 * sampling.SHARES[source] / total, abs=1)
        steps = np.floor((np.sort(aims) - low) / (high - low) * len(aims))
        np.testing.assert_array_equal(steps, np.arange(len(aims)))  # one in each stratum
    first = [aim for _, aim in slots[:350]]  # neither sources nor densities come in order
    assert np.mean(first) == pytest.approx((low + high) / 2, abs=0.02)
    assert {source for source, _ in slots[:50]} == set(sources)


def test_densities_hit_what_they_aim_at(plan, found):
    aims = [aim for _, aim in plan.slots()]
    got = [unit.volume_fraction for unit in found.units]
    assert np.median(np.abs(np.subtract(got, aims))) < 0.01


def test_families_are_drawn_by_their_weights():
    rng = np.random.default_rng(0)
    drawn = Counter(sampling._drawn("templates", rng).name for _ in range(20_000))
    members = [family for family in families().values() if family.source == "templates"]
    total = sum(family.weight for family in members)
    often = {family.name for family in members if family.weight > 1}
    assert 0 < len(often) < len(members)
    share = sum(count for name, count in drawn.items() if name in often) / drawn.total()
    assert share == pytest.approx(
        sum(f.weight for f in members if f.name in often) / total, abs=0.02
    )
    assert set(drawn) == {family.name for family in members}


def test_parameters_stay_within_their_bounds():
    for family in families().values():
        drawn = [family.draw(np.random.default_rng(seed)) for seed in range(3)]
        for name, (low, high) in zip(family.parameters, family.bounds, strict=True):
            values = [parameters[name] for parameters in drawn]
            assert low <= min(values) < max(values) <= high


def test_a_source_that_has_no_more_units_says_so(monkeypatch):
    monkeypatch.setattr(sampling, "ATTEMPTS", 2)
    with pytest.raises(DataError, match=r"no further distinct unit from lattices at .* 2 attempts"):
        sample(Plan(40, resolution=8, sources=("lattices",)))


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"seed": -1}, "seed must not be negative"),
        ({"resolution": 47}, "even number from 2, got 47"),
        ({"resolution": 0}, "even number from 2, got 0"),
        ({"sources": ()}, "sources must be some of templates, lattices, isosurfaces"),
        ({"sources": ("templates", "gyroids")}, "got templates, gyroids"),
        ({"min_feature": 0}, "min_feature must be at least 1"),
    ],
)
def test_plans_that_mean_nothing_are_refused(values, match):
    with pytest.raises(ParameterError, match=match):
        Plan(**{"count": 5, **values})


def test_no_workers_are_refused(plan):
    with pytest.raises(ParameterError, match="workers must be at least 1"):
        sample(plan, workers=0)


def test_stored_cells_name_the_family_and_parameters_of_each_unit(plan, found, cells):
    assert cells.shape == (20, 20, 20)
    assert cells.cubic
    assert cells.origin["seed"] == plan.seed
    assert cells.origin["rejected"] == found.rejected
    for row, unit in enumerate(found.units):
        name, source, names = cells.families[cells.columns["family"][row]]
        assert (name, source) == (unit.family, unit.source)
        values = cells.columns["parameters"][row]
        assert dict(zip(names, values, strict=False)) == unit.parameters
        assert np.isnan(values[len(names) :]).all()
        assert cells.columns["level"][row] == unit.level


def test_volume_fractions_stay_in_the_range_asked_for():
    plan = Plan(24, seed=3, resolution=16, volume_fraction=(0.30, 0.34))
    found = [unit.volume_fraction for unit in sample(plan).units]
    assert 0.30 <= min(found) < max(found) <= 0.34


@pytest.mark.parametrize("ends", [(0.3, 0.2), (0.0, 0.2), (0.3, 1.0), (float("nan"), 0.3)])
def test_a_range_of_volume_fractions_that_is_none_is_refused(ends):
    with pytest.raises(ParameterError, match="volume fractions must rise"):
        Plan(1, volume_fraction=ends)
