"""Families of cubic cells: symmetry, distances, structure factors, and the level of a fraction."""

from itertools import permutations, product

import numpy as np
import pytest
import spglib

from homog.errors import ParameterError
from homog.symmetry import symmetry
from homog.units import families, find_family, lattices, tetrahedron, unit_cell
from homog.units.family import level_of, unfold
from homog.units.isosurfaces import CUBIC, cosine_products, cubic_fields, structure_factor
from homog.units.skeleton import bar_distance, plate_distance
from homog.units.templates import is_template, node_point, template

SKELETONS = [  # of which the field is a distance
    name
    for name, family in families().items()
    if family.source != "isosurfaces" and not {"taper", "node"} & set(family.parameters)
]
SHIFTS = list(product((-1, 0, 1), repeat=3))


def drawn(name, seed=1):
    """A family and parameters of it."""
    family = find_family(name)
    return family, family.draw(np.random.default_rng(seed))


def tetrahedron_points(count, seed=0):
    """Random points x >= y >= z of [0, 1/2]."""
    return np.sort(np.random.default_rng(seed).random((count, 3)) / 2, axis=1)[:, ::-1]


def images(points):
    """(48 * 27, m, 3): all images of points under the symmetries and shifts of the lattice."""
    turned = [
        points[:, list(axes)] * signs
        for axes in permutations(range(3))
        for signs in product((1, -1), repeat=3)
    ]
    return np.array([image + shift for image in turned for shift in SHIFTS])


@pytest.mark.parametrize("name", families())
def test_every_family_has_all_48_symmetries_and_one_density_at_any_resolution(name):
    family, parameters = drawn(name)
    level = level_of(family.values(parameters, 16), 0.3, 16)
    assert symmetry(unfold(family.octant(parameters, level, 16))).order == 48
    # a level of its own: parts that lie in planes of voxels grow by whole layers
    level = level_of(family.values(parameters, 48), 0.3, 48)
    coarse, fine = (family.octant(parameters, level, n).mean() for n in (24, 48))
    assert coarse == pytest.approx(fine, abs=0.17 if family.source == "templates" else 0.07)


def test_parts_of_the_same_thickness_keep_their_density_on_average():
    differences = []
    for name in families():
        family, parameters = drawn(name)
        level = level_of(family.values(parameters, 48), 0.3, 48)
        differences.append(
            family.octant(parameters, level, 24).mean()
            - family.octant(parameters, level, 48).mean()
        )
    assert abs(np.mean(differences)) < 0.01
    assert np.mean(np.abs(differences)) < 0.02


def test_there_are_families_of_every_source():
    found = families().values()
    assert {family.source for family in found} == {"templates", "lattices", "isosurfaces"}
    assert len(found) > 200
    for name, family in families().items():
        assert name == family.name
        assert len(family.parameters) == len(family.bounds)


@pytest.mark.parametrize("name", SKELETONS)
def test_distance_to_the_replicated_skeleton_is_that_within_the_tetrahedron(name):
    """Of all images of a point none is nearer to the skeleton than the one in the tetrahedron."""
    family, parameters = drawn(name)
    points = tetrahedron_points(8)
    moved = images(points)
    distance = family.field(parameters, moved.reshape(-1, 3)).reshape(moved.shape[:2])
    np.testing.assert_allclose(family.field(parameters, points), distance.min(axis=0), atol=1e-12)


@pytest.mark.parametrize("name", lattices.LATTICES)
def test_lattices_are_the_struts_between_the_sites_of_the_whole_cell(name):
    corners = [np.array(site) for site in product((0, 1), repeat=3)]
    faces = [np.array(site) for site in product((0, 0.5, 1), repeat=3) if site.count(0.5) == 2]
    near = np.sqrt(0.5) + 1e-9
    struts = {
        "fcc": [(p, q) for p in corners for q in faces if np.linalg.norm(p - q) < near],
        "octahedral": [(p, q) for p in faces for q in faces if 0 < np.linalg.norm(p - q) < near],
        "bcc": [(p, np.full(3, 0.5)) for p in corners],
    }
    points = (np.argwhere(np.ones((8, 8, 8))) + 0.5) / 8
    # no strut of a neighbour lies nearer, because the faces of the cell are mirrors
    parts = [strut for kind in lattices.LATTICES[name] for strut in struts[kind]]
    distance = np.min([bar_distance(points, *strut)[0] for strut in parts], axis=0)
    parameters = dict.fromkeys(find_family(name).parameters, 0.0)  # all struts equally thick
    solid = unit_cell(name, parameters, 0.11, resolution=8)
    np.testing.assert_array_equal(solid.ravel(), distance <= 0.11)


