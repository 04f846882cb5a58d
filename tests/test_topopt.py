"""Topology optimization: exact derivatives, volume held, cubic cells that hold together, resume."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import assert_refused
from scipy.ndimage import convolve
from scipy.optimize import minimize

from design.delivery import delivered
from design.density_filter import DensityFilter, projected
from design.elastic_objective import NAMES, ElasticObjective, cubic_stiffness
from design.moving_asymptotes import MOVE, Subproblem, adapted, step
from design.topopt import Settings, finished, named_starts, optimize, optimized
from design.topopt_folder import Folder
from design.topopt_model import FLOOR, PENALTY, Model
from design.topopt_starts import SHAPES, Start, start_variables
from homog import ConvergenceError, DataError, Isotropic, ParameterError, homogenize
from homog.bounds import hashin_shtrikman_upper
from homog.cell import carries_mirrored, is_open_mirrored
from homog.dataset import Dataset
from homog.symmetry import symmetry
from homog.units.family import unfold

K = ElasticObjective.parse("K")
COMBINATION = "C11 + 2*C12 - 0.5*C44"
MIXED = "K - 0.3*E + 2e1*nu"


def small(objective=K, **options):
    """Settings of a small optimization from one start."""
    known = {"resolution": 8, "iterations": 12, "starts": named_starts(["fcc"]), "E": 1.0}
    return Settings(objective, 0.4, **(known | options))


def random_variables(model, seed=0):
    return np.random.default_rng(seed).uniform(0.1, 0.9, len(model.filter.share))


# objective


@pytest.mark.parametrize("name", NAMES)
def test_constants_of_an_objective_are_those_of_a_solved_cell(name):
    solid = Isotropic(3.0, 0.3)
    voxels = unfold(np.indices((4, 4, 4)).max(axis=0) > 1)
    result = homogenize(voxels, solid, threads=1)
    stiffness = {"C11": (0, 0), "C12": (0, 1), "C44": (3, 3)}
    expected = result.C[stiffness[name]] if name in stiffness else getattr(result, name)
    assert ElasticObjective.parse(name).value(result.C) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("text", [*NAMES, COMBINATION, MIXED])
def test_weights_are_the_derivative_by_the_entries_of_C(text):
    objective, C = ElasticObjective.parse(text), cubic_stiffness(5.0, 2.0, 1.3)
    change = np.random.default_rng(0).standard_normal((6, 6))
    change += change.T
    expected = (objective.value(C + 1e-5 * change) - objective.value(C - 1e-5 * change)) / 2e-5
    assert np.sum(objective.weights(C) * change) == pytest.approx(expected, rel=1e-7)


def test_a_combination_is_read_term_by_term():
    terms = (("C11", 1.0), ("C12", 2.0), ("C44", -0.5))
    objective = ElasticObjective.parse(COMBINATION)
    assert objective.terms == terms
    assert ElasticObjective.parse(str(objective)) == objective
    assert ElasticObjective.parse("-1e-2*E+.5*nu").terms == (("E", -0.01), ("nu", 0.5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a constant"),
        ("0*K", "needs a constant"),
        ("2", "cannot read '2'"),
        ("K G", "no constant 'KG'"),
        ("K**2", r"cannot read '\*\*2'"),
        ("2K", "cannot read '2K'"),
        ("K/3", "cannot read '/3'"),
        ("1e999*K", "must be finite"),
        ("C13", "no constant 'C13'"),
        ("__import__('os')", "cannot read"),
    ],
)
def test_an_objective_that_means_nothing_is_refused(text, message):
    with pytest.raises(ParameterError, match=message):
        ElasticObjective.parse(text)


# filter and projection


@pytest.mark.parametrize("radius", [1.0, 1.5, 2.0, 3.3])
def test_filter_is_the_periodic_average_over_a_cone_in_the_whole_cell(radius):
    """Computed anew, on all voxels."""
    found = DensityFilter(8, radius)
    reach = range(-3, 4)
    cone = np.array([[[radius - np.hypot(np.hypot(i, j), k) for k in reach] for j in reach]
                     for i in reach]).clip(0)  # fmt: skip
    values = np.random.default_rng(1).random(len(found.share))
    expected = convolve(unfold(found.octant(values)), cone / cone.sum(), mode="wrap")
    averages = unfold(found.octant(found.matrix @ values))
    np.testing.assert_allclose(averages, expected, atol=1e-12)


def test_filter_keeps_the_volume_and_constants():
    found = DensityFilter(12, 2.5)
    values = np.random.default_rng(1).random(len(found.share))
    assert found.share @ (found.matrix @ values) == pytest.approx(found.share @ values, rel=1e-12)
    np.testing.assert_allclose(found.matrix @ np.ones(len(values)), 1, rtol=1e-12)
    assert found.summed(np.ones((6, 6, 6))).sum() == 12**3


@pytest.mark.parametrize("beta", [1, 8, 32])
def test_projection_keeps_the_ends_and_the_middle(beta):
    value, _ = projected(np.array([0, 0.5, 1]), beta)
    np.testing.assert_allclose(value, [0, 0.5, 1], atol=1e-15)
    places = np.linspace(0.05, 0.95, 19)
    _, slope = projected(places, beta)
    expected = (projected(places + 1e-6, beta)[0] - projected(places - 1e-6, beta)[0]) / 2e-6
    np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-9)


def test_projection_is_nearly_none_or_a_step_at_the_ends_of_steepness():
    places = np.array([0.2, 0.45, 0.55, 0.9])
    np.testing.assert_allclose(projected(places, 1e-3)[0], places, atol=1e-6)
    np.testing.assert_allclose(projected(places, 1e3)[0], places > 0.5, atol=1e-12)


@pytest.mark.parametrize("channel", [0, 4])
def test_every_design_is_cubic(channel):
    model = Model(small(channel=channel))
    densities, _ = model.filter.densities(random_variables(model), 4)
    assert symmetry(unfold(model.filter.octant(densities))).order == 48


# derivatives of the whole chain


@pytest.mark.parametrize("text", ["K", "C44", COMBINATION, MIXED, "zener"])
@pytest.mark.parametrize("channel", [0, 3])
def test_gradient_of_the_chain_is_that_of_finite_differences(text, channel):
    """Variables to filter, projection, SIMP and C; along a direction and for single variables."""
    model = Model(small(ElasticObjective.parse(text), channel=channel), threads=1)
    x, beta = random_variables(model), 4.0
    found = model.analyse(x, beta, tol=1e-11)
    directions = [np.random.default_rng(2).standard_normal(len(x)), *np.eye(len(x))[[0, 7, -1]]]
    for direction in directions:
        ends = [model.analyse(x + sign * 1e-4 * direction, beta, tol=1e-11) for sign in (1, -1)]
        slope = (ends[0].objective - ends[1].objective) / 2e-4
        assert found.gradient @ direction == pytest.approx(slope, rel=2e-5, abs=1e-9)
        volumes = [model.filter.share @ end.densities for end in ends]
        slope = (volumes[0] - volumes[1]) / 2e-4
        assert found.volume_gradient @ direction == pytest.approx(slope, rel=1e-5, abs=1e-12)


def test_stiffness_of_a_uniform_design_is_that_of_the_power_law():
    model = Model(small())
    found = model.analyse(np.full(len(model.filter.share), 0.5), 4.0)
    expected = (FLOOR + (1 - FLOOR) * 0.5**PENALTY) * Isotropic(1.0, 0.33).K
    assert found.objective == pytest.approx(expected, rel=1e-10)


# moving asymptotes


def random_subproblem(seed, size=9):
    rng = np.random.default_rng(seed)
    x, width = rng.uniform(0, 1, size), rng.uniform(0.1, 1, size)
    return Subproblem(x, width, rng.standard_normal(size), rng.uniform(0.1, 1, size))


def approximations(subproblem, y):
    """Objective and volume of the convex problem, written out."""
    p, q, r = subproblem.coefficients
    lower, upper = subproblem.x - subproblem.width, subproblem.x + subproblem.width
    return np.sum(p / (upper - y) + q / (y - lower)), np.sum(r / (upper - y))


def test_approximations_have_the_derivatives_of_what_they_stand_for():
    problem, h = random_subproblem(0), 1e-6
    found = [
        (np.subtract(approximations(problem, problem.x + h * e),
                     approximations(problem, problem.x - h * e)) / (2 * h))
        for e in np.eye(len(problem.x))
    ]  # fmt: skip
    slope = problem.gradient / np.abs(problem.gradient).max()
    expected = np.stack([slope, problem.volume_gradient], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("change", [-0.05, 0.0, 0.05])
def test_a_step_solves_the_convex_problem(seed, change):
    """As a general solver does, from other places, at the volume where the step ends."""
    problem = random_subproblem(seed)
    v = problem.volume_gradient
    largest = v @ problem.x * (1 + change)
    found = step(problem, lambda y: v @ y, largest)
    objective, level = approximations(problem, found)
    assert v @ found <= largest + 1e-9
    limit = {"type": "ineq", "fun": lambda y: level + 1e-12 - approximations(problem, y)[1]}
    solved = minimize(
        lambda y: approximations(problem, y)[0], problem.x, method="SLSQP",
        bounds=np.transpose(problem.limits), constraints=limit,
        options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    assert objective <= solved.fun + 1e-7 * abs(solved.fun)
    np.testing.assert_allclose(found, solved.x, atol=2e-3)


def test_a_step_takes_no_more_volume_than_helps():
    """Where the objective falls with less material, the limit does not matter."""
    problem = replace(random_subproblem(0), gradient=np.ones(9))
    least, _ = problem.limits
    found = step(problem, np.sum, 100.0)
    np.testing.assert_allclose(found, least, atol=0.01)


def test_asymptotes_close_in_where_variables_turn_round():
    x, older, oldest = np.array([[0.3, 0.3, 0.3], [0.2, 0.4, 0.3], [0.1, 0.3, 0.2]])
    found = adapted(np.full(3, 0.5), x, older, oldest)
    np.testing.assert_allclose(found, [0.6, 0.35, 0.5])


def test_no_variable_leaves_its_range_or_moves_far():
    problem = random_subproblem(3)
    least, most = problem.limits
    assert (least >= 0).all()
    assert (most <= 1).all()
    assert np.abs(step(problem, np.sum, 2.0) - problem.x).max() <= MOVE + 1e-12


# optimization


@pytest.mark.parametrize("name", SHAPES)
def test_starts_have_the_density_asked_for(name):
    densities = DensityFilter(12, 2.0)
    x = start_variables(Start(name, 3), densities, 1.0, 0.3)
    assert densities.volume(x, 1.0) == pytest.approx(0.3, abs=1e-9)
    assert x.std() > 0.1


def test_a_cell_to_start_from_is_recognised_in_the_start():
    octant = np.indices((6, 6, 6)).min(axis=0) < 2
    densities = DensityFilter(12, 1.0)
    x = start_variables(Start("mine", octant=octant), densities, 1.0, 0.4)
    assert densities.octant(x)[octant].min() > densities.octant(x)[~octant].max()


@pytest.fixture(scope="module")
def grown():
    """States of an optimization at 12^3, iteration by iteration, and its design."""
    settings = small(resolution=12, iterations=60, E=70e3, starts=named_starts(["void"]))
    states, model = [], Model(settings)
    last = optimized(model, settings.starts[0], progress=lambda _, state: states.append(state))
    return settings, states, finished(model, settings.starts[0], last)


def test_volume_is_held_in_every_iteration(grown):
    settings, states, _ = grown
    rows = states[-1].rows
    assert len(rows) == settings.iterations
    np.testing.assert_allclose(rows[:, 2], settings.volume_fraction, atol=1e-9)


def test_optimization_improves_and_ends_near_the_bound(grown):
    settings, states, design = grown
    objective = states[-1].rows[:, 1]
    assert objective[29] > 2 * objective[0]
    assert states[-1].rows[-1, 4] < 0.1 < states[-1].rows[0, 4]  # from grey to solid and void
    solid = settings.material
    bound, _ = hashin_shtrikman_upper(design.volume_fraction, solid.K, solid.G)
    assert 0.9 * bound < design.objective < bound


def test_a_delivered_cell_is_what_the_solver_says_of_its_voxels(grown):
    settings, _, design = grown
    result = homogenize(design.voxels, settings.material, tol=1e-7, threads=1)
    assert design.objective == pytest.approx(result.K, rel=1e-5)
    assert design.objective == design.labels["labels"]["K"]
    assert design.finer < design.objective  # displacements are freer on a finer grid
    assert design.volume_fraction == design.voxels.mean() <= settings.volume_fraction
    assert design.open_cell == is_open_mirrored(design.octant)
    assert symmetry(design.voxels).order == 48
    assert carries_mirrored(design.octant) == (True, True)


def test_less_is_reached_where_less_is_asked_for():
    objective = ElasticObjective.parse("nu")
    ends = [
        optimized(Model(small(objective, minimize=low)), named_starts(["bcc"])[0]).rows[-1, 1]
        for low in (True, False)
    ]
    assert ends[0] < ends[1]


def test_resume_is_exact(tmp_path):
    """After a stop between two checkpoints the same digits come out as without one."""
    settings = small(iterations=24, starts=named_starts(["fcc", "random"], seed=4))

    def stop(start, state):
        if start.name == "random" and state.iteration == 13:
            raise KeyboardInterrupt

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    with Folder(whole, settings) as folder:
        expected = optimize(settings, folder)
        folder.write(expected)
    with Folder(parts, settings) as folder, pytest.raises(KeyboardInterrupt):
        optimize(settings, folder, progress=stop)
    again, seen = replace(settings, starts=named_starts(["fcc", "random"], seed=4)), []
    with Folder(parts, again) as folder:
        folder.write(optimize(again, folder, progress=lambda _, state: seen.append(state)))
    assert [state.iteration for state in seen] == [24, *range(10, 25)]
    assert (whole / "history.csv").read_bytes() == (parts / "history.csv").read_bytes()
    for name in ("0-fcc", "1-random-4"):
        states = [np.load(f / "states" / f"{name}.npz", allow_pickle=False) for f in (whole, parts)]
        for array in states[0].files:
            assert states[0][array].tobytes() == states[1][array].tobytes()


def test_results_do_not_depend_on_threads():
    one, two = (optimized(Model(small(), n), named_starts(["fcc"])[0]) for n in (1, 2))
    assert one.variables.tobytes() == two.variables.tobytes()


# delivered cells


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("density", [0.45, 0.6])
def test_a_delivered_cell_is_one_part_of_at_most_the_density(seed, density):
    densities = DensityFilter(16, 2.0)
    field = densities.matrix @ np.random.default_rng(seed).random(len(densities.share))
    octant = delivered(field, densities, density)
    assert octant is not None
    assert carries_mirrored(octant) == (True, True)
    assert symmetry(unfold(octant)).order == 48
    assert density - 6 / octant.size < octant.mean() <= density  # 6 voxels are one point, at most


def test_an_island_goes_and_its_material_stays():
    """Walls on the faces of the cell, and a ball in its centre."""
    densities = DensityFilter(16, 1.0)
    near, centre = np.indices((8, 8, 8)).min(axis=0), np.indices((8, 8, 8)).min(axis=0) > 5
    field = np.where(centre, 2.0, -near + 0.0)
    at_points = densities.summed(field) / densities.summed(np.ones(field.shape))
    octant = delivered(at_points, densities, 0.5)
    assert octant[0].all()
    assert not octant[centre].any()
    assert octant.mean() == pytest.approx(0.5, abs=6 / 512)


def test_hollow_places_stay_void():
    model = Model(small(channel=4))
    field = np.random.default_rng(0).random(len(model.filter.share))
    octant = delivered(field, model.filter, 0.5)
    assert not octant[model.filter.octant(~model.filter.free)].any()


def test_channels_keep_the_cell_open():
    settings = small(resolution=12, channel=4, iterations=30, starts=named_starts(["void"]))
    closed, open_ = (optimize(s)[0] for s in (replace(settings, channel=0), settings))
    assert open_.open_cell
    assert open_.objective < closed.objective
    assert not closed.open_cell
    half = np.indices((6, 6, 6)) - 5.5
    assert not open_.octant[np.hypot(half[0], half[1]) <= 2].any()


def test_nothing_that_holds_together_is_an_error():
    with pytest.raises(ConvergenceError, match="no start gave a cell that holds together"):
        optimize(replace(small(iterations=1), volume_fraction=0.01))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"volume_fraction": 0.0}, "density must lie between 0 and 1, got 0"),
        ({"volume_fraction": np.nan}, "density must lie between 0 and 1, got nan"),
        ({"resolution": 9}, "resolution must be an even number from 8 on, got 9"),
        ({"min_feature": 0.5}, "min-feature must lie between 1 and 4 voxels"),
        ({"channel": 1.0}, "channels must be 2 to 4 voxels wide, got 1"),
        ({"iterations": 0}, "iterations must be at least 1, got 0"),
        ({"starts": ()}, "name at least one start"),
        ({"starts": named_starts(["fcc", "fcc"])}, "the same start is named twice"),
        ({"starts": (Start("a", octant=np.ones((5, 5, 5), bool)),)}, "start a has 10 voxels"),
        ({"nu": 0.5}, "nu must lie between"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ParameterError, match=message):
        replace(small(), **options)


def test_starts_and_channels_that_mean_nothing_are_refused():
    with pytest.raises(ParameterError, match="no start 'foam'; choose among void"):
        Start("foam")
    with pytest.raises(ParameterError, match="seed must not be negative"):
        Start("random", -1)
    with pytest.raises(ParameterError, match=r"channels leave 0.61 of the cell, too little"):
        Model(replace(small(channel=4), volume_fraction=0.6))


# folder and command


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Folder of two small optimizations, which no test may change."""
    settings, path = small(starts=named_starts(["fcc", "void"])), tmp_path_factory.mktemp("to")
    with Folder(path, settings) as folder:
        designs = optimize(settings, folder)
        folder.write(designs)
    return settings, path, designs


