"""What has been done: receipts, attempts, progress, and who owns the artifacts folder.

A receipt says for which inputs a stage of a style was finished; it is written after everything it speaks of.
What a dead owner can leave are workers on other machines, or ones that were stopped: each task has a fence, a file
with the token of the attempt that may write, and whoever takes the artifacts over takes all fences away.
"""

import os
import platform
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from farm import layout
from farm.errors import BusyError, StorageError
from farm.storage import Fence, Storage


@contextmanager
def owned(storage: Storage) -> Iterator[None]:
    """Hold the artifacts for as long as the block runs; BusyError names the process that has them.

    Whatever workers of an owner before are still alive can write nothing more then.
    """
    owner = f"farm, process {os.getpid()} on {platform.node()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}"
    with storage.hold(layout.LOCK, owner):
        _take_away_leftovers(storage)
        try:
            yield
        finally:
            with suppress(StorageError, BusyError):  # the next owner does it again
                _take_away_leftovers(storage)


def _take_away_leftovers(storage: Storage) -> None:
    """Take away the fences, and the temporary files of workers that were killed; nobody may write meanwhile."""
    for key in storage.list(layout.FENCES):
        storage.delete(key)
    for room in layout.ROOMS:
        storage.sweep(room)


def is_running(storage: Storage) -> bool:
    """Return whether some process owns the artifacts now."""
    return storage.is_held(layout.LOCK)


def open_fence(storage: Storage, task: str, attempt: int) -> Fence:
    """Let an attempt at a task write, and none before it any more."""
    fence = Fence(layout.fence(task), f"attempt {attempt} at {task} ({secrets.token_hex(4)})")
    storage.tell_json(fence.key, fence.token)  # when the machine fails, so does whatever could write by it
    return fence


def close_fence(storage: Storage, task: str) -> None:
    """Let no attempt at a task write any more; it has ended."""
    storage.delete(layout.fence(task))


def read_receipts(storage: Storage, style: str, stages: Sequence[str], per_recipe: Sequence[str]) -> dict[str, Any]:
    """Return the receipts of a style by key, those of recipes that are no longer used among them.

    The key of a stage that all recipes share is its name, else stage and recipe with a slash between.
    """
    keys = {stage: layout.receipt(stage, style) for stage in stages if stage not in per_recipe}
    for stage in per_recipe:
        for key in storage.list(layout.receipt(stage, style).removesuffix(".json"), ".json"):
            keys[f"{stage}/{key.rpartition('/')[2].removesuffix('.json')}"] = key
    return {name: storage.read_json(key) for name, key in keys.items() if storage.exists(key)}


def write_receipt(
    storage: Storage,
    style: str,
    stage: str,
    recipe: str = "",
    *,
    inputs: dict[str, str],
    result: dict[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """Note that a stage is done for these inputs, and return the receipt."""
    receipt = {"inputs": inputs, "result": result, "seconds": round(seconds, 3)}
    storage.write_json(layout.receipt(stage, style, recipe), receipt)
    return receipt


def note_attempt(
    storage: Storage,
    style: str,
    stage: str,
    outcome: str,
    *,
    recipe: str = "",
    message: str = "",
    seconds: float = 0,
) -> None:
    """Append one line about a try at a stage; `outcome` is started, done or failed.

    The line is not synced, which would cost a job more than its receipt does: it outlasts a kill of the farm, and
    what the last moments before the machine failed had begun is begun anew and counted then.
    """
    storage.append_json(
        layout.ATTEMPTS,
        {
            "style": style,
            "stage": stage,
            "recipe": recipe,
            "outcome": outcome,
            "message": message,
            "seconds": round(seconds, 3),
            "time": round(time.time(), 3),  # seconds since 1970
        },
        is_synced=False,
    )


def attempts(storage: Storage) -> dict[tuple[str, str, str], int]:
    """Return how often each stage of each style was started, by style, stage and recipe."""
    counts: dict[tuple[str, str, str], int] = {}
    for line in storage.read_lines(layout.ATTEMPTS):
        if line.get("outcome") == "started":
            name = (line["style"], line["stage"], line.get("recipe", ""))
            counts[name] = counts.get(name, 0) + 1
    return counts


def report_progress(storage: Storage, style: str, recipe: str = "", **facts: Any) -> None:
    """Tell other processes how far a style is. Not durable on purpose: it is worth a second at most.

    Where it cannot be written it is not told: what a style stands or falls by is what it writes next.
    """
    storage.check_fence()
    told = {"style": style, "recipe": recipe, "time": time.time(), **facts}
    with suppress(StorageError):
        storage.tell_json(layout.progress(style, recipe), told)


def clear_progress(storage: Storage, style: str, recipe: str = "") -> None:
    """Forget what was told about a style or one of its recipes: nothing is at work on it now."""
    with suppress(StorageError):
        storage.delete(layout.progress(style, recipe))


def forget_progress(storage: Storage, style: str) -> None:
    """Forget what earlier runs told about a style and its recipes, those that are no longer used too."""
    for facts in read_progress(storage, style):
        clear_progress(storage, style, facts["recipe"])


def read_progress(storage: Storage, style: str) -> list[dict[str, Any]]:
    """Return what was last told about a style and each of its recipes; empty when nothing was."""
    folder = layout.progress(style).removesuffix(".json")
    found = []
    for key in (layout.progress(style), *storage.list(folder, ".json")):
        try:
            found.append(dict(storage.read_json(key)))
        except (StorageError, ValueError):
            continue  # not there, or gone since it was listed
    return found
