"""Tables of an evaluation hold the numbers that direct computation gives."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import toys

from homog import DataError
from learn import plots
from learn.calibration import Calibration
from learn.data import Scaler
from learn.evaluation import PAPER, Evaluation, nearest, scores, table
from learn.surrogate import Prediction, Surrogate
from learn.uncertainty import fixed_draws

SAMPLES = 10


@pytest.fixture(scope="module")
def evaluation(model, labelled):
    return Evaluation(Surrogate.load(model), labelled, SAMPLES)


@pytest.fixture(scope="module")
def surrogate(model):
    return Surrogate.load(model)


@pytest.fixture(scope="module")
def truth():
    octants, fraction, shape = toys.octants()
    return octants, toys.labels(fraction, shape)


def of_part(evaluation, name):
    """Rows of the dataset of a part."""
    return evaluation.data.rows[evaluation.data.members(name)]


def test_parts_are_those_of_the_training(evaluation, surrogate):
    found = {name: len(judged.rows) for name, judged in evaluation.parts.items()}
    assert found == surrogate.notes["units"] == {"training": 84, "validation": 18, "test": 18}
    rows = np.concatenate([judged.rows for judged in evaluation.parts.values()])
    assert np.array_equal(np.sort(rows), np.arange(toys.COUNT))


@pytest.mark.parametrize("part", ["training", "test"])
def test_accuracy_is_computed_from_octants_and_labels(part, evaluation, surrogate, truth):
    octants, labels = truth
    rows = of_part(evaluation, part)
    z = surrogate.encode(octants[rows])
    found, made = evaluation.accuracy()[part], surrogate.decode(z) >= 0.5
    assert found["units"] == len(rows)
    assert found["voxel accuracy"] == pytest.approx(np.mean(made == octants[rows]), rel=1e-6)
    predicted = surrogate.predict_octants(octants[rows], SAMPLES)
    known = np.isin(np.arange(toys.COUNT), of_part(evaluation, "test"), invert=True)
    for name in ("E", "nu"):
        values, mean = labels.nominal[name], predicted[name].mean
        error = values[rows] - mean
        r2 = 1 - np.mean(error**2) / np.var(values[rows])
        assert found[f"R2 {name}"] == pytest.approx(r2, rel=1e-5)
        nrmse = np.sqrt(np.mean(error**2)) / np.ptp(values[known])
        assert found[f"NRMSE {name}"] == pytest.approx(nrmse, rel=1e-5)
    K = predicted["E"].mean / (3 * (1 - 2 * predicted["nu"].mean))
    error = labels.nominal["K"][rows] - K
    r2 = 1 - np.mean(error**2) / np.var(labels.nominal["K"][rows])
    assert found["R2 K by Eq. 17"] == pytest.approx(r2, rel=1e-4)


def test_the_errors_of_the_bins_of_a_distribution_make_up_those_of_all(evaluation):
    figure = plots.distribution(evaluation)
    judged = evaluation.parts["test"]
    for place, name in enumerate(("E", "nu")):
        values, edges, _ = figure.axes[2 + place].patches[0].get_data()
        count, _ = np.histogram(judged.nominal[:, place], edges)
        assert np.array_equal(np.isnan(values), count == 0)
        squared = (judged.nominal[:, place] - judged.calibrated[name].mean) ** 2
        assert np.nansum(count * values**2) == pytest.approx(squared.sum())
    plt.close(figure)


def test_the_toy_has_learned_something(evaluation):
    found = evaluation.accuracy()["test"]
    assert found["voxel accuracy"] > 0.8
    assert found["R2 E"] > 0.5


def test_uncertainty_is_judged_on_what_was_observed(evaluation, surrogate, truth):
    octants, labels = truth
    rows = of_part(evaluation, "test")
    predicted = surrogate.predict_octants(octants[rows], SAMPLES)
    for name in ("E", "nu"):
        found, values = evaluation.uncertainty()[name], labels.scattered[name][rows]
        lower, upper = predicted[name].interval(0.9)
        inside = np.mean((values >= lower) & (values <= upper))
        assert found["90 % coverage, recalibrated"] == pytest.approx(inside)
        assert found["sharpness, recalibrated"] == pytest.approx(predicted[name].total.mean())
        assert found["CRPS, raw"] == scores(values, evaluation.parts["test"].raw[name])["CRPS"]


def test_ratio_of_aleatoric_deviations_is_that_to_the_sensitivities(evaluation, truth):
    rows, by = of_part(evaluation, "test"), truth[1].derivatives
    for name in ("E", "nu"):
        exact = toys.SCATTER * np.hypot(
            70e3 * by[f"d{name}_dE_solid"][rows], 0.33 * by[f"d{name}_dnu_solid"][rows]
        )
        stated = evaluation.parts["test"].calibrated[name].aleatoric
        found = evaluation.uncertainty()[name]["aleatoric, predicted / true"]
        assert found == pytest.approx(np.median(stated / exact), rel=1e-6)


def test_deviation_of_the_predictor_is_what_it_states_at_z(evaluation, surrogate):
    judged = evaluation.parts["test"]
    stated = surrogate.predict(judged.z).stddev.numpy()
    assert np.array_equal(evaluation.stated_deviation(judged.z), stated)
    for index, name in enumerate(("E", "nu")):
        found = evaluation.uncertainty()[name]["deviation of the predictor / true aleatoric"]
        assert found == pytest.approx(np.median(stated[:, index] / judged.scatter[:, index]))


def test_far_units_are_those_farthest_from_all_training_units(evaluation):
    parts = evaluation.parts
    distance = [
        min(np.linalg.norm(z - other) for other in parts["training"].z) for z in parts["test"].z
    ]
    assert evaluation.far.sum() == 1  # 5 % of 18
    assert evaluation.far[np.argmax(distance)]


def test_nearest_is_the_smallest_distance():
    rng = np.random.default_rng(0)
    points, others = rng.normal(size=(700, 3)), rng.normal(size=(40, 3))
    slow = [min(np.linalg.norm(p - o) for o in others) for p in points]
    assert nearest(points, others) == pytest.approx(slow)


def test_reliability_rises_to_the_coverage_of_its_levels(evaluation):
    for name, curves in evaluation.reliability().items():
        for kind, curve in curves.items():
            assert np.all(np.diff(curve) >= 0)
            row = evaluation.uncertainty()[name][f"90 % coverage, {kind}"]
            assert curve[17] == row  # of 0.05, 0.10, ...


def test_convergence_is_over_the_samples(evaluation, surrogate):
    counts, totals = evaluation.convergence(counts=(2, 10), units=3)
    assert counts == [2, 10]
    judged = evaluation.parts["validation"]
    assert totals["E"].shape == (3, 2)
    whole = surrogate.predict_with_uncertainty(judged.z, 10)["E"].total
    for total in totals["E"][:, 1]:
        assert np.min(np.abs(whole / total - 1)) < 1e-5


def test_cases_are_the_best_and_worst_predicted_of_all_parts(evaluation, truth):
    cases = evaluation.cases("nu", realisations=4)
    errors = np.concatenate(
        [np.abs(j.nominal[:, 1] - j.calibrated["nu"].mean) for j in evaluation.parts.values()]
    )
    expected = np.sort(errors)[[0, 1, 2, -3, -2, -1]]
    assert [case["error"] for case in cases] == pytest.approx(expected)
    for case in cases:
        judged = evaluation.parts[case["part"]]
        place = int(np.flatnonzero(judged.rows == case["unit"])[0])
        made = judged.calibrated["nu"]
        assert case["error"] == abs(truth[1].nominal["nu"][case["unit"]] - made.mean[place])
        assert case["true aleatoric"] == judged.scatter[place, 1]
        for name in ("total", "aleatoric", "epistemic"):
            assert case[name] == getattr(made, name)[place]


def test_difference_of_a_case_is_that_of_its_realisations(evaluation, surrogate, truth):
    case = evaluation.cases("E", realisations=4)[0]
    octant = truth[0][case["unit"]]
    mean, deviation = surrogate.encode_with_deviation(octant[None])
    made = surrogate.decode(mean + deviation * fixed_draws(4, 3).numpy())
    expected = np.mean([np.abs(octant - of).sum() / octant.sum() for of in made])
    assert case["relative voxel difference"] == pytest.approx(expected, rel=1e-5)


def test_extremes_are_best_and_worst_reconstructed(evaluation):
    best, worst = evaluation.extremes(4)
    accuracy = evaluation.parts["test"].accuracy
    order = np.sort(accuracy)
    assert accuracy[best].tolist() == order[::-1][:4].tolist()
    assert accuracy[worst].tolist() == order[:4].tolist()


def test_octants_of_the_evaluation_are_those_of_the_dataset(evaluation, truth):
    assert np.array_equal(evaluation.octants(np.arange(5)), truth[0][evaluation.data.rows[:5]])


def test_all_units_of_another_dataset_are_test_units(surrogate, tmp_path):
    path = toys.write_labelled(tmp_path / "other.h5", 60)
    found = Evaluation(surrogate, path, SAMPLES)
    assert not found.own
    assert list(found.parts) == ["test"]
    assert len(found.parts["test"].rows) == 60
    row = found.uncertainty()["E"]
    assert "90 % coverage, far" not in row
    span = np.ptp(toys.labels(*toys.octants(60)[1:]).nominal["nu"])
    error = found.data.nominal[:, 1] - found.parts["test"].calibrated["nu"].mean
    nrmse = np.sqrt(np.mean(error**2)) / span
    assert found.accuracy()["test"]["NRMSE nu"] == pytest.approx(nrmse)
    assert len(found.convergence(counts=[2])[1]["E"]) == 3


def test_without_sensitivities_nothing_is_said_of_the_true_scatter(surrogate, tmp_path):
    found = Evaluation(surrogate, toys.write_labelled(tmp_path / "n.h5", scatter=False), SAMPLES)
    assert not any("true" in name for name in found.uncertainty()["E"])
    assert "true aleatoric" not in found.cases("E", 2)[0]


def test_labels_of_another_solid_are_refused(surrogate, tmp_path):
    def softer(content):
        content["labels"][0]["E"] = 60e3

    path = toys.write_labelled(tmp_path / "softer.h5", change=softer)
    with pytest.raises(DataError, match=r"softer\.h5: labels of another solid than the surrogate"):
        Evaluation(surrogate, path)


def test_a_dataset_of_another_size_is_refused(surrogate, tmp_path):
    path = toys.write_labelled(tmp_path / "small.h5", 30, edge=4)
    with pytest.raises(DataError, match=r"small\.h5: expected octants of 8 voxels, got 4"):
        Evaluation(surrogate, path)


def test_scores_of_exact_predictions():
    rng = np.random.default_rng(0)
    mean, total = rng.normal(size=5000), np.full(5000, 2.0)
    normal = Calibration.none(1).scores[0]
    found = scores(rng.normal(mean, total), Prediction(mean, total, 0 * total, total, normal))
    assert found["sharpness"] == 2
    assert found["NLL"] == pytest.approx(0.5 * np.log(2 * np.pi * np.e * 4), rel=0.02)
    assert found["CRPS"] == pytest.approx(2 / np.sqrt(np.pi), rel=0.02)
    assert found["90 % coverage"] == pytest.approx(0.9, abs=0.015)
    assert found["calibration error"] < 0.012


def test_the_table_shows_the_numbers_beside_the_publication(evaluation):
    summary = evaluation.summary()
    text = table(summary)
    for part, row in summary["accuracy"].items():
        assert f"{row['R2 E']:.4f} ({PAPER[part]['R2 E']:.4f})" in text
        assert f"{row['voxel accuracy']:.4f} ({PAPER[part]['voxel accuracy']:.4f})" in text
    lines = {line[:46].strip(): line[46:].split() for line in text.splitlines() if line[46:]}
    for name in ("CRPS, raw", "90 % coverage, recalibrated", "aleatoric, predicted / true"):
        shown = [summary["uncertainty"][target][name] for target in ("E", "nu")]
        assert [float(cell) for cell in lines[name]] == pytest.approx(shown, rel=1e-3)
    deterministic = table(summary, deterministic=True)
    assert "(0.9203)" in deterministic
    assert "(0.9203)" not in text


def test_progress_is_told_for_each_part(surrogate, labelled):
    told = []
    Evaluation(surrogate, labelled, 2, lambda: told.append(1))
    assert len(told) == 3


@pytest.mark.parametrize("targets", [("K",), ("nu", "E", "K")])
def test_any_targets_can_be_judged(targets, labelled, surrogate):
    framework = toys.framework(replace(surrogate.framework.settings, targets=len(targets)))
    scaler = Scaler(np.zeros(len(targets)), np.ones(len(targets)))
    none = Calibration.none(len(targets))
    made = Surrogate(framework, targets, scaler, none, surrogate.origin)
    found = Evaluation(made, labelled, 2)
    row = found.accuracy()["test"]
    assert all(f"R2 {name}" in row for name in targets)
    assert ("R2 K by Eq. 17" in row) == ({"E", "nu"} <= set(targets))
    assert table(found.summary())
    assert found.main_target == ("nu" if "nu" in targets else "K")
