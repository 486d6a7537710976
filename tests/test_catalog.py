"""Model files, catalog and pack: what is written holds, what was touched is refused with its name."""

import base64
import hashlib
import itertools
import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm import layout
from farm.catalog import entry as entries
from farm.catalog.budget import Option, choose
from farm.catalog.model_file import model_files, model_name, open_model, pack_model, weights_sha256
from farm.catalog.pack import ship
from farm.catalog.page_script import model_script, script_bytes
from farm.catalog.precision import PRECISIONS, restored
from farm.catalog.publish import current, decide, publish
from farm.catalog.verify import verify
from farm.errors import FarmError, IntegrityError, StorageError
from farm.music.encoding import Encoding
from farm.storage import Storage
from tests.small_catalog import ARCHITECTURE, entry, model_of, network

CARD = {"style": "bach", "licence": "CC0-1.0", "title": "Bäch"}


def weights(seed=0):
    random = np.random.default_rng(seed)
    return {
        "embed": random.normal(size=(30, 8)).astype(np.float32),
        "lstm/kernel": (random.normal(size=(8, 16)) * np.logspace(-3, 1, 16)).astype(np.float32),
        "lstm/bias": random.normal(size=16).astype(np.float32),
        "zeros": np.zeros((3, 5), np.float32),
    }


def packed(precision="float32", seed=0, card=CARD):
    return pack_model(weights(seed), ARCHITECTURE, Encoding(), card, precision)


# The model file


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_model_comes_back_as_it_went(precision):
    data = packed(precision)
    assert data == packed(precision), "equal arguments, equal bytes"
    model = open_model(data, hashlib.sha256(data).hexdigest())
    assert (model.architecture, model.card, model.encoding) == (ARCHITECTURE, CARD, Encoding())
    assert model.precision == precision
    assert model.weights.keys() == weights().keys()
    for name, values in weights().items():
        found = model.weights[name]
        assert (found.dtype, found.shape) == (np.float32, values.shape)
        if precision == "float32" or (precision == "int8" and values.ndim == 1):
            np.testing.assert_array_equal(found, values)
        elif precision == "float16":
            np.testing.assert_allclose(found, values, rtol=2**-10, atol=1e-7)
        else:
            scale = np.minimum(np.abs(values).max(0, keepdims=True).max(), np.abs(values).max())
            assert np.abs(found - values).max() <= scale / 127 / 2 + 1e-7
        np.testing.assert_array_equal(restored(weights(), precision)[name], found)


def test_int8_scales_the_axis_that_loses_less():
    columns = weights()["lstm/kernel"]
    found = restored({"w": columns}, "int8")["w"]
    assert (np.abs(found - columns) <= np.abs(columns).max(axis=0) / 127 / 2 + 1e-7).all()
    rows = restored({"w": columns.T.copy()}, "int8")["w"]
    np.testing.assert_array_equal(rows, found.T)


def test_precisions_shrink_the_file():
    big = {"w": np.random.default_rng(0).normal(size=(200, 200)).astype(np.float32)}
    sizes = [len(pack_model(big, ARCHITECTURE, Encoding(), CARD, precision)) for precision in PRECISIONS]
    assert sizes[1] < 0.55 * sizes[0]
    assert sizes[2] < 0.3 * sizes[0]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_file_is_a_safetensors_file(precision):
    from safetensors.numpy import load

    tensors = load(packed(precision))
    stored = np.float16 if precision == "float16" else np.float32
    np.testing.assert_array_equal(tensors["lstm/bias"], weights()["lstm/bias"].astype(stored))
    assert tensors["embed"].dtype == {"float32": "f4", "float16": "f2", "int8": "i1"}[precision]


def test_what_cannot_be_stored_is_told():
    for bad, told in [
        ({}, "found none"),
        ({"w": np.array([[np.nan]], np.float32)}, "not finite"),
        ({"w": np.zeros((0, 3), np.float32)}, "empty"),
        ({"a b": np.zeros(3, np.float32)}, "cannot be stored"),
        ({"w": np.full((2, 2), 1e30, np.float32)}, "float16"),
    ]:
        with pytest.raises(FarmError, match=told):
            pack_model(bad, ARCHITECTURE, Encoding(), CARD, "float16")
    with pytest.raises(FarmError, match="'int4'"):
        packed("int4")
    with pytest.raises(FarmError, match="too long"):
        packed(card={"style": "x" * 2_000_000})
    large = {"w": np.full((2, 2), 1e30, np.float32)}
    assert [file["precision"] for file in model_files(large, ARCHITECTURE, Encoding(), CARD)] == ["float32", "int8"]


