"""What a run has written so far, and how it goes on from there after a kill.

After every epoch, in this order: the snapshot, the line of metrics, the snapshots that are no longer kept go, then the
state to resume from; of very short epochs not after each, for that would slow them down. Whatever instant a run is
killed at, the state is that of a whole epoch whose line and snapshot are there; epochs after it are trained again and
come out the same, so their lines and snapshots are written again, equal. Only when a run goes back, because its loss
broke, are later epochs forgotten.
"""

import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from farm import layout
from farm.errors import StorageError
from farm.music.encoding import Encoding
from farm.storage import Storage
from farm.training import snapshots
from farm.training.shelf import Shelf

_STATE_SHARE = 0.1  # of the time may go into writing states; so a kill costs one epoch, or several of an instant


class _Resumable(NamedTuple):
    """What a run can go on from; one value, so that an interrupt never finds the half of it."""

    epoch: int
    broke_at: int | None
    state: dict[str, np.ndarray]


class Record:
    """The files of one run.

    Attributes
    ----------
    lines
        Metrics of the whole epochs, one record per epoch from epoch 1.
    """

    def __init__(
        self, storage: Storage, style: str, run: str, architecture: Mapping[str, Any], encoding: Encoding
    ) -> None:
        self.lines: list[dict[str, Any]] = []
        self._shelf = Shelf()
        self._storage, self._style, self._run = storage, style, run
        self._architecture, self._encoding = architecture, encoding
        self._resumable = _Resumable(0, None, {})
        self._is_saved = True
        self._saved_at = time.monotonic()
        self._saving_seconds = 0.0  # that writing the state took last time

    def resume(self) -> dict[str, np.ndarray] | None:
        """Return the state of an earlier attempt, None without one; `lines` are then those up to it.

        Raises
        ------
        StorageError
            When the metrics of those epochs are gone.
        """
        found = snapshots.load_state(self._storage, self._style, self._run)
        if found is None:
            return None
        state, facts = found
        self._resumable = _Resumable(facts["epoch"], facts["broke_at"], state)
        key = layout.metrics(self._style, self._run)
        lines = {line["epoch"]: line for line in self._storage.read_lines(key) if line["epoch"] <= facts["epoch"]}
        if len(lines) < facts["epoch"]:
            folder = self._storage.address(layout.run_folder(self._style, self._run))
            raise StorageError(
                f"{self._storage.address(key)}: lines up to epoch {facts['epoch']} are missing; "
                f"delete {folder} and run again"
            )
        self.lines = [lines[epoch] for epoch in sorted(lines)]
        self._shelf = Shelf(self.lines)
        if self.broke_at is not None:
            self._go_back(self.lines)  # what is left of the epochs that are gone back from does not come again
        return state

    @property
    def broke_at(self) -> int | None:
        """The epoch at which the loss broke, once a run goes on from before it at a lower learning rate; else None."""
        return self._resumable.broke_at

    def retry(self, broke_at: int, epoch: int, state: dict[str, np.ndarray]) -> None:
        """Go back to the end of an epoch, because the loss broke later; `state` is what training goes on from."""
        is_last = epoch == len(self.lines)
        self._resumable, self._is_saved = _Resumable(epoch, broke_at, state), False
        if not is_last:
            self.save_state()  # first: what is forgotten now must not be gone on from
            self._go_back(self.lines[:epoch])

    def weights(self, epoch: int) -> tuple[int, dict[str, np.ndarray]] | None:
        """Return the last kept epoch up to `epoch`, and its weights; None when there is none."""
        found = [kept for kept in self._shelf.epochs if kept <= epoch]
        return (found[-1], snapshots.load(self._storage, self._style, self._run, found[-1])[2]) if found else None

    def _go_back(self, lines: list[dict[str, Any]]) -> None:
        """Forget what was written of epochs after these lines."""
        self.lines, self._shelf = lines, Shelf(lines)
        key = layout.metrics(self._style, self._run)
        written = self._storage.read_lines(key)
        known = [line for line in written if line["epoch"] <= len(lines)]
        if len(known) < len(written):
            self._storage.write_text(key, "".join(json.dumps(line, sort_keys=True) + "\n" for line in known))
        snapshots.keep(self._storage, self._style, self._run, self._shelf.epochs)

    def add_broken(self, line: dict[str, Any]) -> None:
        """Write the line of an epoch that broke; it stands until the epoch is trained again."""
        self._storage.append_json(layout.metrics(self._style, self._run), line)

    def add(self, line: dict[str, Any], weights: Mapping[str, np.ndarray], state: dict[str, np.ndarray]) -> None:
        """Write a whole epoch: snapshot, metrics, and now and then the state; drop snapshots not kept any more."""
        snapshots.save(
            self._storage,
            self._style,
            self._run,
            line["epoch"],
            weights=weights,
            architecture=self._architecture,
            encoding=self._encoding,
        )
        self._storage.append_json(layout.metrics(self._style, self._run), line)
        self.lines.append(line)
        self._shelf.add(line)
        self._resumable, self._is_saved = _Resumable(line["epoch"], self.broke_at, state), False
        snapshots.keep(self._storage, self._style, self._run, self._shelf.epochs)
        if self._saving_seconds <= _STATE_SHARE * (time.monotonic() - self._saved_at):
            self.save_state()

    def save_state(self) -> None:
        """Write the state of the last whole epoch, unless it is there already."""
        if self._is_saved:
            return
        began = time.monotonic()
        epoch, broke_at, state = self._resumable
        facts = {"epoch": epoch, "broke_at": broke_at}
        snapshots.save_state(self._storage, self._style, self._run, state, facts)
        self._is_saved, self._saved_at = True, time.monotonic()
        self._saving_seconds = self._saved_at - began
