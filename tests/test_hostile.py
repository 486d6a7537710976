"""Odd, broken and malicious files: each ends in the state, and for the reason, that a person would expect."""

import io
import os
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from mutations import mutate
from small_music import tune, write_corpus, write_midi
from test_readers import END, event, melody, midi, musicxml, xml_note

from farm.config import Filters, Source
from farm.corpus.batching import make_batches
from farm.corpus.clean import clean_style
from farm.corpus.reading_batches import read_batch
from farm.corpus.sandbox import Sandbox
from farm.corpus.sources import list_files
from farm.corpus.tables import read_pieces
from farm.storage import Storage

SHARED = Path(__file__).parent.parent.parent / "shared" / "hostile"
BROKEN = {"timeout", "crash", "memory"}
"""What a reader that met its match leaves; no file of these tests may bring it so far."""

TOO_SHORT, NO_NOTES, DRUMS = ("skipped", "too-short"), ("skipped", "no-notes"), ("skipped", "drums-only")
READ, REPAIRED = ("read", ""), ("read", "repaired")
EXPECTED = {
    "README.txt": ("skipped", "not-music"),
    "an__National_Anthems_-_Mongolia.mid": REPAIRED,  # a program above 127
    "az__bach-bwv1080_the_art_of_fugue-the_art_of_the_fugue_bwv1080.mid": READ,  # 33,004 notes
    "az__beethoven-woo051_sonatina_1_2_movs.mid": READ,  # 84 minutes
    "az__unknown_artist-a_h-gershwin_1.mid": READ,  # behind a MacBinary header
    "az__unknown_artist-a_h-hand_ms_9.mid": READ,
    "az__unknown_artist-p_z-tanz_8.mid": READ,
    "az__unknown_artist-p_z-vivaldi.mid": READ,
    "jz__test-2-tracks-type-0.mid": READ,
    "jz__test-2-tracks-type-2.mid#1": TOO_SHORT,
    "jz__test-2-tracks-type-2.mid#2": TOO_SHORT,
    "jz__test-all-gm-percussion.mid": DRUMS,
    "jz__test-all-xg-sounds.mid": READ,
    "jz__test-corrupt-file-extra-byte.mid": TOO_SHORT,
    "jz__test-corrupt-file-missing-byte.mid": TOO_SHORT,
    "jz__test-illegal-message-all.mid": TOO_SHORT,
    "jz__test-illegal-message-f1-xx.mid": TOO_SHORT,
    "jz__test-illegal-message-f4.mid": TOO_SHORT,
    "jz__test-illegal-message-fe.mid": TOO_SHORT,
    "jz__test-karaoke-kar.mid": READ,
    "jz__test-multichannel-chords-0.mid": READ,
    "jz__test-non-midi-track.mid": TOO_SHORT,
    "jz__test-not-a-midi-file.mid": ("rejected", "not-music"),
    "jz__test-note-on-velocity.mid": TOO_SHORT,
    "jz__test-running-status-metaevent.mid": TOO_SHORT,
    "jz__test-running-status-sysex.mid": TOO_SHORT,
    "jz__test-silence-all-notes-off.mid": NO_NOTES,
    "jz__test-silence-end-of-track.mid": NO_NOTES,
    "jz__test-silence-text-metaevent.mid": NO_NOTES,
    "jz__test-smpte-offset.mid": TOO_SHORT,
    "jz__test-syx-7e-06-01-id-request.syx": ("skipped", "not-music"),
    "jz__test-track-length.mid": TOO_SHORT,
    "jz__test-vlq-4-byte.mid": TOO_SHORT,
    "m2__test04.mid": READ,  # 18 tracks in the header, 19 in the file
    "m2__test09.mid": READ,
    "m2__test12.mid": TOO_SHORT,
    "m2__test13.mid": TOO_SHORT,
    "m2__test16.mid": TOO_SHORT,
    "m2__test19.mid": READ,
    "m2__test21.mid": ("duplicate", "same-notes"),
    "nf__MIDIBadFormat1.mid": TOO_SHORT,
    "nf__MIDIBadHeaderChunk.mid": ("rejected", "not-music"),
    "nf__MIDIBadHeaderFormat.mid": TOO_SHORT,
    "nf__MIDIBadHeaderLength.mid": TOO_SHORT,
    "nf__MIDIBadHeaderSMTPE.mid": ("rejected", "damaged"),
    "nf__MIDIBadHeaderTracksNum.mid": TOO_SHORT,
    "nf__MIDIBadTrackHdr.mid": ("rejected", "damaged"),
    "nf__MIDIBadTrackLength.mid": TOO_SHORT,
    "nf__MIDIOkFormat1-lyrics.mid": TOO_SHORT,
    "nf__MIDIOkFormat2.mid#1": NO_NOTES,
    **{f"nf__MIDIOkFormat2.mid#{number}": TOO_SHORT for number in range(2, 10)},
    "ns__example_complex.mid": READ,
    "ns__example_event_order.mid": TOO_SHORT,
    "ns__example_is_drum.mid": READ,
    "ns__flute_scale.mxl": TOO_SHORT,
    "to__beat.mid": DRUMS,
}
# What a longer file with the same fault would be: their notes are too few to learn from, but all were found.
MENDED = {
    "jz__test-corrupt-file-missing-byte.mid": 8,
    "jz__test-illegal-message-all.mid": 8,
    "jz__test-illegal-message-f4.mid": 8,
    "jz__test-running-status-sysex.mid": 8,
    "nf__MIDIBadHeaderFormat.mid": 4,
    "nf__MIDIBadHeaderLength.mid": 4,
    "nf__MIDIBadTrackLength.mid": 4,
}


