"""Damage done to a pack on purpose: bits, cuts, swapped, extra and missing members, and pieces of another pack."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

Damage = Callable[[Path, list[str], np.random.Generator], "dict[str, bytes | None]"]


@contextmanager
def mutated(pack: Path, number: int, other: Mapping[str, bytes]) -> Iterator[set[str]]:
    """Damage a pack while the block runs; give the names of the files that are not as they were.

    Parameters
    ----------
    number
        Of the damage: kinds and files take turns, the rest is drawn from it.
    other
        The files of another pack, an older one of the same styles.
    """
    random = np.random.default_rng(number)
    names = sorted(str(path.relative_to(pack)) for path in pack.rglob("*") if path.is_file())
    kind = _KINDS[number % len(_KINDS)]
    name = names[number // len(_KINDS) % len(names)]
    changed = kind(pack, name, names, other, random)
    before = {one: (pack / one).read_bytes() if (pack / one).exists() else None for one in changed}
    changed = {one: data for one, data in changed.items() if data != before[one]}
    try:
        _write(pack, changed)
        yield set(changed)
    finally:
        _write(pack, {one: before[one] for one in changed})


_TAILS = (b"\0", b"\n", b"\r\n", b"x" * 99)


def _write(pack: Path, files: Mapping[str, bytes | None]) -> None:
    for name, data in files.items():
        path = pack / name
        if data is None:
            path.unlink()
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


def _flip(pack, name, names, other, random):
    data = bytearray((pack / name).read_bytes())
    for place in random.integers(8 * len(data), size=int(random.choice([1, 1, 1, 9]))):
        data[place // 8] ^= 1 << int(place % 8)
    return {name: bytes(data)}


def _cut(pack, name, names, other, random):
    data = (pack / name).read_bytes()
    return {name: data[: int(random.choice([0, len(data) - 1, random.integers(len(data))]))]}


def _lengthen(pack, name, names, other, random):
    return {name: (pack / name).read_bytes() + _TAILS[random.integers(len(_TAILS))]}


def _swap(pack, name, names, other, random):
    second = names[(names.index(name) + 1 + int(random.integers(len(names) - 1))) % len(names)]
    return {name: (pack / second).read_bytes(), second: (pack / name).read_bytes()}


def _copy(pack, name, names, other, random):
    second = names[(names.index(name) + 1 + int(random.integers(len(names) - 1))) % len(names)]
    return {name: (pack / second).read_bytes()}


def _extra(pack, name, names, other, random):
    place = str(random.choice(["", "cards/", "more/"]))
    return {f"{place}extra-{random.integers(1000)}{Path(name).suffix}": (pack / name).read_bytes()}


def _missing(pack, name, names, other, random):
    return {name: None}


def _rename(pack, name, names, other, random):
    return {name: None, f"{name}.{random.integers(1000)}": (pack / name).read_bytes()}


def _mix(pack, name, names, other, random):
    """A file of another pack in its place; where both are alike, the other's catalog."""
    chosen = name if name in other and other[name] != (pack / name).read_bytes() else "catalog.json"
    return {chosen: other[chosen]}


def _scramble(pack, name, names, other, random):
    data = (pack / name).read_bytes()
    at, length = int(random.integers(len(data))), int(random.integers(1, 65))
    return {name: data[:at] + random.bytes(length) + data[at + length :]}


_KINDS = (_flip, _cut, _lengthen, _swap, _copy, _extra, _missing, _rename, _mix, _scramble)
