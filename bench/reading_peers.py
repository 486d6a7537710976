"""What other readers take for the same files. Every peer runs in a warm process of its own, on the same core.

music21 is asked for `converter.parse(path, forceSource=True)` with a scratch folder of its own, and once more with
its notes walked into rows, which is nearer to what the farm does; mido for
`MidiFile(path)`, symusic for `Score(path)`; the floor is symusic with all notes as one table, written as Parquet as
durably as the farm writes.
"""

import gc
import importlib.util
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

PEERS = ("music21", "music21 rows", "mido", "symusic", "floor")
"""The ones that can be asked; mido is no dependency of the farm and may be missing."""


class Peers:
    """The peers' processes. Close them, or use this in a `with`.

    Parameters
    ----------
    scratch
        A folder that the peers may fill.
    """

    def __init__(self, scratch: Path) -> None:
        self.names = [name for name in PEERS if name == "floor" or importlib.util.find_spec(name.split()[0])]
        self._scratch = scratch
        spawn = multiprocessing.get_context("spawn")
        self._processes = {name: ProcessPoolExecutor(1, mp_context=spawn) for name in self.names}

    def __enter__(self) -> "Peers":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.shutdown()

    def seconds(self, name: str, paths: Sequence[str]) -> float:
        """Return the seconds a peer takes for these files; one that it cannot read costs what the attempt costs."""
        return self._processes[name].submit(_seconds, name, list(paths), str(self._scratch)).result()


def _seconds(name: str, paths: list[str], scratch: str) -> float:
    read = _READERS[name](scratch)
    gc.collect()
    started = time.perf_counter()
    read(paths)
    return time.perf_counter() - started


def _each(read: Callable[[str], object], paths: list[str]) -> None:
    for path in paths:
        try:
            read(path)
        except Exception:  # any error of a peer's, about a file it does not like
            continue


def _music21(scratch: str) -> Callable[[list[str]], None]:
    from music21 import converter, environment

    environment.Environment()["directoryScratch"] = scratch
    return lambda paths: _each(lambda path: converter.parse(path, forceSource=True), paths)


def _music21_rows(scratch: str) -> Callable[[list[str]], None]:
    from music21 import converter, environment

    environment.Environment()["directoryScratch"] = scratch

    def read(path: str) -> list[tuple[int, float, float, int, int]]:
        score = converter.parse(path, forceSource=True)
        return [
            (part, float(sound.offset), float(sound.quarterLength), note.pitch.midi, note.volume.velocity)
            for part, stream in enumerate(score.parts)
            for sound in stream.flatten().notes
            for note in (sound.notes if sound.isChord else (sound,))
            if not note.isRest and hasattr(note, "pitch")
        ]

    return lambda paths: _each(read, paths)


def _mido(scratch: str) -> Callable[[list[str]], None]:
    import mido

    return lambda paths: _each(mido.MidiFile, paths)


def _symusic(scratch: str) -> Callable[[list[str]], None]:
    import symusic

    return lambda paths: _each(symusic.Score, paths)


def _floor(scratch: str) -> Callable[[list[str]], None]:
    import numpy as np
    import pyarrow as pa
    import symusic

    from farm.corpus.tables import to_bytes
    from farm.storage import Storage

    def read(paths: list[str]) -> None:
        numbers: list[np.ndarray] = []
        columns: dict[str, list[np.ndarray]] = {name: [] for name in ("time", "duration", "pitch", "velocity")}

        def add(path: str) -> None:
            for track in symusic.Score(path).tracks:
                notes = track.notes.numpy()
                numbers.append(np.full(len(notes["time"]), len(numbers)))
                for name, values in columns.items():
                    values.append(notes[name])

        _each(add, paths)
        table = {name: np.concatenate(values) for name, values in {"track": numbers, **columns}.items()}
        Storage(scratch).write_bytes("floor.parquet", to_bytes(pa.table(table)))

    return read


_READERS = {"music21": _music21, "music21 rows": _music21_rows, "mido": _mido, "symusic": _symusic, "floor": _floor}
