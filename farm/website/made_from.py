"""What only a style's own page is made from, read when it is made: every note counted, what every snapshot composed.

Conventions
-----------
The notes of a style and the samples of forty snapshots are megabytes, so no other page waits for them. Parts of notes
have their hash in their names, and samples are told by a digest, so that a page made of the same is not made again.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace

from farm import layout
from farm.config import STYLE_NAME
from farm.errors import StorageError
from farm.storage import Storage
from farm.website.counts import count_notes
from farm.website.evidence import Evidence, read_take, run_of
from farm.website.text import whole

MOST_STOPS = 48
"""Snapshots that a page lets hear; of more, every so many, and always those around the pick."""


def stops(sampled: Sequence[int], pick: int | None, beside: Collection[int], most: int = MOST_STOPS) -> list[int]:
    """Return which of the sampled epochs, ascending, a page lets hear.

    Parameters
    ----------
    beside
        Epochs next to the pick; like the pick, the first and the last they are always among them.

    Examples
    --------
    >>> stops(range(1, 11), 4, (3,), most=6)
    [1, 3, 4, 5, 8, 10]
    """
    if len(sampled) <= most:
        return list(sampled)
    chosen = {*beside, sampled[0], sampled[-1], *([] if pick is None else [pick])} & {*sampled}
    others = [epoch for epoch in sampled if epoch not in chosen]
    room = max(most - len(chosen), 0)
    chosen |= {others[(2 * place + 1) * len(others) // (2 * room)] for place in range(room)}
    return sorted(chosen)


def shown_epochs(found: Evidence) -> list[int]:
    """Return the epochs of one style whose samples its page lets hear."""
    beside = found.verdict.get("neighbours")
    near = [epoch for epoch in map(whole, beside if isinstance(beside, list) else []) if epoch is not None]
    return stops(found.sampled_epochs, found.pick, near)


def with_snapshots(storage: Storage, found: Evidence) -> Evidence:
    """Return the evidence with what each of those snapshots composed; a file that cannot be read is left out."""
    known = {take.epoch: take for take in found.takes}
    takes, problems = [], list(found.problems)
    for epoch in shown_epochs(found):
        if epoch in known:
            takes.append(known[epoch])
            continue
        problem = f"samples of epoch {epoch}: cannot be shown"
        if any(told.startswith(problem) for told in problems):
            continue
        try:
            takes.append(read_take(storage.read_json(layout.sample_notes(found.style, run_of(found), epoch)), epoch))
        except (StorageError, TypeError, ValueError) as error:
            problems.append(f"{problem} ({error}); delete the file and run again")
    return replace(found, snapshots=tuple(takes), problems=tuple(problems))


def samples_digest(storage: Storage, found: Evidence) -> str:
    """Return what tells these samples from others: what the judge heard them as, else a digest of their bytes."""
    heard = found.verdict.get("heard_as")
    if isinstance(heard, str) and heard:
        return f"{heard} {found.sampled_epochs}"
    digest = hashlib.sha256()
    for epoch in shown_epochs(found):
        key = layout.sample_notes(found.style, run_of(found), epoch)
        digest.update(f"{epoch} ".encode() + hashlib.sha256(storage.read_bytes(key)).digest())
    return digest.hexdigest()


def note_parts(storage: Storage, found: Evidence) -> list[str]:
    """Return the keys of the parts that hold a style's notes; none for a name that is no style's."""
    return storage.list(layout.notes_folder(found.style), ".parquet") if STYLE_NAME.fullmatch(found.style) else []


def with_notes(storage: Storage, found: Evidence) -> Evidence:
    """Return the evidence with the style's notes counted, where there are any.

    Reads every note of the style.
    """
    parts = note_parts(storage, found)
    if found.corpus is None or not parts:
        return found
    try:
        return replace(found, note_counts=count_notes(storage, parts))
    except (StorageError, OSError, ValueError, KeyError, TypeError) as error:  # a foreign or torn Parquet file
        problem = f"notes: cannot be read ({error}); delete {layout.notes_folder(found.style)} and run 'farm run' again"
        return replace(found, problems=(*found.problems, problem))
