"""The reader on one core: the folk set from files on disk to durable Parquet, against other readers, by stage.

Every process of the measurement is bound to one processor. Starting processes, importing and compiling are left out:
before each round a few files are read with the same child process. All contestants take turns within each round, in
an order drawn anew; told are medians over the rounds, for isolation that of the ratios within a round. music21 reads
a sample of the files, another one each round.

The whole is timed as it is used, through the sandbox. Its parts are timed in the same process, function by function,
which costs a little itself; `sandbox` is what the whole takes for reading beyond reading in the same process.
"""

import gc
import os
import shutil
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from reading_peers import Peers
from stopwatch import Stopwatch, check, timing

from farm.config import Filters, Source
from farm.corpus import readers
from farm.corpus.batching import make_batches
from farm.corpus.clean import clean_style
from farm.corpus.compiled import compiled_counter
from farm.corpus.reading_batches import read_batch
from farm.corpus.sandbox import Outcome, Sandbox
from farm.corpus.sources import list_files
from farm.errors import ReadError
from farm.storage import Storage

SETTINGS: dict[str, Any] = {"filters": Filters(), "heldout_share": 0.1, "seed": 1}
MUSIC21_FILES = 40
SEED = 1
_STYLE = "folk"

# Which functions do the work of each stage, in the order of the table; where none is named, it is timed by its caller.
STAGES: dict[str, list[str]] = {
    "list and hash": [],
    "batches": [],
    "bytes again": ["farm.corpus.reading_batches.read_files"],
    "scan": ["farm.corpus.readers.scan_midi"],
    "parse (symusic)": ["farm.corpus.readers._midi_tune"],
    "notes": ["farm.corpus.midi.read_score"],
    "describe": ["farm.corpus.reading_batches.describe"],
    "hash contents": ["farm.corpus.reading_batches.content_hashes"],
    "rows": ["farm.corpus.reading_batches._pieces_table", "farm.corpus.reading_batches._notes_table"],
    "cache to Arrow": ["farm.corpus.reading_batches._to_arrow"],
    "cache write": [],
    "cache read": ["farm.corpus.clean.read_rows", "farm.corpus.clean.read_notes"],
    "duplicates": ["farm.corpus.clean.judge", "farm.corpus.clean.check_states"],
    "families": ["farm.corpus.clean.fingerprints", "farm.corpus.clean.join", "farm.corpus.clean.families_of"],
    "split": ["farm.corpus.clean.split"],
    "tables": ["farm.corpus.clean._write_parts", "farm.corpus.clean._pieces_table"],
    "tables to Parquet": ["farm.corpus.clean.to_bytes"],
    "tables write": [],
}


class _InProcess:
    """Reads as the sandbox does, but in this process."""

    def read(self, files: Iterable[tuple[str, bytes]]) -> Iterator[Outcome]:
        for path, data in files:
            try:
                yield Outcome(readers.read_file(data, path, compiled_counter()), None)
            except ReadError as error:
                yield Outcome([], error)


def unprotected() -> Any:
    """Return what reads like the sandbox, without a process of its own."""
    return _InProcess()


def measure(folder: Path, scratch: Path, rounds: int, files: int | None = None) -> dict[str, Any]:
    """Return seconds of every contestant and stage for the files of a folder.

    Parameters
    ----------
    files
        Read only so many of them, copied to a folder of their own; None for all.
    """
    check(STAGES)
    if files is not None:
        folder = _some_of(folder, files, scratch / "some")
    source = Source(folder=str(folder.absolute()))
    paths = [file.location for file in list_files(source, folder) if file.is_wanted]
    random = np.random.default_rng(SEED)
    times: dict[str, list[float]] = defaultdict(list)
    stages: list[Counter[str]] = []
    with _one_core(), Peers(scratch) as peers:
        contestants = [*peers.names, "ours", "unprotected", "stages"]
        for peer in peers.names:
            peers.seconds(peer, paths[:3])
        _warm_up(source, scratch)
        for _ in range(rounds):
            for name in random.permutation(contestants):
                gc.collect()
                if name == "ours":
                    for part, seconds in _ours(source, scratch).items():
                        times[part].append(seconds)
                elif name == "unprotected":
                    times["unprotected"].append(_read_only(source, scratch))
                elif name == "stages":
                    stages.append(_by_stage(source, scratch))
                else:
                    some = random.choice(paths, min(MUSIC21_FILES, len(paths)), replace=False)
                    asked = [str(path) for path in some] if name.startswith("music21") else paths
                    times[name].append(peers.seconds(name, asked) / len(asked) * len(paths))
    return _facts(len(paths), rounds, times, stages)


def _facts(count: int, rounds: int, times: dict[str, list[float]], stages: list[Counter[str]]) -> dict[str, Any]:
    medians = {name: statistics.median(values) for name, values in times.items()}
    parts = {name: statistics.median(stage[name] for stage in stages) for name in [*STAGES, "rest"]}
    isolation = [ours / bare - 1 for ours, bare in zip(times["read"], times["unprotected"], strict=True)]
    parts["sandbox"] = medians["read"] - medians["unprotected"]
    return {
        "files": count,
        "rounds": rounds,
        "music21_files_per_round": min(MUSIC21_FILES, count),
        "seconds": {name: round(value, 5) for name, value in medians.items()},
        "spread": {name: [round(min(values), 5), round(max(values), 5)] for name, values in times.items()},
        "stages_seconds": {name: round(value, 5) for name, value in parts.items()},
        "times_music21": round(medians["music21"] / medians["ours"], 1),
        "times_music21_rows": round(medians["music21 rows"] / medians["ours"], 1),
        "times_floor": round(medians["ours"] / medians["floor"], 2),
        "isolation_share": round(statistics.median(isolation), 4),
    }


