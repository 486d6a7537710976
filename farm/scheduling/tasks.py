"""From jobs to tasks: which call with what, and how many processors and GPUs it occupies."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from farm.config import BASE
from farm.scheduling import stages
from farm.scheduling.base_stage import train_base
from farm.scheduling.plan import Job, one_recipe
from farm.scheduling.queue import Capacity, Task
from farm.scheduling.state import BaseState, State, StyleState
from farm.storage import Fence, Storage


def reading_tasks(state: StyleState, storage: Storage) -> list[Task]:
    """Return the batches that no earlier run has read; when there are none, what follows them."""
    batches = stages.batches_to_read(state.files, state.work.settings.filters, storage)
    state.batches = state.batches_left = len(batches)
    tasks = [_task(state, "read", stages.read_batch, (state.work, batch), part=batch.key) for batch in batches]
    return [replace(task, ends_stage=False) for task in tasks] or [cleaning_task(state)]


def cleaning_task(state: StyleState) -> Task:
    """Return what ends reading: the tables of the style from all its batches."""
    return _task(state, "read", stages.clean, (state.work, state.files), part="clean")


def stage_task(state: StyleState, job: Job, threads: int, capacity: Capacity) -> Task:
    """Return the task of a stage after reading; `threads` is for training."""
    call = stages.CALLS[job.stage]
    if job.stage == "publish":
        return _task(state, job.stage, call, (state.work, state.receipts, dict(state.failed)))
    work = state.work.alone(job.recipe) if job.recipe else state.work
    receipts = one_recipe(state.receipts, job.recipe) if job.recipe else state.receipts
    if job.stage != "train":
        return _task(state, job.stage, call, (work, receipts), recipe=job.recipe)
    task = _task(state, job.stage, call, (replace(work, threads=threads), receipts), recipe=job.recipe)
    return replace(task, cpus=threads, gpus=min(1.0, capacity.gpus))


def fenced(task: Task, fence: Fence) -> Task:
    """Return the task as one attempt makes it: its work, the first argument of every call, writes by that fence."""
    work, *others = task.arguments
    return replace(task, arguments=(replace(work, fence=fence), *others))


def base_task(state: BaseState, recipe: str, styles: Mapping[str, StyleState], capacity: Capacity) -> Task:
    """Return the task that trains a base: first, and on all processors, for no style can be trained before.

    One processor is not counted, so that n-grams are counted beside it.
    """
    work = replace(state.works[recipe], threads=capacity.cpus_of_one)
    task = _task(state, BASE, train_base, (work, state.task_argument(recipe)), recipe=recipe)
    return replace(
        task,
        cpus=max(1, capacity.cpus_of_one - 1),
        gpus=min(1.0, capacity.gpus),
        priority=max(style.work.settings.priority for style in styles.values()),
        expected_seconds=state.expected_seconds + sum(style.expected_seconds for style in styles.values()),
    )


def _task(
    state: State,
    stage: str,
    call: Callable[..., dict[str, Any]],
    arguments: tuple[Any, ...],
    *,
    recipe: str = "",
    part: str = "",
) -> Task:
    return Task(
        id="/".join(filter(None, (state.style, stage, recipe, part))),
        style=state.style,
        stage=stage,
        call=call,
        arguments=arguments,
        recipe=recipe,
        priority=state.work.settings.priority if isinstance(state, StyleState) else 0,
        expected_seconds=state.expected_seconds,
    )
