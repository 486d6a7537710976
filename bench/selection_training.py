"""One run of the bench of the epoch selector: trains past the good epochs, lets snapshots compose, measures them twice.

The farm's own loop ends a run where nothing better can follow, tries a broken one again, and keeps snapshots by
progress. Rules that know nothing of that could then neither be punished nor rewarded, so here the same network and
optimizer (`farm.training.trainee`) train for a fixed number of epochs, through whatever breaks, and the snapshots lie
at fixed epochs, denser at the beginning. Only a loss that is no number ends a run.

Conventions
-----------
A run's files lie where the farm keeps those of a run, its name being the plan's. Done once, it is never done again.
Seconds are those of the processor.
"""

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selection_listening import MEASURED_BY, SEED, Record, listen, rounded
from selection_plans import Plan

from farm import layout
from farm.catalog.base_file import open_base
from farm.composing.player import architecture
from farm.config import digest
from farm.music.batches import blocks, whole
from farm.music.features import Features
from farm.storage import Storage
from farm.training import snapshots
from farm.training.loading import Music, load_music
from farm.training.stopping import untrained_loss

_STATE_SECONDS = 15.0


@dataclass(frozen=True)
class Places:
    """Where things lie: the farm that read the styles, the base file if any, and what this bench makes."""

    artifacts: Path
    base: Path | None
    scratch: Path

    @property
    def base_digest(self) -> str | None:
        return open_base(self.base).digest if self.base else None

    def record(self, plan: Plan) -> Path:
        return self.scratch / "records" / f"{plan.name}.json"


def settings_of(plan: Plan, base_digest: str | None) -> str:
    """Return a hash of what a run depends on, but for its limit: one that goes on after other settings is another."""
    limits = [SEED, plan.epochs(1), plan.epochs(50_000), plan.kept(1000)]
    start = base_digest if plan.has_base else None
    return digest([asdict(plan), plan.recipe_as_filed().model_dump(mode="json"), limits, start])


def work(plan: Plan, places: Places, minutes: float) -> None:
    """Train and score one run, or go on with it, and write its record; for a process of its own with one thread."""
    settings = settings_of(plan, places.base_digest)
    storage = Storage(places.scratch / "runs" / settings[:12])
    base = open_base(places.base) if plan.has_base and places.base else None
    music = load_music(Storage(places.artifacts), plan.style, base.encoding if base else None)
    recipe = plan.recipe_for(sum(map(len, music.note_arrays("train").values())))
    training = recipe.training
    parts, judged = _parts(music)
    notes = sum(part.n_notes for part in parts)
    epochs = plan.epochs(notes)
    lines = _lines(storage, plan)
    if not _is_over(lines, epochs, minutes):
        from farm.training.backend import prepare

        prepare(1)
        from farm.training.trainee import Trainee

        network = recipe.network
        shape = architecture(embedding=network.embedding, layers=network.layers, head=network.head)
        weights = base.weights if base else None
        trainee = Trainee(shape, music.encoding, recipe, parts, judged, seed=SEED, weights=weights)
        _train(trainee, storage, plan, training.learning_rate, epochs, minutes, shape, music)
        lines = _lines(storage, plan)
    people, measured = listen(storage, plan, music, recipe, base)
    record = {
        "name": plan.name,
        **asdict(plan),
        "learning_rate": training.learning_rate,
        "raised_after": plan.raised_after(epochs),
        "settings": settings,
        "measured_by": MEASURED_BY,
        "minutes": minutes,
        "notes": notes,
        "planned_epochs": epochs,
        "training_seconds": round(sum(line["seconds"] for line in lines), 1),
        "scoring_seconds": round(sum(row.pop("seconds") for row in measured), 1),
        "start_loss": rounded(untrained_loss(music.encoding)) if base else None,
        "farm": {"patience_epochs": training.patience_epochs, "max_epochs": training.max_epochs},
        "metrics": {name: [rounded(line[name]) for line in lines] for name in ("loss", "val_loss", "accuracy")},
        "people": people,
        "snapshots": measured,
    }
    Storage(places.scratch).write_json(f"records/{places.record(plan).name}", record)


def _parts(music: Music) -> tuple[list[Any], list[Any]]:
    """Return what is trained on and what is held out: pieces, or without any to hold out the ends of all."""
    features = Features(music.encoding)
    train, heldout = (features.told(music.events(split)) for split in ("train", "heldout"))
    return (whole(train), whole(heldout)) if heldout else blocks(train)


def _lines(storage: Storage, plan: Plan) -> list[Record]:
    """Return the metrics so far, one line an epoch, up to the first loss that is no number."""
    lines = {line["epoch"]: line for line in storage.read_lines(layout.metrics(plan.style, plan.name))}
    ordered = [lines[epoch] for epoch in sorted(lines)]
    broken = next((at for at, line in enumerate(ordered) if line["loss"] is None), len(ordered))
    return ordered[: broken + 1]


def _is_over(lines: Sequence[Record], epochs: int, minutes: float) -> bool:
    is_broken = bool(lines) and lines[-1]["loss"] is None
    return is_broken or len(lines) >= epochs or sum(line["seconds"] for line in lines) >= minutes * 60


def _train(
    trainee: Any,
    storage: Storage,
    plan: Plan,
    rate: float,
    epochs: int,
    minutes: float,
    shape: Mapping[str, Any],
    music: Music,
) -> None:
    """Train to the last epoch or the limit; what was done when a process was killed is gone on from."""
    found = snapshots.load_state(storage, plan.style, plan.name)
    state, done = (found[0], int(found[1]["epoch"])) if found else (None, 0)
    lines, kept, raised_after = _lines(storage, plan)[:done], set(plan.kept(epochs)), plan.raised_after(epochs)
    is_raised = raised_after is not None and done > raised_after
    trainee.begin(plan.raised if is_raised else rate, state)
    parent, saved_at = os.getppid(), time.monotonic()
    for epoch in range(done + 1, epochs + 1):
        if epoch - 1 == raised_after:
            trainee.begin(plan.raised, trainee.state())
        line = _epoch(trainee, epoch)
        is_broken = line["loss"] is None
        if epoch in kept and not is_broken:
            about = {"architecture": shape, "encoding": music.encoding}
            snapshots.save(storage, plan.style, plan.name, epoch, weights=trainee.average(), **about)
        storage.append_json(layout.metrics(plan.style, plan.name), line)
        lines.append(line)
        if is_broken:
            return
        is_over = _is_over(lines, epochs, minutes)
        if is_over or time.monotonic() - saved_at >= _STATE_SECONDS:
            snapshots.save_state(storage, plan.style, plan.name, trainee.state(), {"epoch": epoch})
            saved_at = time.monotonic()
        if is_over:
            return
        if os.getppid() != parent:
            raise SystemExit("the bench is gone")  # nobody would wait for the rest


def _epoch(trainee: Any, epoch: int) -> Record:
    """Train and judge one epoch; return its line, loss null where it is no number."""
    began = time.process_time()  # whatever else the machine does
    learned = trainee.train_epoch(epoch)
    held = {"loss": math.nan}
    if all(map(math.isfinite, learned.values())):
        held = trainee.judge()
    is_whole = math.isfinite(held["loss"])
    told = {"loss": learned["loss"], "accuracy": learned["accuracy"], "val_loss": held["loss"]}
    found = {name: float(value) if is_whole else None for name, value in told.items()}
    return {"epoch": epoch, **found, "seconds": round(time.process_time() - began, 3)}