@pytest.fixture(scope="module")
def reader():
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


def read_folder(folder: Path, storage: Storage, reader: Sandbox):
    """Return the pieces table of a folder, by path, after checking that nothing and no note went missing."""
    files = list_files(Source(folder=str(folder)), Path("/"))
    for batch in make_batches(files):
        read_batch(batch, storage, reader)
    facts = clean_style("odd", files, storage, filters=Filters(), heldout_share=0.1, seed=1)
    table = read_pieces(storage, "odd").set_index("path")
    assert facts["files"] == len({path.rsplit("#", 1)[0] for path in table.index})
    assert len(table) == sum(facts[state] for state in ("read", "duplicate", "rejected", "skipped"))
    for row in table[table["notes_in_file"].notna()].itertuples():
        if row.state in ("read", "duplicate"):
            assert row.notes_in_file == row.notes + sum(drop["count"] for drop in row.notes_dropped), row.Index
    return table


def outcomes(table) -> dict[str, tuple[str, str]]:
    return {row.Index: (row.state, str(row.reason or "").split(":")[0]) for row in told(table).itertuples()}


def told(table):
    return table.assign(reason=table["reason"].astype(object).where(table["reason"].notna(), ""))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the collection of odd files is not part of the project")
def test_every_odd_file_of_the_collection_ends_as_expected(tmp_path, reader):
    table = read_folder(SHARED, Storage(tmp_path), reader)
    assert outcomes(table) == EXPECTED
    assert table.loc[list(MENDED), "format"].tolist() == ["midi-repaired"] * len(MENDED)
    assert table.loc[list(MENDED), "notes_in_file"].tolist() == list(MENDED.values())


def billion_laughs(element: str) -> bytes:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "lol">{entities}]><{element}>&a11;</{element}>'.encode()


def zip_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("score.xml", b"<score-partwise>" + b" " * (65 << 20))
    return out.getvalue()


def outside(path: Path) -> bytes:
    return (
        f'<!DOCTYPE score-partwise [<!ENTITY x SYSTEM "file://{path}">]>'
        "<score-partwise><work>&x;</work></score-partwise>"
    ).encode()


def crowd(n_tracks: int) -> bytes:
    return midi(*[melody((60, 62))] * n_tracks)


