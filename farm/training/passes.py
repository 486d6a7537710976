"""How a pass through a corpus is cut into epochs, and those into batches.

On a large corpus one pass may be most of a training. Metrics and snapshots should come more often than that, so a
recipe may say how many notes make an epoch (`training.epoch_notes`); a pass is then cut into as many epochs of equal
size as come nearest to it. Every window of a pass is trained on once, in one of its epochs.

Conventions
-----------
Epochs and passes count from 1.
"""

from farm.music.batches import Window

HELDOUT_LENGTH = 4  # in windows of training: a judged note should know as much before it as one that is composed
HELDOUT_WINDOWS = 16  # in a batch
_LEAST_STEPS = 16  # an epoch of a small corpus is cut into smaller batches until it has as many
_LEAST_WINDOWS = 4


def epochs_per_pass(n_notes: int, epoch_notes: int | None, window_notes: int = 1) -> int:
    """Return into how many epochs a pass through `n_notes` is cut, at least 1; an epoch has at least a window.

    Examples
    --------
    >>> epochs_per_pass(10_000, None), epochs_per_pass(10_000, 3_000), epochs_per_pass(10_000, 90_000)
    (1, 3, 1)
    """
    return 1 if epoch_notes is None else max(1, n_notes // max(epoch_notes, window_notes))


def pass_of(epoch: int, n_epochs: int) -> int:
    """Return which pass an epoch belongs to when `n_epochs` make one."""
    return (epoch - 1) // n_epochs + 1


def stretch(windows: list[Window], epoch: int, n_epochs: int) -> list[Window]:
    """Return those windows of a pass, in its order, that are an epoch's when `n_epochs` make a pass."""
    at = (epoch - 1) % n_epochs
    return windows[at * len(windows) // n_epochs : (at + 1) * len(windows) // n_epochs]


def batch_size(n_windows: int, wanted: int) -> int:
    """Return how many windows are trained on at once when an epoch has so many and a recipe wants so many."""
    return min(wanted, max(n_windows // _LEAST_STEPS, _LEAST_WINDOWS), n_windows)