def test_the_weights_hash_is_of_the_numbers_and_not_of_the_file():
    first, again = weights(), dict(reversed(weights().items()))
    assert weights_sha256(first) == weights_sha256(again) == weights_sha256(open_model(packed()).weights)
    again["lstm/bias"] = again["lstm/bias"] + np.float32(1e-7)
    assert weights_sha256(first) != weights_sha256(again)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_one_flipped_bit_anywhere_is_refused(data):
    good = bytearray(PACKED)
    bit = data.draw(st.integers(0, 8 * len(good) - 1))
    good[bit // 8] ^= 1 << bit % 8
    with pytest.raises(IntegrityError, match="the file"):
        open_model(bytes(good), name="the file")


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.binary(max_size=20))
def test_a_cut_or_longer_file_is_refused(length, tail):
    changed = PACKED[: length % len(PACKED)] + tail if length % 2 else PACKED + tail + b"\0"
    if changed == PACKED:
        return
    with pytest.raises(IntegrityError, match="the file"):
        open_model(changed, name="the file")


PACKED = packed("int8")


def hostile(change):
    """A file whose header was changed by `change` and whose own hash was mended, as a clever hand would."""
    length = struct.unpack_from("<Q", PACKED)[0]
    header, body = json.loads(PACKED[8 : 8 + length]), PACKED[8 + length :]
    body = change(header) or body
    if isinstance(header.get("__metadata__"), dict):
        header["__metadata__"]["sha256"] = "0" * 64
    text = json.dumps(header, separators=(",", ":")).encode()
    data = struct.pack("<Q", len(text)) + text + body
    own = hashlib.sha256(data).hexdigest().encode()
    return data.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + own, 1)


def edit(header, *keys, value):
    for key in keys[:-1]:
        header = header[key]
    header[keys[-1]] = value


def metadata(key, change):
    def apply(header):
        header["__metadata__"][key] = change(header["__metadata__"][key])

    return apply


def encoding_with(**values):
    return metadata("encoding", lambda text: json.dumps({**json.loads(text), **values}))


