"""From jobs to tasks: which call with what, and how many processors and GPUs it occupies."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from farm.config import BASE
from farm.scheduling import stages
from farm.scheduling.base_stage import train_base
from farm.scheduling.demands import demand_of
from farm.scheduling.machines import Demand, Node
from farm.scheduling.plan import Job, one_recipe
from farm.scheduling.queue import TRAINING, Task
from farm.scheduling.state import BaseState, State, StyleState
from farm.storage import Storage


def reading_tasks(state: StyleState, storage: Storage, home: str) -> list[Task]:
    """Return the batches that no earlier run has read; when there are none, what follows them.

    Parameters
    ----------
    home
        The machine where the music lies; "" when every machine has it.
    """
    batches = stages.batches_to_read(state.files, state.work.settings.filters, storage)
    state.batches = state.batches_left = len(batches)
    tasks = [_task(state, "read", stages.read_batch, (state.work, batch), part=batch.key) for batch in batches]
    return [replace(task, ends_stage=False, demand=Demand(node=home)) for task in tasks] or [cleaning_task(state, home)]


def cleaning_task(state: StyleState, home: str) -> Task:
    """Return what ends reading: the tables of the style from all its batches."""
    task = _task(state, "read", stages.clean, (state.work, state.files), part="clean")
    return replace(task, demand=Demand(node=home))


def stage_task(state: StyleState, job: Job, threads: int, nodes: Sequence[Node]) -> Task:
    """Return the task of a stage after reading; `threads` is for a training that its recipe says nothing of."""
    call = stages.CALLS[job.stage]
    if job.stage == "publish":
        return _task(state, job.stage, call, (state.work, state.receipts, dict(state.failed)))
    work = state.work.alone(job.recipe) if job.recipe else state.work
    receipts = one_recipe(state.receipts, job.recipe) if job.recipe else state.receipts
    if job.stage != "train":
        return _task(state, job.stage, call, (work, receipts), recipe=job.recipe)
    demand = demand_of(work.recipe, work.recipe.training, nodes, threads)
    task = _task(state, job.stage, call, (replace(work, threads=demand.cpus), receipts), recipe=job.recipe)
    return replace(task, demand=demand)


def base_task(
    state: BaseState, recipe: str, styles: Mapping[str, StyleState], threads: int, nodes: Sequence[Node]
) -> Task:
    """Return the task that trains a base: first, and on all of a machine, for no style can be trained before.

    Parameters
    ----------
    threads
        All processors of a machine. One of them is not counted, so that n-grams are counted beside it.
    """
    work = state.works[recipe]
    demand = demand_of(work.recipe, work.recipe.training_of_base, nodes, threads)
    task = _task(
        state, BASE, train_base, (replace(work, threads=demand.cpus), state.task_argument(recipe)), recipe=recipe
    )
    if not demand.gpus and not work.recipe.devices.cpus:
        demand = replace(demand, cpus=max(1, threads - 1))
    return replace(
        task,
        demand=demand,
        keeps_room=True,
        priority=max(style.work.settings.priority for style in styles.values()),
        expected_seconds=state.expected_seconds + sum(style.expected_seconds for style in styles.values()),
    )


def training_demands(
    states: Iterable[State], until: Collection[str], threads: Mapping[str, int], nodes: Sequence[Node]
) -> list[tuple[str, str, Demand]]:
    """Return style, recipe and demand of every training that has to run; `threads` are those of `style/recipe`."""
    found = []
    for state in states:
        for job in state.jobs:
            if job.fresh or job.stage not in TRAINING or job.stage not in until or job.recipe in state.failed:
                continue
            if isinstance(state, BaseState):
                recipe = state.works[job.recipe].recipe
                demand = demand_of(recipe, recipe.training_of_base, nodes, 1)
            elif isinstance(state, StyleState) and state.wanted and not state.error:
                recipe = state.work.alone(job.recipe).recipe
                demand = demand_of(recipe, recipe.training, nodes, threads.get(f"{state.style}/{job.recipe}", 1))
            else:
                continue
            found.append((state.style, job.recipe, demand))
    return found


def _task(
    state: State,
    stage: str,
    call: Callable[..., dict[str, Any]],
    arguments: tuple[Any, ...],
    *,
    recipe: str = "",
    part: str = "",
) -> Task:
    settings = state.work.settings if isinstance(state, StyleState) else None
    return Task(
        id="/".join(filter(None, (state.style, stage, recipe, part))),
        style=state.style,
        stage=stage,
        call=call,
        arguments=arguments,
        recipe=recipe,
        priority=settings.priority if settings else 0,
        expected_seconds=state.expected_seconds,
        at_once=(settings.tasks_at_once or 0) if settings else 0,
    )