def _some_of(folder: Path, count: int, target: Path) -> Path:
    """Copy so many of a folder's files to another folder, and return it."""
    target.mkdir()
    for path in sorted(folder.glob("*.mid"))[:count]:
        shutil.copy(path, target)
    return target


@contextmanager
def _one_core() -> Iterator[None]:
    """Bind every thread of this process, and every process it starts, to one processor while the block runs."""
    cores = os.sched_getaffinity(0)
    _bind({max(cores)})
    try:
        yield
    finally:
        _bind(cores)


def _bind(cores: set[int]) -> None:
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), cores)


def _warm_up(source: Source, scratch: Path) -> None:
    """Do everything once, so that what is loaded or compiled at first use is there."""
    few = source.model_copy(update={"limit": 30})
    _ours(few, scratch)
    _read_only(few, scratch)


def _ours(source: Source, scratch: Path) -> dict[str, float]:
    """Return the seconds of the whole, `ours`, and of its parts `listed`, `read`, `cleaned`."""
    storage, sandbox = _empty(scratch), Sandbox()
    data = Path(list_files(source, scratch)[0].location).read_bytes()
    list(sandbox.read([("warm.mid", data)] * 3))  # the child has started and has read something
    began = time.perf_counter()
    files = list_files(source, scratch)
    listed = time.perf_counter()
    for batch in make_batches(files):
        read_batch(batch, storage, sandbox)
    read = time.perf_counter()
    clean_style(_STYLE, files, storage, **SETTINGS)
    cleaned = time.perf_counter()
    sandbox.close()
    return {"ours": cleaned - began, "listed": listed - began, "read": read - listed, "cleaned": cleaned - read}


def _read_only(source: Source, scratch: Path) -> float:
    """Return the seconds of reading all batches in this process."""
    storage, files = _empty(scratch), list_files(source, scratch)
    began = time.perf_counter()
    for batch in make_batches(files):
        read_batch(batch, storage, unprotected())
    return time.perf_counter() - began


def _by_stage(source: Source, scratch: Path) -> Counter[str]:
    """Return the seconds of every stage, all in this process; `rest` is what no stage accounts for."""
    root = Path(_empty(scratch).root)
    with timing(STAGES) as watch, watch.stage("rest"):
        with watch.stage("list and hash"):
            files = list_files(source, root)
        with watch.stage("batches"):
            batches = make_batches(files)
        for batch in batches:
            read_batch(batch, _watched(root, watch, "cache write"), unprotected())
        clean_style(_STYLE, files, _watched(root, watch, "tables write"), **SETTINGS)
    return watch.seconds


def _watched(root: Path, watch: Stopwatch, stage: str) -> Storage:
    """Return a storage whose writing counts for a stage."""
    storage = Storage(root)
    # On purpose, which mypy cannot know: this one storage is watched, and its class stays as it is.
    storage.write_bytes = watch.timed(stage, storage.write_bytes)  # type: ignore[method-assign]
    return storage


def _empty(scratch: Path) -> Storage:
    shutil.rmtree(scratch / "artifacts", ignore_errors=True)
    return Storage(scratch / "artifacts")


def print_table(facts: dict[str, Any]) -> None:
    count, seconds, floor = facts["files"], facts["seconds"], facts["seconds"]["floor"]
    print(f"folk: {count:,} files on one core, medians of {facts['rounds']} rounds")
    print(f"  {'':<44}{'seconds':>9}{'ms/file':>9}{'files/s':>10}{'of floor':>10}")
    for name, text in (
        ("ours", "ours: files on disk to Parquet on disk"),
        ("floor", "floor: symusic, one table, Parquet"),
        ("symusic", "symusic alone"),
        ("mido", "mido"),
        ("music21", f"music21 ({facts['music21_files_per_round']} files a round)"),
        ("music21 rows", "music21, its notes as rows"),
    ):
        if name in seconds:
            one = seconds[name]
            rate = f"{one / count * 1000:>9.3f}{count / one:>10,.0f}{one / floor:>9.2f}x"
            print(f"  {text:<44}{one:>9.3f}{rate}")
        else:
            print(f"  {text:<44}not installed")
    print(f"  ours : music21 {facts['times_music21']:.0f} times as fast; target at least 200")
    print(f"  ours : music21 with its notes as rows {facts['times_music21_rows']:.0f} times as fast")
    print(f"  isolation: {facts['isolation_share']:+.1%} of the time for reading; target at most 15%")
    print(f"  {'where the time goes':<44}{'seconds':>9}{'ms/file':>9}{'share':>10}{'of floor':>10}")
    stages = facts["stages_seconds"]
    whole = sum(stages.values())
    for name, one in stages.items():
        print(f"  {name:<44}{one:>9.4f}{one / count * 1000:>9.4f}{one / whole:>10.1%}{one / floor:>9.2f}x")
