"""Whether a recipe's training fits into memory, told before it starts.

The estimate is rough on purpose: it adds up what is known to be held at once, and a test holds it against a measured
run. A recipe is refused when the estimate is more than the process may still take; a process that is killed for
memory half an hour later says nothing.

Conventions
-----------
All sizes are bytes of main memory. Weights are float32.
"""

import math
import sys
from pathlib import Path

from farm.config import Network, Training
from farm.errors import StyleError
from farm.music.encoding import Encoding
from farm.music.features import Features
from farm.training.passes import HELDOUT_LENGTH, HELDOUT_WINDOWS, batch_size, epochs_per_pass
from farm.training.shape import n_weights, network_shape

_LIBRARY_BYTES = 750_000_000  # TensorFlow with its threads and graphs, before any weight
_COPIES = 20  # of the weights: value, two gradients, two moments, average; a snapshot; two states of four, one packed
_PER_UNIT = 24  # float32 a unit, layer and step that training holds for the way back
_PER_UNIT_JUDGED = 12  # and judging, which has no way back
_PER_CLASS = 6  # logits, chances, gradients and masks
_PER_ROW = 64  # an event of a piece, its notes and its row in the tables


def estimate_bytes(network: Network, training: Training, encoding: Encoding, n_rows: int, n_heldout: int) -> int:
    """Return about how much memory a training holds at its peak.

    Parameters
    ----------
    n_rows, n_heldout
        Events of the pieces to train on, and of those held out.
    """
    shape = network_shape(network, encoding)
    n_fields, n_classes = len(encoding.fields), sum(encoding.n_classes[field] for field in encoding.fields)
    per_step = 2 * Features(encoding).n_columns + 3 * network.embedding
    per_step += _PER_CLASS * (n_classes + n_fields * shape["head"])
    units, length = sum(network.layers), training.window_notes
    n_windows = math.ceil(n_rows / length) // epochs_per_pass(n_rows, training.epoch_notes, length)
    trained = batch_size(max(n_windows, 1), training.batch_windows) * length * (_PER_UNIT * units + per_step)
    most = HELDOUT_LENGTH * length
    judged = min(HELDOUT_WINDOWS, math.ceil(n_heldout / most)) * most * (_PER_UNIT_JUDGED * units + per_step)
    return (
        _LIBRARY_BYTES
        + 4 * (_COPIES * n_weights(shape, encoding) + max(trained, judged))
        + _PER_ROW * (n_rows + n_heldout)
    )


def refuse_what_cannot_fit(style: str, network: Network, training: Training, needed: int, available: int) -> None:
    """Raise a StyleError with the keys to lower when training needs more memory than there is."""
    if needed <= available:
        return
    raise StyleError(
        f"{style}: training this recipe takes about {needed / 1e9:.1f} GB of memory, {available / 1e9:.1f} GB are "
        f"there; lower network.layers ({network.layers}), training.batch_windows ({training.batch_windows}) or "
        f"training.window_notes ({training.window_notes}), or train fewer styles at once"
    )


def available_bytes(root: Path = Path("/")) -> int:
    """Return how much memory this process may hold: what it holds, and what the machine and its cgroups still give.

    Parameters
    ----------
    root
        Where `proc` and `sys` lie. Without them nothing is known and the answer is `sys.maxsize`.
    """
    left = [_kilobytes(root / "proc/meminfo", "MemAvailable")]
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":  # version 2
            left.append(_least_left(root / "sys/fs/cgroup", path, ("memory.max", "memory.current", "inactive_file")))
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            left.append(_least_left(root / "sys/fs/cgroup/memory", path, names))
    known = [amount for amount in left if amount is not None]
    return min(known) + (_kilobytes(root / "proc/self/status", "VmRSS") or 0) if known else sys.maxsize


def _least_left(mount: Path, path: str, names: tuple[str, str, str]) -> int | None:
    """Return what the tightest of a cgroup and those around it still gives; file caches give way."""
    limit_name, used_name, cache_name = names
    folder, found = mount / path.lstrip("/"), []
    for group in (folder, *folder.parents):
        limit, used = _text(group / limit_name).strip(), _text(group / used_name).strip()
        if limit.isdigit() and used.isdigit():
            caches = [
                line.split()[1] for line in _text(group / "memory.stat").splitlines() if line.startswith(cache_name)
            ]
            found.append(int(limit) - int(used) + int(caches[0] if caches else 0))
        if group == mount:
            break
    return max(min(found), 0) if found else None


def _kilobytes(path: Path, name: str) -> int | None:
    """Return a line of a table such as /proc/meminfo, in bytes."""
    values = [line.split()[1] for line in _text(path).splitlines() if line.startswith(f"{name}:")]
    return int(values[0]) * 1024 if values else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