def test_tapered_struts_and_nodes_have_the_radii_that_their_parameters_say():
    """Around the strut of the body-centred lattice from corner to centre."""
    direction = np.array([1, 1, 1]) / np.sqrt(3)
    aside = np.array([1, -1, 0]) / np.sqrt(2)
    family = find_family("bcc taper")
    for place, radius in ((0.5, 0.8), (0.25, 1.0), (0.02, 1.184)):  # of the level, from a to d
        point = place * np.sqrt(3) / 2 * direction + 0.01 * aside
        value = family.field({"taper": 0.4}, point[None])[0]
        assert value == pytest.approx(0.01 / radius if place < 0.5 else 0.01 / 0.8)
    node = find_family("bcc node").field({"node": 2.5}, 0.03 * aside[None])
    assert node == pytest.approx(0.03 / 2.5)


def segment_samples(start, end, count=2001):
    return start + np.linspace(0, 1, count)[:, None] * (end - start)


def triangle_samples(corners, count=60):
    weights = [(i, j, count - i - j) for i in range(count + 1) for j in range(count + 1 - i)]
    return np.array(weights) / count @ corners


@pytest.mark.parametrize("seed", range(4))
def test_distances_to_bars_and_plates_are_those_to_their_nearest_points(seed):
    rng = np.random.default_rng(seed)
    corners, points = rng.random((3, 3)), rng.random((40, 3)) * 2 - 0.5
    if seed == 3:
        corners[2] = corners[0] + 1.7 * (corners[1] - corners[0])  # all on one line
    on_bar, on_plate = segment_samples(*corners[:2]), triangle_samples(corners)
    distance, place = bar_distance(points, *corners[:2])
    gaps = np.linalg.norm(points[:, None] - on_bar, axis=2)
    np.testing.assert_allclose(distance, gaps.min(axis=1), atol=1e-4)
    np.testing.assert_allclose(place, gaps.argmin(axis=1) / 2000, atol=2e-3)
    gaps = np.linalg.norm(points[:, None] - on_plate, axis=2).min(axis=1)
    plate = plate_distance(points, *corners)
    assert (plate <= gaps + 1e-12).all()
    np.testing.assert_allclose(plate, gaps, atol=0.03)


def test_a_bar_of_no_length_is_a_ball():
    points = np.random.default_rng(0).random((5, 3))
    distance, place = bar_distance(points, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    np.testing.assert_allclose(distance, np.linalg.norm(points - 0.5, axis=1))
    np.testing.assert_array_equal(place, 0)


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("a-b", True),
        ("a-bc bc-cd-d", True),
        ("a-b-c-d", True),
        ("e-f", True),
        ("abcd-abd", True),
        ("a", False),
        ("a-a", False),
        ("ba-c", False),
        ("a-b-c-d-ab", False),
        ("a-b  c-d", False),
        ("a--b", False),
        ("a-g", False),
        ("", False),
        (" a-b", False),
        ("ae-b", False),
    ],
)
def test_names_of_templates(name, right):
    assert is_template(name) == right
    if right:
        assert template(name).name == name


def test_a_name_reads_as_points_between_corners():
    assert template("a-bc bc-cd-d").parameters == ("bc.1", "cd.1", "width.1")
    assert node_point("bc", {"bc.1": 0.25}) == pytest.approx([0.5, 0.375, 0.0])
    rng = np.random.default_rng(0)
    for name in ("ab", "abd", "abcd"):
        sizes = []
        for _ in range(2000):
            point = node_point(name, {f"{name}.{n}": rng.random() for n in range(1, len(name))})
            x, y, z = point
            share = {"a": 1 - 2 * x, "b": 2 * (x - y), "c": 2 * (y - z), "d": 2 * z}
            assert all(share[corner] == pytest.approx(0) for corner in set("abcd") - set(name))
            assert min(share.values()) > -1e-12
            sizes.append([share[corner] for corner in name])
        np.testing.assert_allclose(np.mean(sizes, axis=0), 1 / len(name), atol=0.02)  # uniform