HOSTILE = {
    "no metadata": lambda header: header.pop("__metadata__") and None,
    "metadata of numbers": lambda header: edit(header, "__metadata__", "card", value=3),
    "an extra key": lambda header: edit(header, "__metadata__", "code", value="import os"),
    "a missing key": lambda header: header["__metadata__"].pop("card") and None,
    "another format": metadata("format", lambda _: "2"),
    "a card that is no object": metadata("card", lambda _: "[1]"),
    "a card with a key twice": metadata("card", lambda _: '{"a":1,"a":2}'),
    "a card of half a character": metadata("card", lambda _: '{"title":"\\ud800"}'),
    "a card of NaN": metadata("card", lambda _: '{"a":NaN}'),
    "a card nested deeply": metadata("card", lambda _: "[" * 200_000),
    "an encoding with an unknown key": encoding_with(code=1),
    "an encoding without durations": encoding_with(duration_steps=[]),
    "an encoding with durations that fall": encoding_with(duration_steps=[1, 5, 3]),
    "an encoding with a beat of too few steps": encoding_with(steps_per_beat=6, grid=6),
    "an encoding without a free metre": encoding_with(metres=["4/4", "other"]),
    "an encoding with a bar of nothing": encoding_with(metres=["4/0"]),
    "an encoding with an endless bar": encoding_with(metres=["999999999/1"]),
    "an encoding with words for numbers": encoding_with(n_pitches="128"),
    "an encoding with too many pitches": encoding_with(n_pitches=4000),
    "no weights": lambda header: [header.pop(name) for name in list(header) if name != "__metadata__"] and b"",
    "a type with code": lambda header: edit(header, "embed", "dtype", value="OBJ"),
    "a type of its own": lambda header: edit(header, "embed", "dtype", value=["F32"]),
    "a shape too large": lambda header: edit(header, "embed", "shape", value=[1 << 40, 1 << 40]),
    "a shape below nothing": lambda header: edit(header, "embed", "shape", value=[-30, -8]),
    "a shape of truths": lambda header: edit(header, "embed", "shape", value=[True, 240]),
    "a shape of many axes": lambda header: edit(header, "embed", "shape", value=[1] * 40 + [240]),
    "an overlap": lambda header: edit(header, "embed", "data_offsets", value=[0, 240]),
    "an end past the file": lambda header: edit(header, "zeros", "data_offsets", value=[0, 1 << 50]),
    "three offsets": lambda header: edit(header, "zeros", "data_offsets", value=[0, 1, 2]),
    "an extra word in a weight": lambda header: edit(header, "zeros", "code", value="x"),
    "a name that is a path": lambda header: edit(header, "../zeros", value=header.pop("zeros")),
    "no scale": lambda header: edit(header, "other", value=header.pop("embed.scale")),
    "a scale of nothing": lambda header: edit(header, "none.scale", value=header.pop("embed.scale")),
    "a weight that is a list": lambda header: edit(header, "zeros", value=[]),
    "weights that are not finite": lambda header: b"\xff" * (len(PACKED) - 8 - struct.unpack_from("<Q", PACKED)[0]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_refused(name):
    with pytest.raises(IntegrityError, match=r"bad\.safetensors"):
        open_model(hostile(HOSTILE[name]), name="bad.safetensors")


def test_the_hand_that_mends_the_hash_alone_is_let_through():
    assert open_model(hostile(lambda header: None)).card == CARD, "else the cases above prove nothing"


def test_lengths_are_checked_before_anything_is_read():
    for data in (
        b"",
        b"1234567",
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        PACKED[:8] + b"\xff" * 900,
    ):
        with pytest.raises(IntegrityError):
            open_model(data)
    with pytest.raises(IntegrityError, match="published was"):
        open_model(PACKED, "0" * 64)


def test_a_newer_format_is_told_before_anything_else():
    """Another format may differ in every way; that the file is whole is not known then."""
    newer = hostile(lambda header: edit(header, "__metadata__", "format", value="2"))
    more = hostile(lambda header: header["__metadata__"].update(format="3", licence="new key"))
    for data, told in ((newer, "'2'"), (more, "'3'")):
        with pytest.raises(IntegrityError, match=rf"its format is {told}, this version reads '1'; use a newer farm$"):
            open_model(data)


def test_a_file_that_is_not_there_is_told(tmp_path):
    for path in (tmp_path / "none.farm.safetensors", tmp_path):
        with pytest.raises(StorageError, match="missing or no file"):
            open_model(path)


# The catalog


def test_publishing_writes_files_catalog_and_current(tmp_path):
    storage = Storage(tmp_path)
    assert current(storage) is None
    assert (
        publish(storage, [entry("chopin", 1), entry()], [{"style": "folk", "stage": "read", "message": "empty"}]) == 1
    )
    catalog = current(storage)
    assert [model["style"] for model in catalog["models"]] == ["bach", "chopin"]
    assert catalog["failures"] == [{"style": "folk", "stage": "read", "message": "empty"}]
    assert (catalog["number"], catalog["previous_sha256"], catalog["schema"]) == (1, None, 1)
    assert catalog["generated_by"]["numpy"] == np.__version__
    model = model_of(storage)
    assert (model["version"], model["status"], model["decisions"]) == (1, "candidate", [])
    assert [file["precision"] for file in model["files"]] == list(PRECISIONS)
    for file in model["files"]:
        data = storage.read_bytes(file["path"])
        assert file["path"].endswith("/bach-1.farm.safetensors")
        assert (file["bytes"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert weights_sha256(open_model(data).weights) == file["weights_sha256"]
    assert verify(tmp_path) == verify(tmp_path / "catalog") == []


def test_publishing_the_same_again_changes_nothing(tmp_path):
    storage = Storage(tmp_path)
    assert publish(storage, [entry()], []) == 1
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert publish(storage, [entry()], []) == 1
    assert publish(storage, [], []) == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_new_bytes_are_a_new_version_and_new_words_are_not(tmp_path):
    storage = Storage(tmp_path)
    publish(storage, [entry()], [])
    first = model_of(storage)
    assert publish(storage, [entry(cost={"seconds": 9.0, "attempts": 2, "device": "cpu"})], []) == 2
    assert (model_of(storage)["version"], model_of(storage)["cost"]["attempts"]) == (1, 2)
    assert publish(storage, [entry(seed=1)], []) == 3
    assert model_of(storage)["version"] == 2
    assert publish(storage, [entry(seed=0)], []) == 4
    assert model_of(storage)["version"] == 3, "going back is a new entry"
    for file in first["files"]:
        assert hashlib.sha256(storage.read_bytes(file["path"])).hexdigest() == file["sha256"]
    catalogs = [storage.read_bytes(layout.catalog_numbered(number)) for number in range(1, 5)]
    for before, after in itertools.pairwise(catalogs):
        assert json.loads(after)["previous_sha256"] == hashlib.sha256(before).hexdigest()
    assert verify(tmp_path) == []


def test_styles_not_told_of_stay_and_failures_go_when_the_style_does_well(tmp_path):
    storage = Storage(tmp_path)
    failure = {"style": "folk", "stage": "train", "message": "broke"}
    publish(storage, [entry()], [failure])
    publish(storage, [entry("chopin")], [])
    assert [model["style"] for model in current(storage)["models"]] == ["bach", "chopin"]
    assert current(storage)["failures"] == [failure]
    publish(storage, [], [{**failure, "style": "bach"}])
    assert model_of(storage)["version"] == 1, "the model of before stays"
    publish(storage, [entry("folk")], [], settled=["bach"])
    assert current(storage)["failures"] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("title", ""),
        ("run", None),
        ("files", []),
        ("licence", ""),
        ("verdict.epoch", ...),
        ("verdict.fit", None),
        ("quality.val_bits_per_note", None),
        ("quality.copied", float("nan")),
        ("corpus.sources", None),
        ("corpus.sources.0.licence", ...),
        ("files.0.weights_sha256", ...),
        ("lineage.split_sha256", ...),
        ("cost", 3),
        ("precision_loss", None),
        ("compared", ...),
    ],
)
def test_an_entry_that_lacks_a_field_fails_alone_with_its_name(tmp_path, path, value):
    storage = Storage(tmp_path)
    bad = entry("chopin")
    *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    place = bad
    for key in keys:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    publish(storage, [entry(), bad], [])
    assert [model["style"] for model in current(storage)["models"]] == ["bach"]
    [failure] = current(storage)["failures"]
    assert (failure["style"], failure["stage"]) == ("chopin", "publish")
    assert path in failure["message"]
    assert entries.missing(entry("chopin")) == []


def test_a_style_that_is_a_path_is_not_published(tmp_path):
    storage = Storage(tmp_path / "deep" / "down")
    publish(storage, [entry("../../../../bach")], [])
    assert current(storage)["models"] == []
    assert list(tmp_path.rglob("*.safetensors")) == []


@pytest.mark.parametrize("dies_at", ["bach-2.farm", "catalog-2.json", "CURRENT"])
def test_a_kill_at_any_file_leaves_the_old_catalog_in_force(tmp_path, dies_at):
    def dying(name):
        def write(self, key, *data):
            if dies_at in key:
                raise KeyboardInterrupt
            return getattr(Storage, name)(self, key, *data)

        return write

    methods = ("write_bytes", "create_bytes", "swap_bytes")
    Dying = type("Dying", (Storage,), {name: dying(name) for name in methods})  # noqa: N806
    storage = Storage(tmp_path)
    publish(storage, [entry()], [])
    before = current(storage)
    with pytest.raises(KeyboardInterrupt):
        publish(Dying(tmp_path), [entry(seed=1)], [])
    assert current(storage) == before
    assert verify(tmp_path) == []
    assert publish(storage, [entry(seed=1)], []) == 2
    assert model_of(storage)["version"] == 2
    assert verify(tmp_path) == []


def test_a_catalog_that_was_touched_is_refused(tmp_path):
    storage = Storage(tmp_path)
    publish(storage, [entry()], [])
    path = tmp_path / layout.catalog_numbered(1)
    path.write_bytes(path.read_bytes().replace(b"candidate", b"approved "))
    with pytest.raises(IntegrityError, match=r"catalog-1\.json"):
        current(storage)
    path.unlink()
    with pytest.raises(IntegrityError, match=r"catalog-1\.json"):
        publish(storage, [entry(seed=1)], [])
    storage.write_text(layout.CURRENT, "../../etc/passwd " + "0" * 64 + "\n")
    with pytest.raises(IntegrityError, match="CURRENT"):
        current(storage)


# Decisions


def test_a_decision_belongs_to_the_bytes_it_was_made_for(tmp_path):
    storage = Storage(tmp_path)
    publish(storage, [entry()], [])
    decision = decide(storage, "bach", "approved", " sounds fine ", epoch=12)
    assert decision["sha256"] == model_of(storage)["files"][0]["sha256"]
    assert (model_of(storage)["status"], current(storage)["number"]) == ("approved", 2)
    assert [line["why"] for line in model_of(storage)["decisions"]] == ["sounds fine"]
    publish(storage, [entry(seed=1)], [])
    assert model_of(storage)["status"] == "candidate"
    assert [(model["version"], model["status"]) for model in current(storage)["earlier"]] == [(1, "approved")]
    decide(storage, "bach", "rejected", "too slow")
    assert [model["version"] for model in current(storage)["earlier"]] == [1], "what was approved goes on shipping"
    decide(storage, "bach", "approved", "no, good")
    assert current(storage)["earlier"] == []
    assert [line["status"] for line in storage.read_lines(layout.DECISIONS)] == ["approved", "rejected", "approved"]
    assert verify(tmp_path) == []


def test_retiring_a_style_stops_its_older_version_too(tmp_path):
    storage = Storage(tmp_path)
    publish(storage, [entry()], [])
    decide(storage, "bach", "approved", "good")
    publish(storage, [entry(seed=1)], [])
    decide(storage, "bach", "retired", "rights")
    assert (model_of(storage)["status"], current(storage)["earlier"]) == ("retired", [])


def test_a_decision_whose_catalog_was_lost_in_a_crash_counts_at_the_next_publishing(tmp_path):
    class Dying(Storage):
        def create_bytes(self, key, data):
            raise KeyboardInterrupt

    publish(Storage(tmp_path), [entry()], [])
    with pytest.raises(KeyboardInterrupt):
        decide(Dying(tmp_path), "bach", "approved", "good")
    assert model_of(Storage(tmp_path))["status"] == "candidate"
    publish(Storage(tmp_path), [], [])
    assert model_of(Storage(tmp_path))["status"] == "approved"


def test_decisions_need_a_reason_a_style_and_the_epoch_that_is_published(tmp_path):
    storage = Storage(tmp_path)
    with pytest.raises(FarmError, match="none yet"):
        decide(storage, "bach", "approved", "good")
    publish(storage, [entry()], [])
    for style, status, why, epoch, told in [
        ("bach", "approved", "  ", None, "reason"),
        ("bach", "candidate", "x", None, "'candidate'"),
        ("chopin", "approved", "x", None, "has bach"),
        ("bach", "approved", "x", 13, "epoch 12 is published"),
    ]:
        with pytest.raises(FarmError, match=told):
            decide(storage, style, status, why, epoch)
    assert storage.read_lines(layout.DECISIONS) == []
    verdict = {**entry()["verdict"], "overruled_by": {"epoch": 13, "why": "livelier"}}
    publish(storage, [entry(seed=1, verdict=verdict)], [])
    assert decide(storage, "bach", "approved", "x", 13)["epoch"] == 13


# Shipping


def approved(tmp_path, *styles, **changes):
    storage = Storage(tmp_path / "artifacts")
    publish(storage, [entry(style, seed, **changes) for seed, style in enumerate(styles)], [])
    for style in styles:
        decide(storage, style, "approved", "good")
    return storage


def snapshot(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_pack_holds_all_that_an_app_needs(tmp_path):
    storage = approved(tmp_path, "bach", "chopin")
    report = ship(storage, tmp_path / "pack")
    files = snapshot(tmp_path / "pack")
    texts = [
        "README.md",
        "LICENCES.md",
        "compose.pyz",
        "SHA256SUMS",
        "catalog.json",
        "cards/bach.md",
        "cards/chopin.md",
    ]
    page = ["compose.html", "page/bach.js", "page/chopin.js"]
    assert sorted(files) == sorted([*texts, *page, model_name("bach", 1), model_name("chopin", 1)])
    assert report["bytes"] == sum(map(len, files.values()))
    assert [(one["style"], one["precision"]) for one in report["models"]] == [
        ("bach", "float32"),
        ("chopin", "float32"),
    ]
    assert report["left_out"] == []
    assert open_model(files[model_name("bach", 1)], report["models"][0]["sha256"]).card["style"] == "bach"
    text = files["LICENCES.md"].decode()
    assert "CC0-1.0" in text
    assert "<Bach>" not in text, "what comes from outside is no markup"
    assert "\n# x" not in text
    assert "4.5" in files["cards/bach.md"].decode()
    assert verify(tmp_path / "pack") == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], "nothing is left beside it"


def test_the_example_in_the_readme_runs(tmp_path, monkeypatch):
    storage = approved(tmp_path, "bach")
    ship(storage, tmp_path / "pack", precision="int8")
    text = (tmp_path / "pack" / "README.md").read_text()
    example = text.split("```python\n")[1].split("```")[0]
    assert len(example.splitlines()) <= 15
    monkeypatch.chdir(tmp_path / "pack")
    exec(compile(example, "README.md", "exec"), {})
    assert (tmp_path / "pack" / "piece.mid").read_bytes().startswith(b"MThd")


def test_equal_catalogs_give_equal_packs(tmp_path):
    storage = approved(tmp_path, "bach", "chopin")
    for name in ("one", "two", "two"):
        ship(storage, tmp_path / name)
    assert snapshot(tmp_path / "one") == snapshot(tmp_path / "two")
    decide(storage, "bach", "approved", "once more, at another time")
    ship(storage, tmp_path / "three")
    one, three = snapshot(tmp_path / "one"), snapshot(tmp_path / "three")
    assert {name for name in one if one[name] != three[name]} == {"catalog.json", "SHA256SUMS"}
    assert three["catalog.json"] == one["catalog.json"].replace(b'"number": 2', b'"number": 3'), "no dates"


def test_what_may_not_ship_is_left_out_with_its_reason(tmp_path):
    storage = approved(tmp_path, "bach")
    publish(storage, [entry("chopin", 1), entry("folk", 2, licence="unknown"), entry("own", 3, fit=False)], [])
    decide(storage, "folk", "approved", "nice")
    decision = decide(storage, "own", "approved", "I like it")
    assert decision["overrules"] is True
    report = ship(storage, tmp_path / "pack")
    assert [one["style"] for one in report["models"]] == ["bach", "own"]
    reasons = {one["style"]: one["why"] for one in report["left_out"]}
    assert "candidate" in reasons["chopin"]
    assert "unknown" in reasons["folk"]
    with pytest.raises(FarmError, match="chopin: its status is candidate"):
        ship(storage, tmp_path / "other", styles=["chopin"])
    with pytest.raises(FarmError, match="nobody: not in the catalog"):
        ship(storage, tmp_path / "other", styles=["bach", "nobody"])
    assert not (tmp_path / "other").exists()


def test_the_approved_version_ships_while_a_newer_one_waits(tmp_path):
    storage = approved(tmp_path, "bach")
    publish(storage, [entry(seed=5)], [])
    report = ship(storage, tmp_path / "pack")
    assert [(one["version"], one["file"]) for one in report["models"]] == [(1, "bach-1.farm.safetensors")]
    assert verify(tmp_path / "pack") == []


def test_one_source_without_a_licence_blocks_the_model(tmp_path):
    storage = Storage(tmp_path)
    bad = entry()
    bad["corpus"]["sources"].append({"source": "folder: x", "licence": " Unknown ", "attribution": "", "url": ""})
    publish(storage, [bad], [])
    decide(storage, "bach", "approved", "good")
    with pytest.raises(FarmError, match="licence of folder: x is unknown"):
        ship(storage, tmp_path / "pack")


@pytest.mark.parametrize("embed", [False, True])
def test_a_budget_lowers_precision_before_it_leaves_styles_out(tmp_path, embed):
    storage = approved(tmp_path, "bach", "chopin", "folk")
    full = ship(storage, tmp_path / "full", embed=embed)["bytes"]
    files = snapshot(tmp_path / "full")
    fixed_bytes = sum(len(files[name]) for name in ("compose.html", "compose.pyz"))
    step_bytes = 30_000 * (2.1 if embed else 1)
    seen, in_page = [], []
    for budget in range(full, fixed_bytes + (full - fixed_bytes) // (10 if embed else 5), -4000):
        report = ship(storage, tmp_path / "pack", budget_bytes=budget, embed=embed)
        assert report["bytes"] == sum(map(len, snapshot(tmp_path / "pack").values())) <= budget
        assert report["bytes"] > budget - step_bytes, "room is used"
        seen.append([one["precision"] for one in report["models"]])
        in_page.append([one["style"] for one in report["models"] if one["in_page"]])
    assert verify(tmp_path / "pack") == []
    if embed:
        assert {tuple(styles) for styles in in_page} == {("bach", "chopin", "folk"), ("bach", "chopin"), ("bach",), ()}
        assert all(len(styles) == 3 for styles, row in zip(in_page, seen, strict=True) if "float32" in row)
    assert "no room" in report["left_out"][0]["why"]
    with pytest.raises(FarmError, match=r"nothing can be shipped:\n  bach: no room within 100 bytes"):
        ship(storage, tmp_path / "pack", budget_bytes=100)
    assert seen[0] == ["float32"] * 3
    assert ["int8"] * 3 in seen
    assert {len(row) for row in seen} >= {2, 3}


@pytest.mark.parametrize("formats", [["model"], ["model", "onnx"]])
def test_a_budget_that_is_missed_by_a_byte_is_answered(tmp_path, formats):
    storage = approved(tmp_path, "bach", "chopin")
    full = ship(storage, tmp_path / "pack", formats=formats)["bytes"]
    less = ship(storage, tmp_path / "pack", formats=formats, budget_bytes=full - 1)
    assert less["bytes"] < full
    main = {one["style"]: one["precision"] for one in less["models"] if one["format"] == "model"}
    assert main == {"bach": "float32", "chopin": "float16"}, "one step down"


def test_the_page_says_which_models_are_in_it(tmp_path):
    storage = approved(tmp_path, "bach", "chopin")
    ship(storage, tmp_path / "pack", precision="int8")
    files = snapshot(tmp_path / "pack")
    for style in ("bach", "chopin"):
        assert files[f"page/{style}.js"] == model_script(style, files[model_name(style, 1)])
        assert len(files[f"page/{style}.js"]) == script_bytes(style, len(files[model_name(style, 1)]))
    assert "asks for the model file" not in files["README.md"].decode()
    report = ship(storage, tmp_path / "pack", precision="int8", embed=False)
    assert [one["in_page"] for one in report["models"]] == [False, False]
    files = snapshot(tmp_path / "pack")
    assert not [name for name in files if name.startswith("page/")]
    assert "For every style it asks for the model file" in files["README.md"].decode()
    assert '"script": null' in files["compose.html"].decode()


def test_the_page_may_ask_nobody_and_run_nothing_but_its_own(tmp_path):
    storage = approved(tmp_path, "bach")
    for embed in (True, False):
        ship(storage, tmp_path / "pack", precision="int8", embed=embed)
        html = (tmp_path / "pack" / "compose.html").read_text()
        policy = dict(
            part.split(" ", 1) for part in re.search('Content-Security-Policy" content="([^"]*)"', html)[1].split("; ")
        )
        assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert "unsafe" not in str(policy)
        assert policy["worker-src"] == "blob:"
        (script,) = re.findall("<script>(.*?)</script>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert policy["script-src"] == f"'sha256-{digest}'" + (" 'self' file:" if embed else "")
        assert not re.search(r"\bon[a-z]+=|https?://(?!www\.w3\.org/2000/svg)", html), "no handlers, no addresses"
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|fetch\(|XMLHttpRequest", html)


def test_nothing_from_outside_is_markup_in_the_page(tmp_path):
    storage = Storage(tmp_path / "artifacts")
    publish(storage, [entry(title="</script><img src=x onerror=alert(1)>", licence="<!-- <script>")], [])
    decide(storage, "bach", "approved", "good")
    ship(storage, tmp_path / "pack")
    html = (tmp_path / "pack" / "compose.html").read_text()
    assert "<img" not in html
    assert html.count("<script") == html.count("</script>") == 3
    assert "<!--" not in html


def test_a_script_of_the_page_holds_the_model_that_the_catalog_names(tmp_path):
    storage = approved(tmp_path, "bach", "chopin")
    pack = tmp_path / "pack"
    ship(storage, pack)
    (pack / "page" / "chopin.js").write_bytes((pack / "page" / "bach.js").read_bytes())
    (pack / "page" / "liszt.js").write_bytes(b"")
    names = sorted(str(path.relative_to(pack)) for path in pack.rglob("*") if path.is_file())
    sums = [f"{hashlib.sha256((pack / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (pack / "SHA256SUMS").write_text("".join(line for line in sums if "SHA256SUMS" not in line))
    assert verify(pack) == [
        "page/chopin.js: does not hold the bytes of chopin-1.farm.safetensors",
        "page/liszt.js: is extra, catalog.json names no model for it",
    ]


@given(
    st.lists(st.tuples(st.integers(-2, 2), st.integers(1, 100)), max_size=8),
    st.one_of(st.none(), st.integers(0, 1000)),
)
def test_the_choice_keeps_the_budget_and_the_important(styles, budget):
    options = [
        Option(f"s{number}", priority, (("float32", 4 * size), ("float16", 2 * size), ("int8", size)))
        for number, (priority, size) in enumerate(styles)
    ]
    chosen = choose(options, budget)
    sizes = {option.style: dict(option.sizes) for option in options}
    total = sum(sizes[style][precision] for style, precision in chosen.items())
    if budget is None:
        assert set(chosen.values()) <= {"float32"}
        assert len(chosen) == len(options)
        return
    assert total <= budget
    out = [option for option in options if option.style not in chosen]
    for left in out:
        assert all(kept.priority >= left.priority for kept in options if kept.style in chosen)
    if not out:
        room = budget - total
        for style, precision in chosen.items():
            step = ("float32", "float16", "int8").index(precision)
            if step:
                better = options[int(style[1:])].sizes[step - 1][1]
                assert better - sizes[style][precision] > room, "room is used"


def test_priority_and_max_bytes_of_a_style_count(tmp_path):
    storage = Storage(tmp_path / "artifacts")
    sizes = {file["precision"]: len(file["data"]) for file in entry()["files"]}
    capped = entry("bach", max_bytes=sizes["float16"])
    tiny = entry("folk", 2, max_bytes=10)
    publish(storage, [capped, entry("chopin", 1, priority=3), tiny], [])
    for style in ("bach", "chopin", "folk"):
        decide(storage, style, "approved", "good")
    report = ship(storage, tmp_path / "pack")
    assert {one["style"]: one["precision"] for one in report["models"]} == {"bach": "float16", "chopin": "float32"}
    assert "max_bytes 10" in report["left_out"][0]["why"]
    report = ship(storage, tmp_path / "pack", precision="int8")
    assert {one["precision"] for one in report["models"]} == {"int8"}


def test_formats_that_do_not_exist_are_told(tmp_path):
    storage = approved(tmp_path, "bach")
    for formats in (["onxn"], ["model", "keras"], []):
        with pytest.raises(FarmError, match="there is model"):
            ship(storage, tmp_path / "pack", formats=formats)
    with pytest.raises(FarmError, match="give model,onnx"):
        ship(storage, tmp_path / "pack", formats=["onnx"])
    with pytest.raises(FarmError, match="float32, float16, int8"):
        ship(storage, tmp_path / "pack", precision="int4")


def test_only_a_pack_or_nothing_is_replaced(tmp_path):
    storage = approved(tmp_path, "bach")
    out = tmp_path / "out"
    out.mkdir()
    ship(storage, out)
    (out / "mine.txt").write_text("do not lose me")
    with pytest.raises(FarmError, match=r"mine\.txt"):
        ship(storage, out)
    (out / "mine.txt").unlink()
    ship(storage, out)
    full = tmp_path / "full"
    full.mkdir()
    (full / "holiday.jpg").write_text("x")
    with pytest.raises(FarmError, match="no pack"):
        ship(storage, full)
    with pytest.raises(FarmError, match="no folder"):
        ship(storage, full / "holiday.jpg")
    link = tmp_path / "link"
    link.symlink_to(out)
    with pytest.raises(FarmError, match="no folder"):
        ship(storage, link)


def test_a_kill_while_packing_leaves_the_old_pack(tmp_path, monkeypatch):
    storage = approved(tmp_path, "bach")
    ship(storage, tmp_path / "pack")
    before = snapshot(tmp_path / "pack")
    publish(storage, [entry(seed=4)], [])
    decide(storage, "bach", "approved", "better")
    real = Storage.write_bytes

    def dying(self, key, data):
        if key == "SHA256SUMS":
            raise KeyboardInterrupt
        return real(self, key, data)

    monkeypatch.setattr(Storage, "write_bytes", dying)
    with pytest.raises(KeyboardInterrupt):
        ship(storage, tmp_path / "pack")
    assert snapshot(tmp_path / "pack") == before
    assert not list(tmp_path.glob(".pack*"))


def test_a_published_file_that_changed_does_not_ship(tmp_path):
    storage = approved(tmp_path, "bach")
    path = Path(storage.address(model_of(storage)["files"][0]["path"]))
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(IntegrityError, match="bach-1"):
        ship(storage, tmp_path / "pack")


def test_nothing_published_is_told(tmp_path):
    with pytest.raises(FarmError, match="farm run"):
        ship(Storage(tmp_path), tmp_path / "pack")


# Verifying


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    root = tmp_path_factory.mktemp("shipped")
    storage = approved(root, "bach", "chopin")
    publish(storage, [entry(seed=9)], [])
    ship(storage, root / "pack")
    return root


def mutations(folder, random):
    """Every file of a folder, once each: a flipped bit, cut, emptied, gone."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        flipped = bytearray(data)
        at = int(random.integers(len(data) * 8))
        flipped[at // 8] ^= 1 << at % 8
        for changed in (bytes(flipped), data[: len(data) // 2], b"", None):
            if changed is None:
                path.unlink()
            else:
                path.write_bytes(changed)
            yield path
            path.write_bytes(data)


@pytest.mark.parametrize("what", ["pack", "artifacts/catalog"])
def test_every_touched_file_is_named(shipped, what):
    folder = shipped / what
    assert verify(folder) == []
    for path in mutations(folder, np.random.default_rng(0)):
        problems = verify(folder)
        name = path.name if path.name in ("CURRENT", "SHA256SUMS") else str(path.relative_to(folder))
        assert any(name in problem for problem in problems), (name, problems)
    assert verify(folder) == []


@pytest.mark.parametrize("what", ["pack", "artifacts"])
def test_swapped_and_extra_files_are_named(shipped, what):
    folder = shipped / what
    first, second = sorted(folder.rglob("bach-*.safetensors"))[0], sorted(folder.rglob("chopin-*.safetensors"))[0]
    texts = first.read_bytes(), second.read_bytes()
    first.write_bytes(texts[1])
    second.write_bytes(texts[0])
    problems = verify(folder)
    assert len(problems) == 2
    assert all("has the bytes of" in problem for problem in problems)
    first.write_bytes(texts[0])
    second.write_bytes(texts[1])
    extra = first.parent / "more.farm.safetensors"
    extra.write_bytes(b"x")
    assert [problem for problem in verify(folder) if "more.farm.safetensors: is extra" in problem]
    extra.unlink()
    first.unlink()
    first.symlink_to(second)
    assert any("is a link" in problem for problem in verify(folder))
    first.unlink()
    first.write_bytes(texts[0])
    assert verify(folder) == []


def test_sums_that_were_mended_do_not_hide_a_swap(shipped):
    """Whoever changes files and SHA256SUMS together is still told by catalog.json."""
    pack = shipped / "pack"
    before = snapshot(pack)
    sums = (pack / "SHA256SUMS").read_text()
    names = [model_name("bach", 1), model_name("chopin", 1)]
    digests = [hashlib.sha256(before[name]).hexdigest() for name in names]
    mended = sums.replace(digests[0], "x").replace(digests[1], digests[0]).replace("x", digests[1])
    (pack / "SHA256SUMS").write_text(mended)
    (pack / names[0]).write_bytes(before[names[1]])
    (pack / names[1]).write_bytes(before[names[0]])
    problems = verify(pack)
    for name in names:
        assert any(problem.startswith(name) for problem in problems)
        (pack / name).write_bytes(before[name])
    (pack / "SHA256SUMS").write_text(sums + f"{'0' * 64}  ../../secret\n")
    assert any("SHA256SUMS" in problem for problem in verify(pack))
    (pack / "SHA256SUMS").write_text(sums)
    assert verify(pack) == []


def test_a_single_file_and_things_that_are_no_models(tmp_path):
    path = tmp_path / "bach-1.farm.safetensors"
    data = pack_model(network(), ARCHITECTURE, Encoding(), CARD, "int8")
    path.write_bytes(data)
    assert verify(path) == []
    path.write_bytes(data[:-3] + b"abc")
    assert len(verify(path)) == 1
    assert "bach-1.farm.safetensors" in verify(path)[0]
    path.write_bytes(PACKED)
    assert verify(path) == ["bach-1.farm.safetensors: weights: 'beats.out.bias' is missing; get the model file again"]
    assert "neither" in verify(tmp_path)[0]
    assert "missing" in verify(tmp_path / "nothing")[0]
    (tmp_path / "catalog").mkdir()
    assert "CURRENT: is missing" in verify(tmp_path)[0]
