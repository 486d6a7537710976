"""Signed packs: whose they are, and that no forged, older or mixed one, or one of another farm, is let through."""

import hashlib
import json
import re
import shutil
import subprocess
import sys

import minisign
import pytest

from farm import layout
from farm.catalog.pack import ship
from farm.catalog.pack_order import edition
from farm.catalog.pack_trust import check, edition_of, is_signed
from farm.catalog.publish import decide, publish, record_shipped
from farm.catalog.signing import SIGNATURE, opened, public_key, signature_problems
from farm.catalog.verify import CATALOG, SUMS, listed_files, sums_text, verify
from farm.cli import main
from farm.errors import FarmError
from tests.small_keys import (
    AUTHOR_ID,
    AUTHOR_KEY,
    AUTHOR_LINE,
    AUTHOR_PUB,
    LOCKED_KEY,
    LOCKED_PASSWORD,
    LOCKED_PUB,
    STRANGER_ID,
    STRANGER_PUB,
    write_keys,
)
from tests.test_catalog import approved, entry, snapshot

TOOL = shutil.which("minisign")


def no_password():
    raise AssertionError("a key without a password was asked for one")


def shipped(storage, out, key=None, **options):
    if key is None:
        return ship(storage, out, **options)
    with opened(key, no_password) as signer:
        return ship(storage, out, signer=signer, **options)


def news(storage, style="bach", seed=7):
    """A new version of a style, approved."""
    publish(storage, [entry(style, seed)], [])
    decide(storage, style, "approved", "better")


@pytest.fixture
def keys(tmp_path):
    return write_keys(tmp_path)


@pytest.fixture
def storage(tmp_path):
    return approved(tmp_path, "bach", "chopin")


@pytest.fixture
def pack(storage, keys, tmp_path):
    shipped(storage, tmp_path / "pack", keys / "author.key")
    return tmp_path / "pack"