def test_plates_of_four_nodes_are_fans_and_any_such_name_can_be_drawn():
    for name in ("ab-cd-a-d", "ab-ac-b-c", "bc-c-d-bd", "a-b-c-d"):
        family, parameters = drawn(name)
        nodes = [node_point(node, parameters) for node in name.split("-")]
        points = tetrahedron_points(50)
        expected = np.minimum(
            plate_distance(points, *nodes[:3]), plate_distance(points, nodes[0], *nodes[2:])
        )
        np.testing.assert_allclose(family.field(parameters, points), expected)


def test_a_corner_that_a_plate_cuts_off_is_at_most_half_of_its_edges():
    bounds = dict(zip(template("bc-c-d-bd").parameters, template("bc-c-d-bd").bounds, strict=True))
    assert bounds == {"bc.1": (0.5, 0.9), "bd.1": (0.5, 0.9)}  # near b, which is missing
    bounds = dict(zip(template("bd-b-c-cd").parameters, template("bd-b-c-cd").bounds, strict=True))
    assert bounds == {"bd.1": (0.1, 0.5), "cd.1": (0.1, 0.5)}  # near d


def test_width_is_the_ratio_of_thickness_in_powers_of_two():
    family = find_family("a-b c-d")
    points = np.array([[0.25, 0.01, 0.0], [0.5, 0.49, 0.25]])
    np.testing.assert_allclose(family.field({"width.1": 1.0}, points), [0.01, 0.005])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # spglib's, of its own future
@pytest.mark.parametrize("hkl", cubic_fields())
def test_structure_factors_are_sums_over_the_operations_of_a_space_group(hkl):
    points = np.random.default_rng(sum(hkl)).random((30, 3))
    expected, fits = cosine_products(points, hkl), []
    for hall in CUBIC:
        if spglib.get_spacegroup_type(hall).number == cubic_fields()[hkl]:
            operations = spglib.get_symmetry_from_database(hall)
            moved = np.einsum("nij,mj->nmi", operations["rotations"], points)
            moved += operations["translations"][:, None]
            factor = np.exp(2j * np.pi * moved @ np.array(hkl)).sum(axis=0)
            for part in (factor.real, factor.imag):
                scale = part @ expected / (expected @ expected)
                fits.append(abs(scale) > 1e-6 and np.allclose(part, scale * expected))
    assert any(fits)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("hall", [489, 501, 525, 529])  # P23, F-centred, Fd-3m, Ia-3d
def test_coefficients_of_structure_factors_give_the_sum_over_all_operations(hall):
    operations = spglib.get_symmetry_from_database(hall)
    points = np.random.default_rng(hall).random((10, 3))
    moved = np.einsum("nij,mj->nmi", operations["rotations"], points)
    moved += operations["translations"][:, None]
    for hkl in ((1, 1, 1), (2, 1, 1), (2, 2, 0), (3, 2, 1)):
        factor = np.exp(2j * np.pi * moved @ np.array(hkl)).sum(axis=0)
        for part, expected in zip(
            structure_factor(operations, hkl), (factor.real, factor.imag), strict=True
        ):
            waves, values = np.array(list(part)), np.array(list(part.values()))
            found = np.exp(2j * np.pi * points @ waves.T) @ values
            np.testing.assert_allclose(found, expected, atol=1e-10)


