"""Damage done to a signed pack on purpose: bits, cuts, swapped, extra and missing members, pieces of another pack."""

import base64
import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from farm.catalog.pack import ship
from farm.catalog.publish import decide, publish
from farm.catalog.signing import opened
from tests.small_keys import write_keys
from tests.test_catalog import approved, entry, snapshot

SUMS, SIGNATURE, CATALOG = "SHA256SUMS", "SHA256SUMS.minisig", "catalog.json"


class Others(NamedTuple):
    """What damage is made of: an older pack of the same styles, by the same key, and another key's signature."""

    older: Mapping[str, bytes]
    forged: bytes


def two_packs(folder: Path, formats: Sequence[str] = ("model",)) -> tuple[Path, Path, Others]:
    """Return a signed pack of two small models, a copy of it, and what damage to it is made of."""
    styles = ("bach", "chopin")
    storage, keys = approved(folder, *styles), write_keys(folder)
    with opened(keys / "author.key", str) as author, opened(keys / "stranger.key", str) as stranger:
        ship(storage, folder / "old", formats=formats, signer=author)
        publish(storage, [entry(style, 7 + number) for number, style in enumerate(styles)], [])
        for style in styles:
            decide(storage, style, "approved", "good")
        ship(storage, folder / "pack", formats=formats, signer=author)
        forged = stranger.signature((folder / "pack" / SUMS).read_bytes(), "pack 4 of farm 1")
    shutil.copytree(folder / "pack", folder / "copy")
    return folder / "pack", folder / "copy", Others(snapshot(folder / "old"), forged)


@contextmanager
def mutated(pack: Path, number: int, others: Others) -> Iterator[set[str]]:
    """Damage a pack while the block runs; give the names of the files that are wrong.

    Parameters
    ----------
    number
        Of the damage: kinds and files take turns, the rest is drawn from it.
    others
        `forged` is a signature of this pack.
    """
    random = np.random.default_rng(number)
    names = sorted(str(path.relative_to(pack)) for path in pack.rglob("*") if path.is_file())
    kind = _KINDS[number % len(_KINDS)]
    name = names[number // len(_KINDS) % len(names)]
    changed = kind(pack, name, names, others, random)
    before = {one: (pack / one).read_bytes() if (pack / one).exists() else None for one in changed}
    try:
        _write(pack, changed)
        yield set(changed)
    finally:
        _write(pack, before)


_TAILS = (b"\0", b"\n", b"\r\n", b"x" * 99)


def _write(pack: Path, files: Mapping[str, bytes | None]) -> None:
    for name, data in files.items():
        path = pack / name
        if data is None:
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


def _flip(pack, name, names, others, random):
    data = bytearray((pack / name).read_bytes())
    for place in random.integers(8 * len(data), size=int(random.choice([1, 1, 1, 9]))):
        data[place // 8] ^= 1 << int(place % 8)
    return {name: bytes(data)}


def _cut(pack, name, names, others, random):
    data = (pack / name).read_bytes()
    return {name: data[: int(random.choice([0, len(data) - 1, random.integers(len(data))]))]}


def _lengthen(pack, name, names, others, random):
    return {name: (pack / name).read_bytes() + _TAILS[random.integers(len(_TAILS))]}


def _swap(pack, name, names, others, random):
    second = names[(names.index(name) + 1 + int(random.integers(len(names) - 1))) % len(names)]
    return {name: (pack / second).read_bytes(), second: (pack / name).read_bytes()}


def _copy(pack, name, names, others, random):
    second = names[(names.index(name) + 1 + int(random.integers(len(names) - 1))) % len(names)]
    return {name: (pack / second).read_bytes()}


def _extra(pack, name, names, others, random):
    place = str(random.choice(["", "cards/", "more/"]))
    return {f"{place}extra-{random.integers(1000)}{Path(name).suffix}": (pack / name).read_bytes()}


def _missing(pack, name, names, others, random):
    return {name: None}


def _rename(pack, name, names, others, random):
    return {name: None, f"{name}.{random.integers(1000)}": (pack / name).read_bytes()}


def _mix(pack, name, names, others, random):
    """A file of another pack in its place; where both are alike, the other's catalog."""
    older = others.older
    chosen = name if name in older and older[name] != (pack / name).read_bytes() else CATALOG
    return {chosen: older[chosen]}


def _mix_several(pack, name, names, others, random):
    """Some of what is not alike in the packs is the older one's, one time of four all of it; any of it may be named."""
    own, older = {one: (pack / one).read_bytes() for one in names}, others.older
    unlike = [one for one in sorted({*own, *older}) if own.get(one) != older.get(one)]
    count = len(unlike) if random.random() < 0.25 else int(random.integers(1, len(unlike)))
    taken = set(random.permutation(unlike)[:count].tolist())
    return {one: (older if one in taken else own).get(one) for one in unlike}


def _mix_signed(pack, name, names, others, random):
    """List and signature of the other pack, which fit each other, and what else comes with them."""
    brought = [one for one in (CATALOG, "README.md", "cards/bach.md") if random.random() < 0.5]
    return {one: others.older[one] for one in (SUMS, SIGNATURE, *brought)}


def _sign(pack, name, names, others, random):
    """Another signature: another key's, also posing as the right one; the older pack's, or lines of it; comments."""
    own, older = (pack / SIGNATURE).read_bytes().splitlines(), others.older[SIGNATURE].splitlines()
    forged = others.forged.splitlines()
    ids = [base64.b64decode(lines[1])[:10] for lines in (own, forged)]
    posing = base64.b64encode(ids[0] + base64.b64decode(forged[1])[10:])
    choices = [
        others.forged,
        others.older[SIGNATURE],
        _lines(forged[0], posing, *forged[2:]),
        _lines(b"untrusted comment: signature from a friend", *own[1:]),
        _lines(*own[:2], own[2].replace(b"pack ", b"pack 1"), own[3]),
        _lines(*own[:2], own[2] + b" ", own[3]),
        _lines(*own[:2], *older[2:]),
        _lines(own[0], older[1], *own[2:]),
        _lines(*own[:3], older[3]),
        _lines(*own, b"untrusted comment: more"),
        b"\r\n".join([*own, b""]),
    ]
    return {SIGNATURE: choices[random.integers(len(choices))]}


def _mend(pack, name, names, others, random):
    """A file that was changed, with a list that fits it: by somebody without a key, or with another one."""
    chosen = str(random.choice([one for one in names if one not in (SUMS, SIGNATURE)]))
    before = (pack / chosen).read_bytes()
    after = before + b" "
    digests = [hashlib.sha256(data).hexdigest().encode() for data in (before, after)]
    sums = (pack / SUMS).read_bytes().replace(*digests)
    return {chosen: after, SUMS: sums, **({SIGNATURE: others.forged} if random.random() < 0.5 else {})}


def _lines(*lines):
    return b"".join(line + b"\n" for line in lines)


def _scramble(pack, name, names, others, random):
    data = (pack / name).read_bytes()
    at, length = int(random.integers(len(data))), int(random.integers(1, 65))
    return {name: data[:at] + random.bytes(length) + data[at + length :]}


_DAMAGE = (_flip, _cut, _lengthen, _swap, _copy, _extra, _missing, _rename, _scramble)
_KINDS = (*_DAMAGE, _mix, _mix_several, _mix_signed, _sign, _mend)