FAULTS = {
    "empty.mid": (b"", ("rejected", "not-music")),
    "page.mid": (b"<!DOCTYPE html><html>404</html>", ("rejected", "not-music")),
    "laughs.musicxml": (billion_laughs("score-partwise"), ("rejected", "damaged")),
    "laughs.mei": (billion_laughs("mei"), ("rejected", "damaged")),
    "laughs.mid": (billion_laughs("score-partwise"), ("rejected", "damaged")),  # its ending lies
    "outside.xml": (outside(Path("/etc/passwd")), ("rejected", "damaged")),
    "bomb.mxl": (zip_bomb(), ("rejected", "too-big")),
    "tracks.mid": (crowd(10_000), ("rejected", "too-big")),
    "clock.mid": (
        midi(event(0x0FFFFFFF, 0x90, 60, 1) + event(1, 0x80, 60, 0) + END, division=1),
        ("rejected", "too-long"),
    ),
    "hung.mid": (midi(b"".join(event(1, 0x90, 60, 1) for _ in range(20_000)) + END), ("skipped", "no-notes")),
    "no-clock.mid": (midi(melody(), division=0), ("rejected", "damaged")),
    "score.mid": (musicxml(f'<measure number="1">{"".join(xml_note("C", 4, 1) for _ in range(20))}</measure>'), READ),
    "tune.xml": (b"X:1\nM:4/4\nL:1/4\nK:C\n" + b"CDEF|GABc|" * 3 + b"\n", READ),
    "song.MID": (midi(melody()), READ),
    "box.rmi": (b"RIFF\0\0\0\0RMIDdata\0\0\0\0" + midi(melody((60, 64, 67) * 7)), READ),
    "talk.txt": (midi(melody((50, 51, 60) * 7)), READ),  # music under the name of a text
}


def test_faulty_and_lying_files_cost_themselves_only(tmp_path, reader):
    folder = tmp_path / "music"
    folder.mkdir()
    for name, (data, _) in FAULTS.items():
        (folder / name).write_bytes(data)
    for seed in range(4):
        write_midi(folder / f"good-{seed}.mid", tune(seed))
    table = read_folder(folder, Storage(tmp_path / "artifacts"), reader)
    assert outcomes(table) == {name: outcome for name, (_, outcome) in FAULTS.items()} | {
        f"good-{seed}.mid": READ for seed in range(4)
    }
    assert table.loc["hung.mid", "notes_in_file"] == 20_000


def test_a_million_notes_are_read_within_a_gigabyte(tmp_path):
    pitches = np.random.default_rng(1).integers(40, 80, 1_000_000, dtype=np.uint8)
    events = np.zeros((len(pitches), 8), np.uint8)
    events[:] = (0, 0x90, 0, 64, 1, 0x80, 0, 0)
    events[:, 2] = events[:, 6] = pitches
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "long.mid").write_bytes(midi(events.tobytes() + END))
    sandbox = Sandbox()
    try:
        table = read_folder(tmp_path / "music", Storage(tmp_path / "artifacts"), sandbox)
        peak = Path(f"/proc/{sandbox._child.pid}/status").read_text().split("VmHWM:")[1].split()[0]
    finally:
        sandbox.close()
    assert table["notes"].tolist() == [1_000_000]
    assert int(peak) * 1024 < 1 << 30


def test_no_mutated_file_is_lost_hangs_or_breaks_the_reader(tmp_path, reader):
    random = np.random.default_rng(2019)
    write_corpus(tmp_path / "good", {"a": 20, "b": 5})
    sources = [path.read_bytes() for path in sorted((tmp_path / "good").rglob("*.mid"))]
    folder = tmp_path / "mutated"
    folder.mkdir()
    for number in range(500):
        one, other = (sources[index] for index in random.integers(0, len(sources), 2))
        (folder / f"{number:03d}.mid").write_bytes(mutate(one, random, other))
    started = time.process_time()
    pid = reader_pid(reader)
    table = read_folder(folder, Storage(tmp_path / "artifacts"), reader)
    assert len(table) >= 500
    assert reader_pid(reader) == pid, f"the reader did not survive ({time.process_time() - started:.0f} s)"
    states = Counter(outcome for outcome in outcomes(table).values())
    assert not BROKEN & {reason for _, reason in states}
    assert all(reason for state, reason in states if state != "read")
    assert states[READ] + states["duplicate", "same-notes"] + states["duplicate", "same-bytes"] > 50
    assert states[REPAIRED] > 50


def reader_pid(reader: Sandbox) -> int:
    """Return the process that reads; started where none is."""
    list(reader.read([("nothing", b"")]))
    assert reader._child is not None
    os.kill(reader._child.pid, 0)
    return reader._child.pid
