"""Files that attack who loads a model, one for each known way, and damaged headers without end.

Conventions
-----------
Whatever could run here would create the file `canary`. Where a file gets as far as its own hash, that was mended, as
a clever hand would. `base` is a good int8 model file; its weights must be those of `farm.composing.player`.
"""

import hashlib
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Change = Callable[[dict[str, Any]], Any]


class _Payload:
    """A pickle that runs code when it is loaded."""

    def __init__(self, canary: Path) -> None:
        self._code = f"open({str(canary)!r}, 'w').close()"

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, (self._code,)


def hostile_models(base: bytes, canary: Path) -> dict[str, bytes]:
    """Return the bytes of each hostile file, by what it is."""
    payload = pickle.dumps({"weights": _Payload(canary)})
    first = next(name for name in _parts(base)[0] if name != "__metadata__")
    return {
        "pickle": payload,
        "pickle in a zip": _zipped({"data.pkl": payload}),
        "torch archive": _zipped(
            {"archive/data.pkl": payload, "archive/version": b"3\n", "archive/data/0": b"\0" * 64}
        ),
        "keras archive with a lambda": _zipped({"config.json": _lambda(canary), "metadata.json": b"{}"}),
        "keras h5 with a lambda": _h5(_lambda(canary)),
        "numpy objects": _npy(canary),
        "zip bomb": _zipped({"weights": b"\0" * 50_000_000}),
        "header length bomb": struct.pack("<Q", (1 << 63) - 1) + base[8:],
        "header of a whole gigabyte": struct.pack("<Q", 1 << 30) + base[8:],
        "overlapping tensors": changed(base, lambda header: header[first].update(data_offsets=[4, 268])),
        "tensors beyond the file": changed(base, lambda header: header[first].update(data_offsets=[0, 1 << 60])),
        "shapes that overflow": changed(base, lambda header: header[first].update(shape=[1 << 29, 1 << 29, 1 << 29])),
        "a shape of 64 bits around": changed(base, lambda header: header[first].update(shape=[(1 << 64) + 66])),
        "keys twice": retold(base, lambda text: text.replace(b'"shape"', b'"shape":[1],"shape"', 1)),
        "nested deeply": retold(base, lambda text: text[:-1] + b',"deep":' + b"[" * 300_000 + b"]" * 300_000 + b"}"),
        "a card nested deeply": _metadata(base, "card", lambda _: '{"a":' * 100_000),
        "numbers that are none": _metadata(base, "card", lambda _: '{"quality":NaN,"more":Infinity}'),
        "a number of a million digits": retold(
            base, lambda text: text.replace(b"[", b"[" + b"9" * 1_000_000 + b",", 1)
        ),
        "a number that no float holds": _metadata(base, "card", lambda _: '{"composing":{"tempo_bpm":1e999}}'),
        "half a character": _metadata(base, "card", lambda _: '{"title":"\\ud800"}'),
        "a name that climbs out": renamed(base, first, "../../../../etc/passwd"),
        "a name of a device": renamed(base, first, "/dev/zero"),
        "an architecture with code": _architecture(base, kind="python", code=f"open({str(canary)!r}, 'w')"),
        "a kind of network that is foreign": _architecture(base, kind="keras.Lambda"),
        "a network without end": _architecture(base, layers=[4096] * 8),
        "a network of no size": _architecture(base, layers=[0]),
        "a type of objects": changed(base, lambda header: header[first].update(dtype="O")),
    }


def changed(base: bytes, change: Change) -> bytes:
    """Return a file whose header was changed as an object."""
    header, body = _parts(base)
    change(header)
    return joined(json.dumps(header, separators=(",", ":")).encode(), body)


