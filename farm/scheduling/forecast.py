"""How long a run would take on given machines: its jobs, their estimated lengths, and the queue they would go through.

Pure. Everything that is stale counts, also what follows a stale job and may turn out to be fresh once that is done.
"""

from collections.abc import Sequence

from farm.config import BASE
from farm.scheduling.demands import demand_of
from farm.scheduling.estimates import expected_stage_seconds
from farm.scheduling.machines import Demand, Node, could_hold
from farm.scheduling.plan import Job, key_of
from farm.scheduling.queue import Task, threads_per_training
from farm.scheduling.simulation import Step, simulate
from farm.scheduling.state import BaseState, StyleState, stale_trainings

_AFTER = {"baseline": ("read",), "train": ("read",), "judge": ("train", "baseline"), "publish": ("judge",)}


def wall_seconds(states: Sequence[StyleState], base: BaseState | None, nodes: Sequence[Node]) -> float:
    """Return about how long a run takes from its first task to its last; 0 where nothing is stale."""
    most = max((node.cpus for node in nodes), default=1)
    threads = min(threads_per_training(sum(node.cpus for node in nodes), len(stale_trainings(states))), most)
    steps = [step for state in states if not state.error for step in _steps_of(state, base, nodes, threads)]
    stale = {step.task.id for step in steps}
    for job in base.jobs if base else []:
        if base is not None and not job.fresh:
            work = base.works[job.recipe]
            demand = _held(demand_of(work.recipe, work.recipe.training_of_base, nodes, most), nodes)
            reads = tuple(one for name in work.settings if (one := f"{name}/read") in stale)
            seconds = job.last_seconds or base.expected_seconds
            steps.append(Step(_task(BASE, job, demand, 10**9), seconds, reads))
    ends = [span.ended for span in simulate(steps, nodes)]
    return max(ends, default=0.0)


def _steps_of(state: StyleState, base: BaseState | None, nodes: Sequence[Node], threads: int) -> list[Step]:
    """Return the steps of a style that are stale; one that is not wanted is only read."""
    recipes = {recipe.name: recipe for recipe in state.work.recipes}
    stale = {job.key: job for job in state.jobs if not job.fresh and (state.wanted or job.stage == "read")}
    bases = {job.recipe for job in base.jobs if not job.fresh} if base else set()
    steps = []
    for job in stale.values():
        recipe = recipes.get(job.recipe, state.work.recipe)
        demand = Demand()
        after = [f"{state.style}/{key}" for key in _before(job, state) if key in stale]
        if job.stage == "train":
            demand = _held(demand_of(recipe, recipe.training, nodes, threads), nodes)
            if job.recipe in bases and state.work.alone(job.recipe).starts_from == BASE:
                after.append(f"{BASE}/{key_of(BASE, job.recipe)}")
        seconds = expected_stage_seconds(job.key, state.files, state.receipts, recipe, state.history)
        steps.append(Step(_task(state.style, job, demand, state.expected_seconds), seconds, tuple(after)))
    return steps


def _before(job: Job, state: StyleState) -> list[str]:
    stages = _AFTER.get(job.stage, ())
    return [
        one.key for one in state.jobs if (one.stage in stages and job.recipe in ("", one.recipe)) or one.key in stages
    ]


def _task(style: str, job: Job, demand: Demand, expected_seconds: float) -> Task:
    return Task(f"{style}/{job.key}", style, job.stage, dict, (), demand, expected_seconds=expected_seconds)


def _held(demand: Demand, nodes: Sequence[Node]) -> Demand:
    """Return a demand that some machine meets: one that none does is refused when it comes to it, not forecast."""
    return demand if could_hold(nodes, demand) else Demand()
