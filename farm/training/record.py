"""What a run has written so far, and how it goes on from there after a kill.

After every epoch, in this order: the snapshot, the line of metrics, then (every few seconds) the state to resume
from. Whatever instant a run is killed at, the state is that of a whole epoch whose line and snapshot are there;
epochs after it are trained again and come out the same, so their lines and snapshots are written again, equal.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from farm import layout
from farm.errors import StorageError
from farm.music.encoding import Encoding
from farm.storage import Storage
from farm.training import snapshots

_STATE_SECONDS = 15.0


class Record:
    """The files of one run.

    Attributes
    ----------
    lines
        Metrics of the whole epochs, one record per epoch from epoch 1.
    retries
        How often the learning rate was lowered after a blow-up.
    """

    def __init__(
        self, storage: Storage, style: str, run: str, architecture: Mapping[str, Any], encoding: Encoding
    ) -> None:
        self.lines: list[dict[str, Any]] = []
        self.retries = 0
        self._storage, self._style, self._run = storage, style, run
        self._architecture, self._encoding = architecture, encoding
        self._state: dict[str, np.ndarray] = {}
        self._is_saved = True
        self._saved_at = time.monotonic()

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
        self._state, facts = found
        self.retries = facts["retries"]
        key = layout.metrics(self._style, self._run)
        lines = {line["epoch"]: line for line in self._storage.read_lines(key)}
        if not set(range(1, facts["epoch"] + 1)) <= set(lines):
            folder = self._storage.path(layout.run_folder(self._style, self._run))
            raise StorageError(
                f"{self._storage.path(key)}: lines up to epoch {facts['epoch']} are missing; "
                f"delete {folder} and run again"
            )
        self.lines = [lines[epoch] for epoch in range(1, facts["epoch"] + 1)]
        return self._state

    def add_broken(self, line: dict[str, Any]) -> None:
        """Write the line of an epoch that broke; it stands until the epoch is trained again."""
        self._storage.append_json(layout.metrics(self._style, self._run), line)

    def add(self, line: dict[str, Any], weights: Mapping[str, np.ndarray], state: dict[str, np.ndarray]) -> None:
        """Write a whole epoch: snapshot, metrics, and now and then the state."""
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
        self._state, self._is_saved = state, False
        if time.monotonic() - self._saved_at >= _STATE_SECONDS:
            self.save_state()

    def save_state(self) -> None:
        """Write the state of the last whole epoch, unless it is there already."""
        if self._is_saved:
            return
        facts = {"epoch": len(self.lines), "retries": self.retries}
        snapshots.save_state(self._storage, self._style, self._run, self._state, facts)
        self._is_saved, self._saved_at = True, time.monotonic()