def test_the_folder_holds_a_labelled_dataset(output):
    _, path, designs = output
    with Dataset(path / "designs.h5") as found:
        assert len(found) == 2
        np.testing.assert_array_equal(found.labels["K"], [d.objective for d in designs])
        assert (np.diff(found.labels["K"]) <= 0).all()
        assert (found.labels["K"] <= found.labels["K_upper"]).all()
        for place, design in enumerate(designs):
            stored = np.load(path / "units" / f"{place}-{design.start}.npy", allow_pickle=False)
            np.testing.assert_array_equal(found[place].voxels, stored)
    history = (path / "history.csv").read_text().splitlines()
    assert history[0] == "iteration,start,objective,density,beta,discreteness"
    assert len(history) == 1 + 2 * 12


def test_another_run_in_the_folder_is_refused(output, tmp_path):
    settings, path, _ = output
    with (
        pytest.raises(ParameterError, match=r"holds a run with density 0.4, not 0.3; name another"),
        Folder(path, replace(settings, volume_fraction=0.3)),
    ):
        pass
    (tmp_path / "designs.h5").write_text("mine")
    for force in (False, True):
        with (
            pytest.raises(ParameterError, match=r"holds designs.h5 of another origin"),
            Folder(tmp_path, settings, force),
        ):
            pass
    assert (tmp_path / "designs.h5").read_text() == "mine"


