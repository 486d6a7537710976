"""Ten million notes: what memory a process takes to train on them, and what making its input costs.

A made style is written as the tables that reading leaves behind. A process of its own then does what the train stage
does: it chooses the encoding, tells the events into their file and maps them, cuts the windows of an epoch, and trains
and judges a few batches of it. `VmHWM` of that process is the figure: the most of its memory that was ever resident,
the mapped pages of the file with it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from farm import layout  # noqa: E402  the path must be set first
from farm.config import Network, Recipe, Training  # noqa: E402
from farm.corpus import tables  # noqa: E402
from farm.storage import Storage  # noqa: E402

LIMIT_MIB = 2048
PIECE_NOTES = 1000
PART_PIECES = 400  # about what one batch of the reader holds
BATCHES = 40
STYLE = "made"
RECIPE = Recipe(
    name="memory",
    network=Network(layers=[256, 256]),
    training=Training(window_notes=128, batch_windows=16, max_epochs=1),
)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Write a style of `options.notes` notes, train a few batches on it, and return what that took."""
    with tempfile.TemporaryDirectory(prefix="farm-memory-") as temporary:
        return _measured(options.notes, Path(temporary), max(options.threads))


def _measured(notes: int, scratch: Path, threads: int) -> dict[str, Any]:
    write_style(Storage(scratch), notes // PIECE_NOTES)
    command = [sys.executable, str(Path(__file__).resolve()), str(scratch), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {"notes": notes, "threads": threads, **json.loads(done.stdout.splitlines()[-1])}


def write_style(storage: Storage, pieces: int) -> None:
    """Write the tables of a made style: every tenth piece is held out, every seventh is a performance."""
    number = np.arange(pieces)
    rows: dict[str, Any] = {name: [None] * pieces for name in tables.PIECES.names}
    rows |= {
        "style": [STYLE] * pieces,
        "piece_id": [f"piece-{each:06d}" for each in number],
        "state": ["read"] * pieces,
        "split": np.where(number % 10 == 9, "heldout", "train"),
        "tempo_bpm": np.full(pieces, 100.0),
        "time_signature": ["4/4"] * pieces,
        "time_base": np.where(number % 7 == 6, "seconds", "beats"),
    }
    table = pa.table({name: pa.array(rows[name], tables.PIECES.field(name).type) for name in tables.PIECES.names})
    storage.write_bytes(layout.pieces(STYLE), tables.to_bytes(table))
    for begin in range(0, pieces, PART_PIECES):
        part = _notes(rows["piece_id"][begin : begin + PART_PIECES], np.random.default_rng(begin))
        storage.write_bytes(layout.notes_part(STYLE, f"{begin:08d}"), tables.to_bytes(part))


def _notes(ids: Sequence[str], random: np.random.Generator) -> pa.Table:
    """Return notes of pieces: runs and chords on sixteenths and triplets, of every length and loudness."""
    shape = (len(ids), PIECE_NOTES)
    gaps = random.choice([0, 0, 3, 3, 6, 4, 12], shape)
    onset = np.cumsum(gaps, axis=1) / 12
    values: dict[str, np.ndarray] = {
        "onset_beat": onset,
        "duration_beat": random.choice([3, 6, 6, 12, 24], shape) / 12,
        "pitch": 60 + np.cumsum(random.integers(-2, 3, shape), axis=1) % 37 - 18,
        "velocity": random.integers(30, 110, shape),
        "bar": onset // 4,
        "beat_in_bar": onset % 4,
    }
    values |= {f"{name}_second": values[f"{name}_beat"] * 0.6 for name in ("onset", "duration")}
    flat = {name: value.reshape(-1) for name, value in values.items()}
    names = {"style": np.repeat(STYLE, onset.size), "piece_id": np.repeat(np.array(ids, object), PIECE_NOTES)}
    zero = np.zeros(onset.size)
    columns = {field.name: (names | flat).get(field.name, zero) for field in tables.NOTES}
    return pa.table({field.name: pa.array(columns[field.name]).cast(field.type) for field in tables.NOTES})


def print_table(facts: dict[str, Any]) -> None:
    print(f"memory: {facts['notes']:,} made notes, 2 x 256, batches of 16 x 128, {facts['threads']} threads")
    for name in ("choose the encoding", "tell the events, map them", "read them once", "cut the windows of an epoch"):
        print(f"  {name:34}{facts['seconds'][name]:8.2f} s{facts['peak_mib'][name]:8,.0f} MiB")
    print(f"  {'again, from the file that is there':34}{facts['seconds']['map them again']:8.2f} s")
    print(f"  {'a batch':34}{facts['batch_ms']:8.1f} ms, {facts['batch_ms'] / facts['step_ms']:.1%} of a step")
    print(f"  {'whole process, after training':43}{facts['peak_mib']['in all']:8,.0f} MiB; target below {LIMIT_MIB:,}")
    print(f"  {'of which before any music':43}{facts['peak_mib']['keras loaded']:8,.0f} MiB")


def _train(root: Path, threads: int) -> dict[str, Any]:
    """Do what the train stage does, in this process, with few batches of the epoch."""
    from farm.music.batches import Batch, Part, Window, training_windows, whole
    from farm.training.backend import prepare
    from farm.training.loading import choose_encoding, split_events
    from farm.training.loop import fit

    prepare(threads)
    from farm.training import trainee

    storage, clock = Storage(root), _Clock()
    clock.lap("keras loaded")
    encoding, _ = choose_encoding(storage, STYLE)
    clock.lap("choose the encoding")
    train, heldout = split_events(storage, STYLE, encoding)
    clock.lap("tell the events, map them")
    split_events(storage, STYLE, encoding)
    clock.lap("map them again")
    parts = whole(train)
    clock.lap("read them once")
    training_windows(parts, encoding, 128, down=5, up=6, seed=1, epoch=1)
    clock.lap("cut the windows of an epoch")
    spent = {"batch": 0.0, "step": 0.0}

    class Brief(trainee.Trainee):
        """Trains and judges a few batches only, by the clock."""

        def _batches(self, parts: Sequence[Part], windows: Sequence[Window], size: int, length: int) -> Iterator[Batch]:
            batches = super()._batches(parts, windows, size, length)
            yield from islice(batches, 3)  # the first compile
            for _ in range(BATCHES if length == 128 else 0):
                began = time.perf_counter()
                made = next(batches)
                spent["batch"] += time.perf_counter() - began
                yield made
                spent["step"] += time.perf_counter() - began

    # On purpose, which mypy cannot know: this process trains nothing else.
    trainee.Trainee = Brief  # type: ignore[misc]
    fit(
        storage,
        STYLE,
        "run",
        train=train,
        heldout=heldout,
        encoding=encoding,
        recipe=RECIPE,
        seed=1,
        n_threads=threads,
    )
    clock.lap("in all")
    per_batch = {f"{name}_ms": round(seconds / BATCHES * 1000, 2) for name, seconds in spent.items()}
    return {"seconds": clock.seconds, "peak_mib": clock.peak_mib, **per_batch}


class _Clock:
    """Seconds of each part, and the peak of the process's memory after it, in MiB."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.peak_mib: dict[str, float] = {}
        self._began = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = round(now - self._began, 2)
        status = Path("/proc/self/status").read_text()
        peak_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        self.peak_mib[name] = round(peak_kib / 1024, 1)
        self._began = time.perf_counter()


if __name__ == "__main__":
    print(json.dumps(_train(Path(sys.argv[1]), int(sys.argv[2]))))