def retold(base: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Return a file whose header was changed as text."""
    header, body = _parts(base)
    return joined(change(json.dumps(header, separators=(",", ":")).encode()), body)


def renamed(base: bytes, name: str, other: str) -> bytes:
    """Return a file in which one weight has another name."""
    return changed(base, lambda header: header.update({other: header.pop(name)}))


def joined(text: bytes, body: bytes) -> bytes:
    """Return a file of a header and tensors, with its own hash where the header has a place for it."""
    data = struct.pack("<Q", len(text)) + text + body
    own = _own_hash(text)
    if own is None:
        return data
    empty = data.replace(own, b'"sha256":"' + b"0" * 64 + b'"', 1)
    digest = hashlib.sha256(empty).hexdigest().encode()
    return empty.replace(b'"sha256":"' + b"0" * 64 + b'"', b'"sha256":"' + digest + b'"', 1)


def mutated_header(base: bytes, random: np.random.Generator) -> bytes:
    """Return a file whose header was damaged at random, as an object or as text; most have their own hash mended."""
    header, body = _parts(base)
    if random.random() < 0.6:
        for _ in range(int(random.integers(1, 4))):
            _edit(header, random)
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=bool(random.random() < 0.5)).encode(
            errors="ignore"
        )
    else:
        text = _scrambled(json.dumps(header, separators=(",", ":")).encode(), random)
    data = joined(text, body) if random.random() < 0.8 else struct.pack("<Q", len(text)) + text + body
    if random.random() < 0.1:
        length = int(random.choice([len(text) - 1, len(text) + 1, 0, 7, len(data), 1 << 40, (1 << 63) - 1]))
        data = struct.pack("<Q", length) + data[8:]
    return data


_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 12, 24, 48, 255, 4096, 4097, 1 << 30, 1 << 31, 1 << 40, 1 << 63, 1 << 64),
    *(10**40, -(10**40), 0.5, -0.0, 1e308, 1e-308, "", "x", "0", "lstm", "free", "other", "4/4", "0/4", "4/0", "9/1"),
    *("99999999/1", "F32", "F16", "I8", "BOOL", "../x", "\x00", "é" * 50, [], {}, [[]], [0], [1, 1], [0, 4], [1] * 99),
    *({"a": 1}, [None], "[" * 500, '{"a":1,"a":2}', "NaN", "1e999"),
)


def _edit(value: Any, random: np.random.Generator) -> None:
    """Change one place somewhere in a JSON object; texts that are JSON are opened half of the time."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return
    key = keys[int(random.integers(len(keys)))]
    inner = value[key]
    if isinstance(inner, str) and inner[:1] == "{" and random.random() < 0.8:
        opened = json.loads(inner)
        _edit(opened, random)
        value[key] = json.dumps(opened)
        return
    if isinstance(inner, dict | list) and inner and random.random() < 0.7:
        _edit(inner, random)
        return
    kind = random.integers(5)
    if kind == 0 and isinstance(value, dict):
        value[str(_VALUES[int(random.integers(len(_VALUES)))])[:300]] = value.pop(key)
    elif kind == 1:
        del value[key]
    elif kind == 2:
        other = keys[int(random.integers(len(keys)))]
        value[key], value[other] = value[other], value[key]
    elif kind == 3 and isinstance(inner, int) and not isinstance(inner, bool):
        value[key] = inner + int(random.integers(-3, 4))
    else:
        value[key] = _VALUES[int(random.integers(len(_VALUES)))]


def _scrambled(text: bytes, random: np.random.Generator) -> bytes:
    """Return a text with flipped bits, or a piece of it cut out, doubled, overwritten or moved to its end."""
    at = int(random.integers(len(text)))
    length = int(random.integers(1, 60))
    piece = text[at : at + length]
    kind = int(random.integers(6))
    if kind == 0:
        flipped = bytearray(text)
        for place in random.integers(len(text), size=int(random.integers(1, 9))):
            flipped[place] ^= 1 << int(random.integers(8))
        return bytes(flipped)
    if kind == 1:
        return text[:at] + text[at + length :]
    if kind == 2:
        return text[:at] + piece * int(random.integers(2, 5)) + text[at + length :]
    if kind == 3:
        return text[:at] + random.bytes(len(piece)) + text[at + length :]
    if kind == 4:
        return text[:at]
    return text[:at] + text[at + length :] + piece


def _parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack_from("<Q", data)
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _own_hash(text: bytes) -> bytes | None:
    at = text.find(b'"sha256":"')
    end = text.find(b'"', at + 10)
    return text[at : end + 1] if at >= 0 and end - at - 10 == 64 else None


def _metadata(base: bytes, key: str, change: Callable[[str], str]) -> bytes:
    return changed(base, lambda header: header["__metadata__"].update({key: change(header["__metadata__"][key])}))


def _architecture(base: bytes, **values: Any) -> bytes:
    return _metadata(base, "architecture", lambda text: json.dumps({**json.loads(text), **values}))


def _zipped(members: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return sink.getvalue()


def _lambda(canary: Path) -> bytes:
    """Return the configuration of a Keras model whose one layer is a program."""
    code = f"open({str(canary)!r}, 'w').close()"
    layer = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "x", "function": code}}
    return json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": [layer]}}).encode()


def _h5(configuration: bytes) -> bytes:
    """Return an HDF5 file as Keras wrote them: the configuration is an attribute."""
    import h5py

    sink = io.BytesIO()
    with h5py.File(sink, "w") as file:
        file.attrs["model_config"] = configuration
        file.create_dataset("weights", data=np.zeros(8, np.float32))
    return sink.getvalue()


def _npy(canary: Path) -> bytes:
    sink = io.BytesIO()
    np.save(sink, np.array([_Payload(canary)], dtype=object), allow_pickle=True)
    return sink.getvalue()