def test_families_of_isosurfaces_are_low_high_and_sheet_of_one_or_two_fields():
    points = tetrahedron_points(20)
    x = np.cos(2 * np.pi * points)
    primitive = x.sum(axis=1) / 3  # the Schwarz P surface
    np.testing.assert_allclose(find_family("100 low").field({}, points), primitive)
    np.testing.assert_allclose(find_family("100 high").field({}, points), -primitive)
    sheet = find_family("100 sheet").field({"offset": 0.2}, points)
    np.testing.assert_allclose(sheet, np.abs(primitive - 0.2))
    other = (x[:, 0] * x[:, 1] + x[:, 1] * x[:, 2] + x[:, 2] * x[:, 0]) / 3
    mixed = find_family("100+110 low").field({"mixing": 0.7}, points)
    np.testing.assert_allclose(mixed, np.cos(0.7) * primitive + np.sin(0.7) * other)


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("name", ["acd-d b-d", "abc-ad-bc", "octet taper", "210+211 sheet"])
def test_level_hits_the_volume_fraction_to_within_an_orbit_of_voxels(name, fraction):
    family, parameters = drawn(name)
    values = tetrahedron_points(len(tetrahedron.points(16))) @ [1.0, 0.1, 0.01]  # all different
    for field in (values, family.values(parameters, 16) + 1e-6 * values):
        octant = tetrahedron.octant(field <= level_of(field, fraction, 16), 16)
        assert abs(octant.mean() - fraction) <= 6 / octant.size  # the largest orbit
        best = np.cumsum(tetrahedron.multiplicity(16)[np.argsort(field)])[:-1] / octant.size
        assert abs(octant.mean() - fraction) == pytest.approx(np.abs(best - fraction).min())


def test_points_and_octants_belong_together():
    points = tetrahedron.points(6)
    assert ((points[:, 0] >= points[:, 1]) & (points[:, 1] >= points[:, 2])).all()
    assert tetrahedron.multiplicity(6).sum() == 27
    centres = (np.indices((3, 3, 3)) + 0.5) / 6
    for power in (1, 2, 3):  # sums that do not depend on the order of the coordinates
        spread = tetrahedron.octant((points**power).sum(axis=1), 6)
        np.testing.assert_allclose(spread, (centres**power).sum(axis=0))


def test_unfolded_octants_stand_in_all_corners():
    octant = np.random.default_rng(0).random((2, 3, 3, 3))
    cell = unfold(octant)
    assert cell.shape == (2, 6, 6, 6)
    np.testing.assert_array_equal(cell[:, :3, :3, :3], octant)
    for axis in (1, 2, 3):
        np.testing.assert_array_equal(np.flip(cell, axis), cell)


def test_level_of_a_skeleton_is_half_the_thickness_in_edges_of_the_cell():
    cell = unit_cell("a-b-c", {}, level=0.125, resolution=16)  # the plane z = 0
    layers = cell.all(axis=(0, 1))
    assert np.flatnonzero(layers).tolist() == [0, 1, 14, 15]
    assert cell[0, :, :].all()  # and its images x = 0, y = 0


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("gyroid", {}, 0.1), "no family 'gyroid'"),
        (("a-b", {}, 0.1, 15), "even number"),
        (("a-b", {}, 0.1, 0), "even number"),
        (("a-bc", {}, 0.1), "has the parameters bc.1; got none"),
        (("a-b", {"bc.1": 0.5}, 0.1), "has the parameters none; got bc.1"),
        (("a-bc", {"bc.1": float("nan")}, 0.1), "must be finite"),
    ],
)
def test_cells_that_cannot_be_made_are_refused(arguments, match):
    with pytest.raises(ParameterError, match=match):
        unit_cell(*arguments)


def test_values_that_differ_by_rounding_stay_together():
    resolution = 8
    values = np.round(np.random.default_rng(0).random(len(tetrahedron.points(resolution))), 1)
    noisy = values * (1 + 1e-14 * np.random.default_rng(1).standard_normal(values.shape))
    for aim in np.linspace(0.05, 0.95, 19):
        level = level_of(noisy, aim, resolution)
        solid = noisy <= level
        assert not set(values[solid]) & set(values[~solid])
        weights = tetrahedron.multiplicity(resolution)
        fractions = [weights[values <= v].sum() / weights.sum() for v in np.unique(values)[:-1]]
        missed = abs(weights[solid].sum() / weights.sum() - aim)
        assert missed == pytest.approx(min(abs(np.array(fractions) - aim)))


def test_a_field_that_is_the_same_everywhere_has_no_level():
    with pytest.raises(ParameterError, match="the same everywhere"):
        level_of(np.ones(len(tetrahedron.points(8))), 0.3, 8)
