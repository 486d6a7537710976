"""From a source in corpora.yaml to the bytes a reader gets: nothing is lost silently, and nothing can do harm."""

import bz2
import errno
import gzip
import hashlib
import io
import lzma
import os
import random
import resource
import socket
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_music import write_corpus

from farm.config import Source
from farm.corpus import archive_budget, archives, open_archive
from farm.corpus.findings import MAX_FILE_BYTES
from farm.corpus.sources import InputFile, list_files, read_files
from farm.errors import ReadError, SourceError

MIDI = b"MThd" + bytes(range(100))


@pytest.fixture
def music(tmp_path):
    """A folder of 24 tunes, no two alike, in one folder below another."""
    write_corpus(tmp_path / "music", {"bach": 24}, bars=6)
    return tmp_path / "music"


@pytest.fixture
def folder(tmp_path):
    """A folder with one file to read, so that it can be listed whatever else is in it."""
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "good.mid").write_bytes(MIDI)
    return tmp_path / "songs"


def listed(folder: Path, **keys) -> list[InputFile]:
    return list_files(Source(folder=str(folder), **keys), Path())


def listed_archive(path: Path, **keys) -> list[InputFile]:
    return list_files(Source(archive=path.name, **keys), path.parent)


def outcomes(files: list[InputFile]) -> dict[str, str]:
    """Return by path 'wanted' or the reason, and check that paths are unique and valid text."""
    found = {file.path: "wanted" if file.is_wanted else file.skipped or file.rejected for file in files}
    assert len(found) == len(files)
    column = pa.array([f"{path} {reason}" for path, reason in found.items()], pa.string())
    pq.write_table(pa.table({"path": column}), io.BytesIO())
    for file in files:
        assert bool(file.sha256) == (file.is_wanted or file.skipped == "over-limit")
        assert not (file.skipped and file.rejected)
    return found


def others(files: list[InputFile]) -> dict[str, str]:
    return {path: outcome for path, outcome in outcomes(files).items() if path != "good.mid"}


def check_readable(files: list[InputFile], count: int) -> None:
    """Check that every wanted file's bytes come back, and that there are so many."""
    wanted = [file for file in files if file.is_wanted]
    found = [(file, data) for file, data in read_files(wanted)]
    assert len(found) == len(wanted) == count
    assert all(hashlib.sha256(data).hexdigest() == file.sha256 for file, data in found)


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


# --- folders, archives, music21


def test_a_folder_is_listed_with_everything_in_it(music):
    (music / "bach" / ".hidden.mid").write_bytes(b"x")
    (music / "README.txt").write_text("about")
    (music / "bach" / "SONG.MID").write_bytes(b"MThd")
    (music / "bach" / "loop").symlink_to(music)
    files = listed(music)
    assert [file.path for file in files] == sorted(file.path for file in files)
    assert {file.path: file.skipped for file in files if not file.is_wanted} == {
        "README.txt": "not-music",
        "bach/.hidden.mid": "hidden",
        "bach/loop/": "same-folder: it is listed as ./",
    }
    assert len([file for file in files if file.is_wanted]) == 25
    assert [file.path for file in listed(music, match="*song.mid")] == ["bach/SONG.MID"]
    assert len(listed(music, match="bach/tune-0*.mid")) == 10


def test_a_limit_takes_the_same_sample_whatever_the_names(music):
    chosen = {file.sha256 for file in listed(music, limit=5) if file.is_wanted}
    assert len(chosen) == 5
    for number, path in enumerate(sorted((music / "bach").iterdir(), reverse=True)):
        path.rename(path.with_name(f"new-{number}.mid"))
    again = listed(music, limit=5)
    assert {file.sha256 for file in again if file.is_wanted} == chosen
    assert sum(file.skipped == "over-limit" for file in again) == 19


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_an_archive_holds_the_same_files_as_its_folder(music, tmp_path, kind):
    path = tmp_path / f"music.{kind}"
    names = sorted(file.relative_to(music).as_posix() for file in music.rglob("*.mid"))
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.write(music / name, name)
    else:
        with tarfile.open(path, "w:gz" if kind.endswith("gz") else "w") as archive:
            for name in names:
                archive.add(music / name, name)
    files = list_files(Source(archive=path.name), tmp_path)
    assert [(file.path, file.sha256) for file in files] == [(file.path, file.sha256) for file in listed(music)]
    assert {file.path: data for file, data in read_files(files)} == {
        name: (music / name).read_bytes() for name in names
    }
    with pytest.raises(SourceError, match="download it again"):
        list_files(Source(archive=path.name, sha256="0" * 64), tmp_path)