def test_a_folder_in_use_and_damage_are_refused(tmp_path):
    settings = small()
    with Folder(tmp_path, settings) as folder:
        with (
            pytest.raises(ParameterError, match="another run is writing"),
            Folder(folder.path, settings),
        ):
            pass
        (tmp_path / "states" / "0-fcc.npz").write_bytes(b"nothing")
        with pytest.raises(DataError, match=r"0-fcc.npz: damaged; remove it"):
            optimize(settings, folder)
    (tmp_path / "topopt.json").write_text("{")
    with (
        pytest.raises(DataError, match=r"topopt.json: damaged .*--force"),
        Folder(tmp_path, settings),
    ):
        pass


def test_force_starts_over(tmp_path):
    for density in (0.6, 0.5):
        settings = replace(small(iterations=6), volume_fraction=density)
        with Folder(tmp_path, settings, force=True) as folder:
            assert folder.load(settings.starts[0]) is None
            folder.write(optimize(settings, folder))


ARGUMENTS = ("--density", 0.4, "--resolution", 8, "--iterations", 6, "--start", "void")


def test_command_prints_designs_that_other_commands_read(run, tmp_path):
    call, path = run, tmp_path / "to"
    code, out, err = call("topopt", "--maximize", "K", *ARGUMENTS, "-o", path)
    assert code == 0, err
    assert out.splitlines()[1].startswith("void")
    assert "void: K = " in err
    assert call("topopt", "--maximize", "K", *ARGUMENTS, "-o", path)[1] == out
    assert call("check", path / "designs.h5")[0] == 0
    code, solved, _ = call("solve", path / "designs.h5", "--index", 0, "--E", 70e3, "--nu", 0.33)
    assert code == 0
    assert out.splitlines()[1].split()[4] in solved  # K / K_HS
    unit = path / "units" / "0-void.npy"
    from_unit = ("--density", 0.4, "--resolution", 8, "--iterations", 2, "--start", unit)
    code, out, err = call("topopt", "--minimize", "-C11", *from_unit, "-o", tmp_path / "again")
    assert code == 0, err
    assert out.splitlines()[1].startswith("0-void")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "either --maximize or --minimize"),
        (("--maximize", "K", "--minimize", "G"), "either --maximize or --minimize"),
        (("--maximize", "K+"), "cannot read '+'"),
        (("--maximize", "K", "--start", "units.h5"), "choose one with --index"),
        (("--maximize", "K", "--start", "missing.npy"), "missing.npy"),
    ],
)
def test_command_refuses_in_one_line(run, tmp_path, arguments, word):
    call = run
    outcome = call("topopt", *arguments, *ARGUMENTS, "-o", tmp_path / "to")
    assert_refused(outcome, 2, word)
    assert not (tmp_path / "to").exists()
