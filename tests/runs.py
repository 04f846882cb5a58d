"""Finished design runs that cost little."""

from design.cleaning import Cleaning, Range
from design.output import write_output
from design.plan import Plan
from design.problem import Bound, Goal, Task
from design.run import design
from design.search import Settings


def small_plan(model, goals=("E", "nu"), **options):
    """Two short rounds on toy units."""
    cleaning = Cleaning(Range(0.35, 0.55))
    task = Task(tuple(map(Goal, goals)), cleaning, (Bound("nu", Range(-0.9)),), 2.0, 8)
    known = {"rounds": 2, "report": 4, "count": 30, "model": str(model)}
    return Plan(task, Settings(12, 4, 1), **(known | options))


def finished_run(model, folder, **options):
    """Folder of a run of ``small_plan`` with all that the command writes."""
    plan = small_plan(model, **options)
    write_output(folder, design(plan, folder, workers=1), plan.task)
    return folder
