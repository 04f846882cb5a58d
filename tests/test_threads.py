import pytest

from homog import ConvergenceError, Isotropic, homogenize, solver
from homog.threads import Workers


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_tasks_return_their_results_in_order(threads):
    with Workers(threads) as workers:
        assert list(workers.at_once((lambda n=n: n**2) for n in range(5))) == [0, 1, 4, 9, 16]


def test_one_thread_makes_a_task_when_the_one_before_is_done():
    """Else the arrays of both would need memory."""
    seen = []

    def tasks():
        for _ in range(3):
            seen.append("made")
            yield lambda: seen.append("done")

    list(Workers(1).at_once(tasks()))
    assert seen == ["made", "done"] * 3


def test_a_task_that_fails_stops_the_others():
    with Workers(2) as workers:
        ended = []

        def fails():
            raise ConvergenceError("first")

        def waits():
            ended.append(workers.stopped.wait(timeout=60))

        with pytest.raises(ConvergenceError, match="first"):
            workers.at_once([fails, waits])
        assert ended == [True]
        assert not workers.stopped.is_set()  # ready for another method


@pytest.mark.parametrize(
    ("threads", "count", "shares"), [(1, 2, [1]), (2, 2, [1, 1]), (5, 2, [3, 2]), (4, 1, [4])]
)
def test_parts_share_the_threads(threads, count, shares):
    with Workers(threads) as workers:
        assert [part.threads for part in workers.split(count)] == shares


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_load_that_does_not_converge_is_an_error_at_any_thread_count(
    threads, triclinic, monkeypatch
):
    monkeypatch.setattr(solver, "LIMIT", 2)
    with pytest.raises(ConvergenceError, match="no convergence in 2 iterations"):
        homogenize(
            triclinic[:6, :6, :8],
            Isotropic(1.0, 0.3),
            tol=1e-9,
            method="multigrid",
            threads=threads,
            use_symmetry=False,
        )
