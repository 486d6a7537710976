"""How many processors each training gets: a fair share, kept until it is done.

Sums over another number of threads are other sums, in the last bit, and so other models. A run that was killed goes on
with the numbers it began with, however few trainings are left: it ends with the models it would have ended with.
"""

from collections.abc import Collection, Mapping, Sequence

from farm import layout
from farm.scheduling.machines import Node
from farm.scheduling.queue import threads_per_training
from farm.storage import Storage


def shares(trainings: Sequence[str], kept: Mapping[str, int], nodes: Sequence[Node]) -> dict[str, int]:
    """Return the threads of each training that is to be done, `style/recipe` each.

    Parameters
    ----------
    kept
        What trainings got that a run before has not finished.

    Examples
    --------
    >>> shares(["bach/compact", "folk/compact"], {"folk/compact": 1}, [Node("here", cpus=4)])
    {'bach/compact': 2, 'folk/compact': 1}
    """
    share = threads_per_training(sum(node.cpus for node in nodes), len(trainings))
    most = max((node.cpus for node in nodes), default=1)
    return {name: min(kept.get(name, share), most) for name in trainings}


def read_shares(storage: Storage) -> dict[str, int]:
    """Return what unfinished trainings got, of runs before."""
    return dict(storage.read_json(layout.THREADS)) if storage.exists(layout.THREADS) else {}


def keep_shares(storage: Storage, kept: Mapping[str, int]) -> None:
    """Note what unfinished trainings get, on disk before the first begins."""
    if dict(kept) != read_shares(storage):
        storage.write_json(layout.THREADS, dict(kept))


def forget_shares(storage: Storage, styles: Collection[str]) -> None:
    """Let trainings of these styles get what is fair the next time; a run of them came to its end."""
    kept = read_shares(storage)
    keep_shares(storage, {name: share for name, share in kept.items() if name.partition("/")[0] not in styles})
