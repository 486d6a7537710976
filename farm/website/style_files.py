"""The pages of styles with their pictures: made where they would be made of something else than before, and only there.

Conventions
-----------
A page says what it was made of; while that is the same it stands as it is, for every style that is published brings
the whole site up to date. Where many pages have to be made, as when the farm was installed anew, all processors make
them.
"""

import hashlib
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable

from farm import layout
from farm.storage import Storage
from farm.website.copied import read_copy
from farm.website.evidence import Evidence
from farm.website.made_from import note_parts, samples_digest, with_notes, with_snapshots
from farm.website.shared_files import environment
from farm.website.style_page import style_page
from farm.website.wording import page_name, title_of

FOLDERS = ("styles", "pictures")
"""Where these files lie in the site."""

_SCORES = ("score.py", "notation.py", "beams.py")
_LIBRARIES = ("matplotlib", "jinja2", "verovio", "pillow")
_FEW = 6  # pages that are made sooner than other processes are ready
_MOST_PROCESSES = 8


@dataclass(frozen=True)
class _Order:
    """A page to be made: `beside` are the styles before and after, of which a page shows no more than the title."""

    home: str
    style: Evidence
    midi: dict[int, str]
    beside: dict[str, Evidence]
    made_of: str


def style_files(storage: Storage, styles: Sequence[Evidence]) -> Iterator[dict[str, bytes | None]]:
    """Yield the page and pictures of every style by key, as they are made; None for what stands as it is."""
    makers, orders = _makers(), list[_Order]()
    for index, style in enumerate(styles):
        beside = {way: styles[at] for way, at in (("prev", index - 1), ("next", index + 1)) if 0 <= at < len(styles)}
        midi = _sample_midi(storage, style)
        made_of = _made_of(makers, style, midi, beside, [*note_parts(storage, style), samples_digest(storage, style)])
        if standing := _standing(storage, style, made_of):
            yield dict.fromkeys(standing)
        else:
            named = {way: Evidence(other.style, {"title": title_of(other)}, {}) for way, other in beside.items()}
            orders.append(_Order(storage.home, style, midi, named, made_of))
    yield from _all_made(storage, orders)


def _all_made(storage: Storage, orders: Sequence[_Order]) -> Iterator[dict[str, bytes | None]]:
    processes = min(len(os.sched_getaffinity(0)), _MOST_PROCESSES, len(orders))
    # a worker of the farm may have no processes of its own, and the farm's other workers have the other processors
    is_alone = len(orders) <= _FEW or processes < 2 or multiprocessing.current_process().daemon
    n_made = 0
    if not is_alone:
        with (
            suppress(BrokenProcessPool),  # one was killed, perhaps for memory: this process alone takes less
            ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool,
        ):
            for made in pool.map(_made_apart, orders):
                n_made += 1
                yield made
    yield from (_made(storage, order) for order in orders[n_made:])


def _made_apart(order: _Order) -> dict[str, bytes | None]:
    return _made(Storage(order.home), order)


def _made(storage: Storage, order: _Order) -> dict[str, bytes | None]:
    """Return a style's page and its pictures by key."""
    style = with_snapshots(storage, with_notes(storage, order.style))
    page = style_page(style, order.midi, order.beside, read_copy(storage, order.style))
    key, *pictures = _keys(style.style)
    html = environment().get_template("style.html").render(page=page, made_of=order.made_of)
    made: dict[str, bytes | None] = {key: html.encode()}
    if page.growing:
        made |= dict(zip(pictures, (page.growing.gif, page.growing.png), strict=True))
    return made


def _standing(storage: Storage, style: Evidence, made_of: str) -> list[str]:
    """Return the keys of a style's files that stand; none where one is gone or was made of something else."""
    key, *pictures = _keys(style.style)
    page = storage.read_bytes(key) if storage.exists(key) else b""
    if made_of.encode() not in page:
        return []
    there = [picture for picture in pictures if storage.exists(picture)]
    if len(there) < len(pictures) and b'class="growing"' in page:
        return []
    return [key, *there]


def _keys(style: str) -> tuple[str, str, str]:
    """Return the keys of a style's page, its animation and its last picture."""
    stem = page_name(style).removesuffix(".html")
    pictures = f"{layout.SITE}/pictures/{stem}"
    return f"{layout.SITE}/styles/{stem}.html", f"{pictures}.gif", f"{pictures}.png"


def _makers() -> str:
    """Return a digest of everything but the farm's own files that decides how a page looks."""
    digest = hashlib.sha256(", ".join(f"{name} {version(name)}" for name in _LIBRARIES).encode())
    engraved = ((name, files("farm.composing").joinpath(name).read_bytes()) for name in _SCORES)
    for name, data in sorted([*_sources(files("farm.website")), *engraved]):
        digest.update(f"{name} {len(data)} ".encode() + data)
    return digest.hexdigest()


def _sources(folder: Traversable) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _sources(entry)
        elif entry.name.endswith((".py", ".html")):
            yield entry.name, entry.read_bytes()


def _made_of(
    makers: str, style: Evidence, midi: dict[int, str], beside: Mapping[str, Evidence], parts: list[str]
) -> str:
    """Return a digest of what a style's page is made of; `parts` tell its notes and samples from others."""
    named = [(way, title_of(other), page_name(other.style)) for way, other in beside.items()]
    return hashlib.sha256(repr((makers, style, midi, named, parts)).encode("utf-8", "surrogatepass")).hexdigest()


def _sample_midi(storage: Storage, style: Evidence) -> dict[int, str]:
    """Return the keys of the sample MIDI files that exist, by number from 1; only a published run has any."""
    run = str(style.model.get("run") or "")
    if not run:
        return {}
    longest = max((len(take.samples) for take in style.takes), default=0)
    keys = {number: layout.sample_midi(style.style, run, number) for number in range(1, longest + 1)}
    return {number: key for number, key in keys.items() if storage.exists(key)}