def test_a_source_that_cannot_be_listed_says_why(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.zip").write_bytes(b"PK no")
    for keys, words in (
        ({"folder": "nowhere"}, "does not exist"),
        ({"folder": "empty"}, "nothing to read"),
        ({"folder": "broken.zip"}, "use 'archive:'"),
        ({"archive": "broken.zip"}, "not a zip or tar"),
        ({"music21": "no-such-composer"}, "it has .*bach"),
        ({"music21": "../features"}, "no such folder"),
    ):
        with pytest.raises(SourceError, match=words):
            list_files(Source(**keys), tmp_path)


def test_the_corpus_of_music21_is_found_without_importing_it():
    code = (
        "import sys; from pathlib import Path; from farm.config import Source;"
        "from farm.corpus.sources import list_files;"
        "print(len(list_files(Source(music21='bach', match='*.mxl'), Path())), 'music21' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, imported = done.stdout.split()
    assert int(count) > 300
    assert imported == "False"


def test_bytes_that_changed_after_the_listing_are_not_read(music):
    files = listed(music)
    Path(files[0].location).write_bytes(b"other")
    Path(files[1].location).unlink()
    reasons = [data.reason for _, data in read_files(files[:3]) if isinstance(data, ReadError)]
    assert reasons == ["changed", "unreadable"]
    with pytest.raises(ReadError, match="changed"):
        files[0].read()


# --- what else lies in a folder


def test_what_is_no_file_is_skipped_and_never_opened(folder):
    os.mkfifo(folder / "pipe.mid")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "linked.mid").symlink_to("pipe.mid")
    (folder / "null.mid").symlink_to("/dev/null")
    server = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(folder)  # the path of a socket may have 108 bytes
    try:
        server.bind("socket.mid")
    finally:
        os.chdir(here)
        server.close()
    assert others(listed(folder)) == {
        "pipe.mid": "not-a-file: a FIFO",
        "pipe.jpg": "not-a-file: a FIFO",
        "linked.mid": "not-a-file: a FIFO",
        "null.mid": "not-a-file: a device",
        "socket.mid": "not-a-file: a socket",
    }


def test_a_pipe_in_the_place_of_a_listed_file_is_not_waited_for(folder):
    (file,) = listed(folder)
    Path(file.location).unlink()
    os.mkfifo(file.location)
    with pytest.raises(ReadError, match="changed: it is no file any more"):
        file.read()


def test_links_that_lead_nowhere_are_rejected(folder):
    (folder / "gone.mid").symlink_to("nowhere.mid")
    (folder / "round.mid").symlink_to("round.mid")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    assert others(listed(folder)) == {
        "gone.mid": "unreadable: a link to what does not exist",
        "round.mid": f"unreadable: {os.strerror(errno.ELOOP)}",
        "gone.jpg": "not-music",
    }


def test_linked_folders_are_listed_once_under_their_own_name(folder, tmp_path):
    (folder / "z").mkdir()
    (folder / "z" / "a.mid").write_bytes(MIDI)
    (folder / "a-link").symlink_to("z")
    (folder / "z" / "loop").symlink_to(folder)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.mid").write_bytes(MIDI)
    (folder / "other").symlink_to(tmp_path / "elsewhere")
    assert others(listed(folder)) == {
        "z/a.mid": "wanted",
        "other/b.mid": "wanted",
        "a-link/": "same-folder: it is listed as z/",
        "z/loop/": "same-folder: it is listed as ./",
    }
    assert set(outcomes(listed(folder, match="*.mid"))) == {"good.mid", "z/a.mid", "other/b.mid"}


def test_a_folder_named_like_a_file_is_a_folder(folder):
    (folder / "x.mid").mkdir()
    (folder / "x.mid" / "y.mid").write_bytes(MIDI)
    assert others(listed(folder, match="*.mid")) == {"x.mid/y.mid": "wanted"}


def test_hidden_files_are_listed_where_they_look_like_music(folder):
    for name in ("._good.mid", ".DS_Store", ".mid", "__MACOSX/b.mid", "__MACOSX/b.txt", ".git/c.mid", "a/.d/e.mid"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(MIDI)
    hidden = dict.fromkeys(["._good.mid", ".mid", "__MACOSX/b.mid"], "hidden")
    assert others(listed(folder)) == hidden
    members = {path.relative_to(folder).as_posix(): MIDI for path in folder.rglob("*") if path.is_file()}
    assert others(listed_archive(write_zip(folder.parent / "a.zip", members))) == hidden


def failing(call, at: str, code: int):
    """Return `call`, which fails for paths whose last part starts with `at`."""

    def replaced(path, *rest):
        if os.path.basename(os.fspath(path).rstrip("/")).startswith(at):
            raise OSError(code, os.strerror(code), path)
        return call(path, *rest)

    return replaced


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
def test_what_cannot_be_read_costs_itself_only(folder, monkeypatch, code):
    for name in ("bad.mid", "bad.jpg", "locked/a.mid", "open/b.mid"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(MIDI)
    monkeypatch.setattr(os, "open", failing(os.open, "bad.", code))
    monkeypatch.setattr(os, "scandir", failing(os.scandir, "locked", code))
    files = listed(folder)
    assert others(files) == {
        "bad.mid": f"unreadable: {os.strerror(code)}",
        "bad.jpg": "not-music",
        "locked/": f"unreadable: the folder: {os.strerror(code)}",
        "open/b.mid": "wanted",
    }
    assert outcomes(listed(folder, match="*.mid"))["locked/"].startswith("unreadable")
    monkeypatch.setattr(os, "scandir", failing(os.scandir, "songs", code))
    with pytest.raises(SourceError, match=f"{os.strerror(code)}; make it readable"):
        listed(folder)


def test_a_folder_too_deep_for_a_path_is_rejected(folder):
    here = os.open(folder, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    ((path, reason),) = others(listed(folder)).items()
    assert path.endswith("d/")
    assert reason == f"unreadable: the folder: {os.strerror(errno.ENAMETOOLONG)}"


# --- names


ODD = [
    b"new\nline.mid",
    b"tab\t.mid",
    b"caf\xe9.mid",
    b"caf\\xe9.mid",  # the same letters as the name before has once it is shown
    b"\xff\xfe.mid",
    b"x" * 251 + b".mid",
    b"-rf.mid",
    "\u202egpj.mid".encode(),
    b"\x1b[31mred.mid",
    "日本語.MID".encode(),
    b"folder \xff/in.mid",
    b"*?[x].mid",
    b" .mid",
]


def test_files_with_odd_names_are_read(folder):
    for number, name in enumerate(ODD):
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(MIDI + bytes([number]))
    files = listed(folder)
    check_readable(files, len(ODD) + 1)
    paths = outcomes(files)
    assert {"new\nline.mid", "\\xff\\xfe.mid", "folder \\xff/in.mid", "caf\\xe9.mid", "caf\\xe9.mid (2)"} <= set(paths)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_members_with_odd_names_are_read(tmp_path, kind):
    members = {os.fsdecode(name): MIDI + bytes([number]) for number, name in enumerate(ODD)}
    if kind == "zip":  # its names are always text
        members = {name: data for name, data in members.items() if name.isprintable()}
    path = (write_zip if kind == "zip" else write_tar)(tmp_path / f"odd.{kind}", members)
    files = listed_archive(path)
    outcomes(files)
    check_readable(files, len(members))


# --- sizes and contents


def test_sizes_at_both_ends(folder):
    (folder / "empty.mid").write_bytes(b"")
    for name in ("huge.mid", "huge.jpg", "limit.mid"):
        (folder / name).touch()
        os.truncate(folder / name, 1 << 30 if name.startswith("huge") else MAX_FILE_BYTES)
    began = time.perf_counter()
    files = {file.path: file for file in listed(folder)}
    assert time.perf_counter() - began < 2
    assert others(list(files.values())) == {
        "empty.mid": "wanted",
        "huge.mid": "too-big",
        "huge.jpg": "not-music",
        "limit.mid": "wanted",
    }
    assert files["huge.mid"].bytes == 1 << 30
    assert files["empty.mid"].read() == b""


def test_a_file_that_grows_while_it_is_read_ends_somewhere(folder, monkeypatch):
    """As a file in /proc does, whose size is said to be 0."""
    monkeypatch.setattr(os, "read", lambda descriptor, size: b"x" * size)
    with pytest.raises(SourceError, match=r"nothing to read, found 1 files \(too-big: 1\)"):
        listed(folder)


def test_music_is_found_under_any_name(folder, tmp_path):
    contents = {
        "song.txt": MIDI,
        "song.mid_": MIDI,
        "README": MIDI,
        "No. 1 in C": b"RIFF\x10\x00\x00\x00RMIDdata",
        "sound.wav": b"RIFF\x10\x00\x00\x00WAVEfmt ",
        "notes.txt": b"about",
        "empty.txt": b"",
        "inner.zip": write_zip(tmp_path / "inner.zip", {"x.mid": MIDI}).read_bytes(),
        "good.mid": MIDI,
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    expected = {name: "wanted" for name in ("song.txt", "song.mid_", "README", "No. 1 in C")}
    expected |= {name: "not-music" for name in ("sound.wav", "notes.txt", "empty.txt", "inner.zip")}
    assert others(listed(folder)) == expected
    for files in (
        listed_archive(write_zip(tmp_path / "a.zip", contents)),
        listed_archive(write_tar(tmp_path / "a.tar.gz", contents, "w:gz")),
    ):
        assert others(files) == expected
        check_readable(files, 5)


# --- archives


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_members_that_would_escape_are_shown_to_a_person(tmp_path, kind):
    escapes = ["../x.mid", "/abs.mid", "C:\\x.mid", "a/../../x.mid", "..\\x.mid", "../../etc/passwd"]
    members = {"good.mid": MIDI, "./b/c.mid": MIDI, "a..b.mid": MIDI} | dict.fromkeys(escapes, MIDI)
    path = (write_zip if kind == "zip" else write_tar)(tmp_path / f"a.{kind}", members)
    files = listed_archive(path)
    found = outcomes(files)
    assert {name: found[name].partition(":")[0] for name in escapes} == dict.fromkeys(escapes, "unsafe-path")
    assert found["b/c.mid"] == found["a..b.mid"] == "wanted"
    check_readable(files, 3)
    assert os.listdir(tmp_path) == [path.name]


def test_links_and_devices_in_archives_are_listed(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (
            ("hard.mid", tarfile.LNKTYPE),
            ("soft.mid", tarfile.SYMTYPE),
            ("pipe.mid", tarfile.FIFOTYPE),
            ("device.mid", tarfile.CHRTYPE),
            ("folder.mid", tarfile.DIRTYPE),
            ("good.mid", tarfile.REGTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "caf\udce9.mid" if kind in (tarfile.LNKTYPE, tarfile.SYMTYPE) else ""
            archive.addfile(info)
    assert others(listed_archive(tmp_path / "a.tar")) == {
        "hard.mid": "not-a-file: a link to caf\\xe9.mid",
        "soft.mid": "not-a-file: a link to caf\\xe9.mid",
        "pipe.mid": "not-a-file: a device or pipe",
        "device.mid": "not-a-file: a device or pipe",
    }
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, mode in (("soft.mid", 0o120777), ("pipe.mid", 0o010644), ("folder/", 0o040755), ("good.mid", 0)):
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, mode << 16
            archive.writestr(info, b"target.mid")
    assert others(listed_archive(tmp_path / "a.zip")) == {
        "soft.mid": "not-a-file: a link",
        "pipe.mid": "not-a-file: a device or pipe",
    }


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_members_of_one_name_are_all_listed(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    names = ["x.mid", "x.mid", "x.mid (2)", "x.mid", "cover.jpg", "cover.jpg"]
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for number, name in enumerate(names):
                archive.writestr(name, MIDI + bytes([number]))
    else:
        with tarfile.open(path, "w") as archive:
            for number, name in enumerate(names):
                info = tarfile.TarInfo(name)
                info.size = len(MIDI) + 1
                archive.addfile(info, io.BytesIO(MIDI + bytes([number])))
    files = listed_archive(path, match="*.mid*")
    again = "duplicate-name: a member before it has the same name"
    assert outcomes(files) == {"x.mid": "wanted", "x.mid (2)": "wanted", "x.mid (3)": again, "x.mid (4)": again}
    assert [data[-1] for _, data in read_files(file for file in files if file.is_wanted)] == [0, 2]


def test_a_member_that_cannot_be_unpacked_costs_itself_only(tmp_path):
    names = ["good.mid", "secret.mid", "odd.mid", "crc.mid", "cut.mid", "header.mid", "secret.jpg", "huge.mid"]
    path = write_zip(tmp_path / "a.zip", {name: random.Random(name).randbytes(200) for name in names})
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")

    def patch(name: str, local: int, in_central: int, value: bytes) -> None:
        for start, offset in ((data.index(name.encode()) - 30, local), (data.rindex(name.encode()) - 46, in_central)):
            data[start + offset : start + offset + len(value)] = value

    for name in ("secret.mid", "secret.jpg"):
        patch(name, 6, 8, b"\x01\x00")  # flags: encrypted
    patch("odd.mid", 8, 10, b"\x09\x00")  # method: deflate64
    patch("crc.mid", 14, 16, b"\x00\x00\x00\x00")
    patch("huge.mid", 22, 24, struct.pack("<I", MAX_FILE_BYTES + 1))
    start = data.index(b"cut.mid")
    data[start + 7 : start + 50] = bytes([255]) * 43
    data[data.index(b"header.mid") - 30] = 0
    assert central < data.rindex(b"good.mid")
    path.write_bytes(data)
    found = others(listed_archive(path))
    assert {name: reason.partition(":")[0] for name, reason in found.items()} == {
        "secret.mid": "encrypted",
        "odd.mid": "unsupported",
        "crc.mid": "damaged",
        "cut.mid": "damaged",
        "header.mid": "damaged",
        "secret.jpg": "not-music",
        "huge.mid": "too-big",
    }
    check_readable(listed_archive(path), 1)


def packed(kind: str) -> bytes:
    members = {f"{number}.mid": random.Random(number).randbytes(3000) for number in range(40)}
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return stream.getvalue()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    pack = {"tar": bytes, "tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress}[kind]
    return pack(stream.getvalue())


KINDS = ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_that_is_cut_off_is_refused(tmp_path, kind):
    path, whole = tmp_path / f"a.{kind}", packed(kind)
    path.write_bytes(whole)
    check_readable(listed_archive(path), 40)
    for length in (0, 3, 100, 600, len(whole) // 2, len(whole) - 12_000, len(whole) - 3):
        path.write_bytes(whole[:length])
        if kind == "tar" and length == len(whole) - 3:
            continue  # within the zeros after its end
        with pytest.raises(SourceError, match=r"a\.(zip|tar).*download it again"):
            listed_archive(path)
    path.write_bytes(b"Rar!\x1a\x07\x00" + bytes(2000))
    with pytest.raises(SourceError, match="not a zip or tar file"):
        listed_archive(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_archive_ends_in_rows_or_in_one_error(tmp_path, kind):
    """Whatever the damage, what comes out is a listing that adds up or a SourceError; nothing hangs."""
    path, whole = tmp_path / f"a.{kind}", packed(kind)
    chance = random.Random(kind)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 3, 30])):
            at = chance.randrange(chance.choice([512, len(data)]))
            data[-at if kind == "zip" and chance.random() < 0.5 else at] = chance.randrange(256)
        path.write_bytes(data)
        try:
            files = listed_archive(path)
        except SourceError:
            continue
        outcomes(files)
        if kind == "zip":
            assert len(files) >= 39  # a name may have become a folder's, or a hidden one
        check_readable(files, sum(file.is_wanted for file in files))


def test_a_tar_that_breaks_off_inside_is_no_shorter_tar(tmp_path):
    path = tmp_path / "a.tar"
    data = bytearray(packed("tar"))
    data[512 * 7 * 20 : 512 * 7 * 20 + 100] = b"?" * 100
    path.write_bytes(data)
    with pytest.raises(SourceError, match=f"no header at byte {512 * 7 * 20}"):
        listed_archive(path)


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path):
    inner = write_zip(tmp_path / "inner.zip", {"x.mid": MIDI}).read_bytes()
    path = write_tar(tmp_path / "a.tar", {"good.mid": MIDI, "inner.zip": inner})
    assert outcomes(listed_archive(path)) == {"good.mid": "wanted", "inner.zip": "not-music"}


def test_an_archive_that_changed_or_went_costs_its_files_only(tmp_path, folder):
    path = write_zip(tmp_path / "a.zip", {"a.mid": MIDI, "b.mid": MIDI, "c.mid": MIDI})
    files = [*listed_archive(path), *listed(folder)]
    write_zip(path, {"a.mid": MIDI, "b.mid": MIDI + b"!"})
    reasons = {file.path: data.reason for file, data in read_files(files) if isinstance(data, ReadError)}
    assert reasons == {"b.mid": "changed", "c.mid": "unreadable"}
    path.unlink()
    assert sum(isinstance(data, ReadError) for _, data in read_files(files)) == 3


def test_a_member_listed_by_two_sources_is_read_for_both(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a.mid": MIDI})
    files = listed_archive(path) + listed_archive(path, match="a*")
    assert [file.source for file, _ in read_files(files)] == [file.source for file in files]
    assert len(list(read_files(files))) == 2


# --- bombs


@contextmanager
def within_bounds():
    """Check that what is done in it is quick and needs little memory."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    yield
    assert time.perf_counter() - began < 6  # a second where nothing else runs
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10


def zeros_tar(path: Path, size: int, opener) -> Path:
    """Write a compressed tar with one member of zeros, without ever holding it; packed streams may be chained."""
    info = tarfile.TarInfo("zeros.mid")
    info.size = size
    chunk = 32 << 20
    zeros = opener(bytes(chunk))
    with path.open("wb") as file:
        file.write(opener(info.tobuf(tarfile.GNU_FORMAT)))
        for _ in range(size // chunk):
            file.write(zeros)
        file.write(opener(bytes(1024)))
    return path


@pytest.mark.parametrize(("kind", "opener"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_a_tar_of_ten_gigabytes_of_zeros_ends_at_once(tmp_path, kind, opener):
    path = zeros_tar(tmp_path / f"bomb.tar.{kind}", 10 << 30, opener)
    assert path.stat().st_size < 16 << 20
    with (
        within_bounds(),
        pytest.raises(SourceError, match=r"bomb\.tar.*archive-bomb: its first \d+ bytes unpack to more than"),
    ):
        listed_archive(path)


def test_a_header_of_gigabytes_is_not_read(tmp_path):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 8 << 30
    path = tmp_path / "a.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT))
    os.truncate(path, 9 << 30)
    with within_bounds(), pytest.raises(SourceError, match="a header of"):
        listed_archive(path)


def test_a_tar_that_leads_backwards_ends(tmp_path):
    info = tarfile.TarInfo("x.mid")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + b"\xfc\x00"  # a size of -1024
    header[148:156] = b"%06o\0 " % (256 + sum(header[:148]) + sum(header[156:512]))
    (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(2048))
    with pytest.raises(SourceError, match=r"a\.tar"):
        listed_archive(tmp_path / "a.tar")


def test_a_tar_of_holes_is_rejected_member_by_member(tmp_path):
    info = tarfile.TarInfo("holes.mid")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"%011o\0" % (50 << 20)  # what it would unpack to
    header[148:156] = b"%06o\0 " % (256 + sum(header[:148]) + sum(header[156:512]))
    good = write_tar(tmp_path / "good.tar", {"good.mid": MIDI}).read_bytes()
    (tmp_path / "a.tar").write_bytes(bytes(header) + good)
    found = others(listed_archive(tmp_path / "a.tar"))
    assert found == {"holes.mid": "unsupported: archive member: a file with holes; pack it without --sparse"}


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_of_many_large_members_is_refused(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(archive_budget, "FREE_BYTES", 8 << 20)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", kind) as archive:
        for number in range(6):
            archive.writestr(f"{number}.mid", bytes(2 << 20))
    with pytest.raises(SourceError, match=r"a\.zip: archive-bomb: its first \d+ bytes unpack to more than"):
        listed_archive(path)


def overlapping_zip(count: int, kernel: int) -> bytes:
    """Return a zip whose members quote the next one's header and share its data: small, and of 'count' kernels.

    The construction of David Fifield, 'A better zip bomb', USENIX WOOT 2019.
    """
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    plain = bytes(kernel)
    data = pack.compress(plain) + pack.flush()
    files: list[tuple[bytes, bytes, int]] = []  # header, name, bytes that follow until the end of the kernel
    for number in reversed(range(count)):
        name = b"%03d.mid" % number
        sizes = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0x21, zlib.crc32(plain), len(data), len(plain), len(name), 0)
        header = b"PK\x03\x04" + sizes + name
        files.append((header, name, len(data)))
        quote = b"\x00" + struct.pack("<HH", len(header), len(header) ^ 0xFFFF)
        plain, data = header + plain, quote + header + data
    body, table = data[5:], b""
    for header, name, _ in files:
        offset = struct.pack("<HHHII", 0, 0, 0, 0, body.index(header))
        table += b"PK\x01\x02\x14\x00" + header[4:30] + offset + name
    return body + table + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(table), len(body), 0)


def test_members_that_share_their_bytes_are_rejected(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(overlapping_zip(100, 4 << 20))
    assert path.stat().st_size < 20_000
    with within_bounds():
        files = listed_archive(path)
    assert outcomes(files) == {
        f"{number:03d}.mid": "archive-bomb: the member shares its bytes with another" if number < 99 else "wanted"
        for number in range(100)
    }


def test_an_archive_of_too_many_members_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_budget, "MAX_MEMBERS", 5)
    members = {f"{number}.mid": MIDI for number in range(6)}
    for path in (write_zip(tmp_path / "a.zip", members), write_tar(tmp_path / "a.tar", members)):
        with pytest.raises(SourceError, match="archive-bomb: it holds more than 5 members; pack them in several"):
            listed_archive(path)


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz"])
def test_an_honest_archive_of_a_thousand_files_is_read_whole(tmp_path, kind):
    members = {f"{number}.mid": MIDI + number.to_bytes(4, "big") * 200 for number in range(1000)}
    path = tmp_path / f"a.{kind}"
    files = listed_archive(write_zip(path, members) if kind == "zip" else write_tar(path, members, f"w:{kind[4:]}"))
    check_readable(files, 1000)


def test_an_archive_read_batch_by_batch_is_opened_once(tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "music.tar.gz", "w:gz") as archive:
        for number in range(40):
            data = b"MThd" + bytes([number]) * 50
            entry = tarfile.TarInfo(f"{number * 7919 % 40:02d}.mid")  # not in the order of their names
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    files = sorted(list_files(Source(archive="music.tar.gz"), tmp_path), key=lambda file: file.position)
    opened = []
    monkeypatch.setattr(open_archive, "members", lambda path: opened.append(path) or archives.members(path))
    for start in range(0, 40, 8):
        batch = files[start : start + 8][::-1]
        assert all(data[4] == file.position for file, data in read_files(batch))
    assert len(opened) == 1
    assert files[3].read()[4] == 3  # lies behind: from the beginning again
    assert len(opened) == 2
    (tmp_path / "music.tar.gz").write_bytes(b"another file")
    with pytest.raises(ReadError, match="unreadable"):
        files[4].read()