@pytest.fixture
def farm(monkeypatch, capsys):
    """Run a command of the farm: exit code and what it printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["farm", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return ended.value.code, told.out + told.err

    return run


# The signature


def test_a_signed_pack_comes_back(pack, storage, keys, tmp_path):
    (tmp_path / "author.pub").write_text(AUTHOR_PUB)
    for key in (AUTHOR_LINE, f" {AUTHOR_LINE}\n", str(tmp_path / "author.pub")):
        assert check(pack, key=key) == []
    assert SIGNATURE not in (pack / SUMS).read_text(), "it signs the list"
    catalog = json.loads((pack / CATALOG).read_text())
    comment = f"pack 2 of farm {catalog['origin_sha256']}"
    lines = (pack / SIGNATURE).read_text().splitlines()
    assert lines[0] == "untrusted comment: signature from minisign secret key"
    assert lines[2] == f"trusted comment: {comment}"
    text = (pack / "README.md").read_text()
    assert AUTHOR_ID in text
    assert AUTHOR_LINE not in text, "a key that comes with the pack proves nothing"
    shipped(storage, tmp_path / "again", keys / "author.key")
    assert snapshot(pack) == snapshot(tmp_path / "again")
    assert verify(pack) == []
    assert is_signed(pack)


def test_nothing_of_the_secret_key_is_in_the_pack_or_printed(farm, storage, keys, tmp_path):
    code, told = farm("ship", tmp_path / "out", "--sign", keys / "author.key", "--artifacts", storage.root)
    assert code == 0
    secret = AUTHOR_KEY.splitlines()[1]
    everything = [told.encode(), *snapshot(tmp_path / "out").values()]
    raw = minisign.SecretKey.from_base64(secret)._keynum_sk.secret_key
    for data in everything:
        assert not any(secret[at : at + 20].encode() in data for at in range(100, len(secret) - 60, 10))
        assert bytes(raw) not in data
        assert bytes(raw).hex().encode() not in data
    assert AUTHOR_ID in told
    with opened(keys / "author.key", no_password) as signer:
        pass
    with pytest.raises(minisign.Error, match="wiped"):
        signer.signature(b"x", "later")


def test_the_signature_counts_in_the_budget(storage, keys, tmp_path):
    for out, key in (("plain", None), ("signed", keys / "author.key")):
        full = shipped(storage, tmp_path / out, key)["bytes"]
        assert full == sum(map(len, snapshot(tmp_path / out).values()))
        assert shipped(storage, tmp_path / out, key, budget_bytes=full)["bytes"] == full
        assert shipped(storage, tmp_path / out, key, budget_bytes=full - 1)["bytes"] < full


def test_another_key_is_refused_and_both_are_named(storage, keys, tmp_path):
    shipped(storage, tmp_path / "pack", keys / "stranger.key")
    (problem,) = check(tmp_path / "pack", key=AUTHOR_LINE)
    assert problem.startswith(f"{SIGNATURE}: ")
    assert AUTHOR_ID in problem
    assert STRANGER_ID in problem


def test_a_pack_without_a_signature_is_refused_only_where_one_is_asked_for(storage, tmp_path):
    shipped(storage, tmp_path / "pack")
    assert check(tmp_path / "pack") == []
    assert not is_signed(tmp_path / "pack")
    (problem,) = check(tmp_path / "pack", key=AUTHOR_LINE)
    assert problem.startswith(f"{SIGNATURE}: is missing")
    assert "The pack is signed" not in (tmp_path / "pack" / "README.md").read_text()


def test_every_file_that_was_touched_is_refused(pack):
    before = snapshot(pack)
    for name, data in before.items():
        for changed in (data[:-1] + bytes([data[-1] ^ 1]), data[:-1], data + b"\n", b""):
            (pack / name).write_bytes(changed)
            assert any(name in problem for problem in check(pack, key=AUTHOR_LINE)), name
        (pack / name).unlink()
        assert any(name in problem for problem in check(pack, key=AUTHOR_LINE)), name
        (pack / name).write_bytes(data)
    assert check(pack, key=AUTHOR_LINE) == []


def test_every_bit_of_the_signature_counts(pack):
    """Base64 has bits that decode to nothing, and the first line is not signed: both could hide a change."""
    good, sums, key = (pack / SIGNATURE).read_bytes(), (pack / SUMS).read_bytes(), public_key(AUTHOR_LINE)
    assert signature_problems(good, sums, key) == []
    for bit in range(8 * len(good)):
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        (problem,) = signature_problems(bytes(data), sums, key)
        assert problem.startswith(f"{SIGNATURE}: ")


def test_what_is_wrong_with_a_signature_is_told(pack, keys, tmp_path):
    good = (pack / SIGNATURE).read_bytes()
    sums = (pack / SUMS).read_bytes()
    with minisign.SecretKey.from_file(keys / "author.key") as secret:
        old_form = bytes(secret.sign(sums, prehash=False, trusted_comment="pack 2")) + b"\n"
        other_list = bytes(secret.sign(sums + b"\n", trusted_comment="pack 2")) + b"\n"
        by_hand = bytes(secret.sign(sums, trusted_comment="released by hand")) + b"\n"
    cases = [
        (b"", "no signature"),
        (b"junk\n" * 4, "no signature"),
        (good.replace(b"untrusted comment: ", b"comment: "), "no signature"),
        (good.replace(b"trusted comment: pack 2", b"trusted comment: pack 3"), "comment that is signed with it"),
        (other_list, "does not fit SHA256SUMS"),
        (old_form, "old form"),
        (good.replace(b"from minisign", b"from a friend"), "first line"),
        (good.replace(b"\n", b"\r\n"), "not as it was written"),
    ]
    for data, told in cases:
        (pack / SIGNATURE).write_bytes(data)
        (problem,) = check(pack, key=AUTHOR_LINE)
        assert problem.startswith(f"{SIGNATURE}: ")
        assert told in problem
    (pack / SIGNATURE).write_bytes(by_hand)
    assert check(pack, key=AUTHOR_LINE) == [], "signed with minisign itself, with its owner's comment"
    for name in (SIGNATURE, SUMS):
        (pack / name).rename(tmp_path / "kept")
        (pack / name).symlink_to(tmp_path / "kept")
        assert "link" in check(pack, key=AUTHOR_LINE)[0]
        (pack / name).unlink()
        (tmp_path / "kept").rename(pack / name)
    (pack / SIGNATURE).unlink()
    (pack / SIGNATURE).mkdir()
    assert "is missing" in check(pack, key=AUTHOR_LINE)[0]


def test_nothing_is_opened_before_the_signature_holds(pack, monkeypatch):
    (pack / SUMS).write_bytes((pack / SUMS).read_bytes().replace(b"a", b"b"))
    monkeypatch.setattr("farm.catalog.pack_trust.verify", lambda pack: pytest.fail("the pack was read"))
    assert len(check(pack, key=AUTHOR_LINE)) == 1


# Keys


def test_a_key_with_a_password_as_minisign_writes_it(storage, keys, tmp_path):
    with opened(keys / "locked.key", lambda: LOCKED_PASSWORD) as signer:
        ship(storage, tmp_path / "pack", signer=signer)
    assert check(tmp_path / "pack", key=LOCKED_PUB.splitlines()[1]) == []


@pytest.fixture
def light_key(tmp_path):
    """A key with a password that opens in no time."""
    secret = minisign.SecretKey.from_bytes(AUTHOR_KEY.encode())
    secret._update_checksum()
    secret.encrypt(LOCKED_PASSWORD, opslimit=32768, memlimit=1 << 22)
    (tmp_path / "light.key").write_bytes(bytes(secret) + b"\n")
    return tmp_path / "light.key"


def test_the_password_comes_from_the_environment_or_the_terminal(farm, storage, light_key, tmp_path, monkeypatch):
    command = ("ship", tmp_path / "pack", "--sign", light_key, "--artifacts", storage.root)
    monkeypatch.delenv("FARM_SIGN_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    code, told = farm(*command)
    assert code == 2
    assert "set FARM_SIGN_PASSWORD" in told
    for wrong in ("wrong", "", "\udcff"):  # the last as Python has a byte that is no UTF-8
        monkeypatch.setenv("FARM_SIGN_PASSWORD", wrong)
        code, told = farm(*command)
        assert code == 2
        assert f"{light_key}: does not open" in told
        assert "Traceback" not in told
    assert not (tmp_path / "pack").exists()


def test_the_right_password_signs(farm, storage, light_key, tmp_path, monkeypatch):
    command = ("ship", tmp_path / "pack", "--json", "--sign", light_key, "--artifacts", storage.root)
    monkeypatch.setenv("FARM_SIGN_PASSWORD", LOCKED_PASSWORD)
    code, told = farm(*command)
    assert code == 0
    assert json.loads(told)["signed_by"] == AUTHOR_ID
    assert LOCKED_PASSWORD not in told
    monkeypatch.delenv("FARM_SIGN_PASSWORD")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    asked = []
    monkeypatch.setattr("typer.prompt", lambda text, **how: asked.append((text, how)) or LOCKED_PASSWORD)
    assert farm(*command)[0] == 0
    assert asked == [(f"Password of {light_key}", {"hide_input": True, "err": True})]
    assert check(tmp_path / "pack", key=AUTHOR_LINE) == []


def test_what_is_no_key_is_told(keys, tmp_path):
    for name, text in (
        ("empty", ""),
        ("public", AUTHOR_PUB),
        ("torn", LOCKED_KEY[:80]),
        ("binary", "\0\1\2"),
        ("long", AUTHOR_KEY + "more\n"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(FarmError, match=r"is no secret key .*minisign -G"), opened(tmp_path / name, no_password):
            pass
    for missing in (tmp_path / "nothing", tmp_path):
        with pytest.raises(FarmError, match=f"{re.escape(str(missing))}: .*minisign -G"), opened(missing, no_password):
            pass
    for wrong in ("", "nothing.pub", AUTHOR_LINE[:-1], "x" * 56, str(keys / "author.key"), str(tmp_path), "x" * 5000):
        with pytest.raises(FarmError, match=r"is no public key.*\.pub"):
            public_key(wrong)


def test_a_damaged_key_signs_nothing(storage, keys, tmp_path):
    """minisign gives a key without a password no checksum."""
    head, line = AUTHOR_KEY.splitlines()
    (keys / "author.key").write_text(f"{head}\n{line[:92]}{'A' if line[92] != 'A' else 'B'}{line[93:]}\n")
    with pytest.raises(FarmError, match=r"author\.key: is damaged"):
        shipped(storage, tmp_path / "pack", keys / "author.key")
    assert not (tmp_path / "pack").exists()


def test_without_the_library_only_signatures_are_missed(storage, pack, keys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "minisign", None)
    way_out = re.escape("pip install 'music-model-farm[sign]'")
    with pytest.raises(FarmError, match=way_out):
        shipped(storage, tmp_path / "out", keys / "author.key")
    with pytest.raises(FarmError, match=way_out):
        check(pack, key=AUTHOR_LINE)
    shipped(storage, tmp_path / "out")
    assert check(tmp_path / "out", after=pack) == []


def test_the_command_says_whether_the_signature_was_checked(farm, pack, storage, tmp_path):
    code, told = farm("verify", pack)
    assert code == 0
    assert f"its signature was not checked; do it with the author's public key: farm verify {pack} --key" in told
    code, told = farm("verify", pack, "--key", AUTHOR_LINE)
    assert (code, told) == (0, f"{pack}: every hash and the signature hold\n")
    code, told = farm("verify", pack, "--key", STRANGER_PUB.splitlines()[1])
    assert code == 2
    assert "the signature hold" not in told
    for arguments, state in ((("--key", AUTHOR_LINE), "checked"), ((), "not checked")):
        code, told = farm("verify", pack, "--json", *arguments)
        assert json.loads(told) == {"path": str(pack), "problems": [], "signature": state}
    code, told = farm("verify", storage.root)
    assert told == f"{storage.root}: every hash holds\n"
    code, told = farm("verify", pack, "--key", "")
    assert code == 2, "an empty variable of a shell is no leave to check nothing"


def test_only_packs_are_signed_and_in_order(farm, pack, storage):
    model = next(pack.glob("*.safetensors"))
    for place in ("s3://bucket/farm", storage.root, model):
        for asked in (("--key", AUTHOR_LINE), ("--after", pack)):
            code, told = farm("verify", place, *asked)
            assert code == 2
            assert f"{place}: is no pack, and only packs are signed" in told
    code, told = farm("verify", pack / "nothing", "--key", AUTHOR_LINE)
    assert code == 2
    assert "is missing" in told


@pytest.mark.skipif(TOOL is None, reason="minisign is not installed here")
def test_minisign_itself_agrees(pack, keys, tmp_path):
    def run(*arguments):
        return subprocess.run([TOOL, *arguments], cwd=pack, capture_output=True, text=True, check=False)

    done = run("-V", "-H", "-m", SUMS, "-P", AUTHOR_LINE)
    assert done.returncode == 0, done.stderr
    assert "Trusted comment: pack 2 of farm " in done.stdout
    assert run("-V", "-m", SUMS, "-P", STRANGER_PUB.splitlines()[1]).returncode != 0
    good = (pack / SIGNATURE).read_bytes()
    (pack / SIGNATURE).write_bytes(good.replace(b"comment: pack 2", b"comment: pack 3"))
    assert run("-V", "-m", SUMS, "-P", AUTHOR_LINE).returncode != 0
    done = run("-S", "-W", "-s", str(keys / "author.key"), "-m", SUMS, "-t", "pack 2, by hand")
    assert done.returncode == 0, done.stderr
    assert check(pack, key=AUTHOR_LINE) == []
    assert run("-S", "-l", "-W", "-s", str(keys / "author.key"), "-m", SUMS).returncode == 0
    assert "old form" in check(pack, key=AUTHOR_LINE)[0]


# The order of packs


def test_the_number_counts_decisions_and_the_origin_tells_the_farm(storage, tmp_path):
    assert number_of_shipped(storage, tmp_path / "one") == 2
    assert number_of_shipped(storage, tmp_path / "one") == 2, "shipping counts nothing"
    record_shipped(storage, {"bach": 1}, "the app")
    assert number_of_shipped(storage, tmp_path / "one") == 2
    decide(storage, "chopin", "rejected", "dull")
    assert number_of_shipped(storage, tmp_path / "one") == 3
    news(storage)
    decide(storage, "bach", "retired", "enough")
    decide(storage, "bach", "approved", "back again")
    assert number_of_shipped(storage, tmp_path / "one") == 6
    other = approved(tmp_path / "other", "folk")
    ship(other, tmp_path / "two")
    assert edition_of(tmp_path / "two").origin_sha256 != edition_of(tmp_path / "one").origin_sha256


def number_of_shipped(storage, out):
    ship(storage, out)
    return edition_of(out).number


@pytest.fixture
def two(storage, keys, tmp_path):
    """An old and a new pack of the same farm."""
    shipped(storage, tmp_path / "old", keys / "author.key")
    news(storage)
    shipped(storage, tmp_path / "new", keys / "author.key")
    return tmp_path / "old", tmp_path / "new"


def test_an_older_pack_is_refused(two, storage, tmp_path):
    old, new = two
    assert check(new, after=old, key=AUTHOR_LINE) == []
    assert check(new, after=new) == check(old, after=old) == []
    assert check(old, after=new, key=AUTHOR_LINE) == [f"{CATALOG}: is older: its number is 2, that of the old pack 3"]
    ship(storage, tmp_path / "less", styles=["chopin"])
    assert check(tmp_path / "less", after=new) == [], "a style may be left out"


def test_another_farm_is_told_apart(two, keys, tmp_path):
    other = approved(tmp_path / "other", "bach", "folk")
    shipped(other, tmp_path / "foreign", keys / "author.key")
    for new, old in ((tmp_path / "foreign", two[0]), (two[1], tmp_path / "foreign")):
        (problem,) = check(new, after=old, key=AUTHOR_LINE)
        assert problem.startswith(f"{CATALOG}: is from another farm: its origin is ")


def test_a_newer_pack_or_another_farms_is_not_written_over(two, storage, keys, tmp_path, farm):
    old, new = two
    root = tmp_path / "before"
    shutil.copytree(storage.root, root)
    news(storage, seed=8)
    ship(storage, new)
    assert not is_signed(new), "a signed pack may be replaced by one that is not"
    before = snapshot(new)
    code, told = farm("ship", new, "--artifacts", root)
    assert code == 2
    assert f"{new}: the new pack is older: its number is 3, that of the old pack 4, so it cannot take" in told
    with pytest.raises(FarmError, match=r"the new pack is from another farm: .* give another folder"):
        ship(approved(tmp_path / "other", "folk"), new)
    assert snapshot(new) == before
    assert farm("ship", old, "--artifacts", root)[0] == 0


def rewrite(pack, catalog):
    """Another catalog.json, and the sums that fit it; nobody signed them."""
    (pack / CATALOG).write_text(json.dumps(catalog))
    digest = hashlib.sha256((pack / CATALOG).read_bytes()).hexdigest()
    (pack / SUMS).write_text(sums_text({**listed_files(pack), CATALOG: digest}))
    (pack / SIGNATURE).unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"number": "3"}, "number is '3'"),
        ({"number": True}, "number is 'True'"),
        ({"number": -1}, "number is '-1'"),
        ({"number": 2.5}, "number is '2.5'"),
        ({"origin_sha256": "x"}, "origin_sha256 is 'x'"),
        ({"origin_sha256": 5}, "origin_sha256 is '5'"),
        ({"number": None}, "number is 'None'"),
        ({"origin_sha256": None}, "origin_sha256 is 'None'"),
    ],
)
def test_what_tells_no_place_among_packs_is_refused(two, changes, told):
    old, new = two
    good = json.loads((new / CATALOG).read_text())
    with pytest.raises(FarmError, match=rf"the catalog: {re.escape(told)}"):
        edition({**good, **changes}, "the catalog")
    rewrite(new, {**good, **changes})
    (problem,) = check(new, after=old)
    assert problem.startswith(f"{CATALOG}: {told}")
    with pytest.raises(FarmError, match=re.escape(told)):
        check(old, after=new)


def test_the_old_pack_must_be_sound(two, storage, tmp_path):
    old, new = two
    with pytest.raises(FarmError, match="is no pack"):
        check(new, after=tmp_path / "nothing")
    with pytest.raises(FarmError, match="is no pack"):
        check(new, after=old / SUMS)
    rewrite(old, ["nothing"])
    with pytest.raises(FarmError, match="is no JSON object"):
        check(new, after=old)
    (old / CATALOG).write_text("{}")
    for attempt in (lambda: check(new, after=old), lambda: ship(storage, old)):
        with pytest.raises(FarmError, match=r"catalog\.json is not what SHA256SUMS says"):
            attempt()


def test_a_decision_may_go_back_to_an_older_model(two, storage, tmp_path):
    _, new = two
    decide(storage, "bach", "rejected", "the one before was better")
    root = json.loads((new / CATALOG).read_text())["models"][0]["version"]
    ship(storage, new)
    assert json.loads((new / CATALOG).read_text())["models"][0]["version"] == root - 1


def test_a_farm_without_its_first_catalog_is_told(storage, tmp_path):
    news(storage)
    storage.delete(layout.catalog_numbered(1))
    with pytest.raises(FarmError, match=r"catalog-1\.json"):
        ship(storage, tmp_path / "pack")


# Mixed packs


def test_a_file_of_another_pack_is_named(storage, keys, tmp_path, monkeypatch):
    """Every file of an older pack of the same farm, by the same key, in the place of the newer one's."""
    shipped(storage, tmp_path / "old", keys / "author.key", precision="int8")
    news(storage)
    news(storage, "chopin", 8)
    monkeypatch.setattr("farm.catalog.pack.compose_zip", lambda: b"a later farm's")
    shipped(storage, tmp_path / "new", keys / "author.key", budget_bytes=10**7)
    old, new = tmp_path / "old", tmp_path / "new"
    before, other = snapshot(new), snapshot(old)
    unlike = {name for name, data in other.items() if before.get(name) != data}
    assert {
        "compose.pyz",
        "page/bach.js",
        "cards/bach.md",
        "bach-1.farm.safetensors",
        CATALOG,
        SUMS,
        SIGNATURE,
    } < unlike
    for name in unlike:
        (new / name).write_bytes(other[name])
        problems = check(new, key=AUTHOR_LINE)
        assert any(problem.startswith((f"{name}: ", f"{SIGNATURE}: ")) for problem in problems), name
        if name not in (SIGNATURE, SUMS):
            assert any(problem.startswith(f"{name}: ") for problem in verify(new)), name
        (new / name).write_bytes(before[name]) if name in before else (new / name).unlink()
    for name in (SUMS, SIGNATURE, CATALOG):
        (new / name).write_bytes(other[name])
    problems = check(new, key=AUTHOR_LINE)
    assert any(problem.startswith("bach-1.farm.safetensors: is missing") for problem in problems)
    assert any(problem.startswith("bach-2.farm.safetensors: is extra") for problem in problems)
    assert any(problem.startswith("compose.pyz: ") for problem in problems)
