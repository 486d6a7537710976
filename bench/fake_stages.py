"""Stages that do nothing and answer as the real ones do, so that what is measured is the farm around them.

Workers import this file by its name; the stages that a driver hands out are put in place by `replace_stages`.
"""

from typing import Any

from farm.scheduling import stages


def read_batch(work: Any, batch: Any) -> dict[str, Any]:
    return {"tunes": 1}


def clean(work: Any, files: Any) -> dict[str, Any]:
    return {"digest": work.style, "notes": 50_000, "states": {"read": 1}, "repaired": 0, "in_seconds": 0}


def baseline(work: Any, receipts: Any) -> dict[str, Any]:
    return {"bits_per_note": 5.0, "order": 2}


def train(work: Any, receipts: Any) -> dict[str, Any]:
    return {"run": work.style, "epochs": 3, "best_val_bits_per_note": 4.0, "notes": 50_000, "seconds": 60.0}


def judge(work: Any, receipts: Any) -> dict[str, Any]:
    return {"digest": work.style, "epoch": 2, "verdict": "healthy", "fit": True, "reason": "it is a fake"}


def publish(work: Any, receipts: Any, failed: Any) -> dict[str, Any]:
    return {"name": None, "why": "it is a fake", "bytes": 0}


def replace_stages() -> None:
    """Let this process hand out fakes from now on."""
    stages.read_batch, stages.clean = read_batch, clean
    stages.CALLS.update(baseline=baseline, train=train, judge=judge, publish=publish)
