"""The page of one style: slider, scores, the copied passage, the picture of training, what would ship; bad input."""

import io
import json
import math
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from small_music import tune
from small_site import HOSTILE, Reader, add_pieces, add_run, check_inert, model, page, publish, words, write_pieces

from farm import layout
from farm.composing import page_sound
from farm.corpus import tables
from farm.storage import Storage
from farm.website import copied, engraving, evidence, growing, made_from, score_svg, shipping, slider
from farm.website.evidence import History, Sample, Take
from farm.website.figures import Marks
from farm.website.write import write_site

STYLE = "airs"
MOST_PAGE_BYTES = 2_000_000


def rows_of(notes: np.ndarray) -> list[list[float]]:
    return [list(row)[:4] for row in notes.tolist()]


def sampled(storage: Storage, run: str, epoch: int, samples: list[np.ndarray], **changed: Any) -> None:
    """Write what a snapshot composed."""
    take = {"epoch": epoch, "seed": 7, "tempo_bpm": 96, "metre": "4/4", **changed}
    take["samples"] = [{"notes": rows_of(notes), "stopped": True} for notes in samples]
    storage.write_json(layout.sample_notes(STYLE, run, epoch), take)


def farmed(tmp_path: Path, entry: dict[str, Any] | None = None, **failure: Any) -> tuple[Storage, str]:
    """Return a farm of one published style, or of one that failed, with its page."""
    storage = Storage(tmp_path)
    publish(storage, 1, [] if failure else [entry or model(storage, STYLE, "r1")], [failure] if failure else [])
    write_site(storage)
    return storage, page(storage, f"styles/{STYLE}.html")


def stops_of(html: str) -> list[dict[str, Any]]:
    found = re.search(r'id="snapshots">(.*?)</script>', html)
    assert found
    return json.loads(found[1])["stops"]


# The slider.


def test_the_slider_holds_every_snapshot_note_for_note(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    add_run(storage, STYLE, "r1", 30, [2, 8, 14, 22, 30])
    _, html = farmed(tmp_path)
    stops = stops_of(html)
    assert [stop["epoch"] for stop in stops] == [2, 8, 14, 22, 30]
    assert [stop["said"] for stop in stops][2:4] == ["just before the pick, good", "the pick, good"]
    assert [stop["tone"] for stop in stops][:2] == ["warn", "good"]
    take = storage.read_json(layout.sample_notes(STYLE, "r1", 8))
    for sample, told in zip(take["samples"], stops[1]["samples"], strict=True):
        onsets = np.cumsum(told["t"]) / slider.TICKS
        lengths = np.array(told["d"]) / slider.TICKS
        np.testing.assert_allclose(onsets, [note[0] for note in sample["notes"]], atol=2e-3)
        np.testing.assert_allclose(lengths, [note[1] for note in sample["notes"]], atol=2e-3)
        assert told["p"] == [note[2] for note in sample["notes"]]
        assert told["v"] == [note[3] for note in sample["notes"]]
    assert "Just before epoch 14" in words(html)
    assert f"farm approve {STYLE} --epoch 22" in words(html)


@pytest.mark.parametrize(
    ("n_epochs", "pick"), [(48, 10), (49, 1), (500, 250), (500, 500), (500, None), (500, 777)]
)  # fmt: skip
def test_of_many_snapshots_a_page_takes_some_and_always_those_that_matter(n_epochs: int, pick: int | None) -> None:
    epochs = list(range(1, n_epochs + 1))
    beside = [] if pick is None else [pick - 1, pick + 1]
    chosen = made_from.stops(epochs, pick, beside)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(n_epochs, made_from.MOST_STOPS)
    assert {1, n_epochs} <= set(chosen)
    assert {epoch for epoch in (pick, *beside) if epoch in epochs} <= set(chosen)


def test_a_page_of_500_epochs_and_long_samples_stays_small_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    add_run(storage, STYLE, "r1", 500, [])
    long = tune(1, bars=170)
    for epoch in range(10, 501, 10):
        sampled(storage, "r1", epoch, [long] * 2)
    verdict = model(storage, STYLE, "r1")["verdict"] | {"epoch": 250}
    _, html = farmed(tmp_path, model(storage, STYLE, "r1", verdict=verdict))
    assert len(html.encode()) < MOST_PAGE_BYTES
    told = words(html)
    assert "48 of 50 snapshots, 1 sample of 2, the first 833 notes of each" in told
    gif = storage.read_bytes(f"{layout.SITE}/pictures/{STYLE}.gif")
    assert len(gif) <= growing.MOST_BYTES


def test_one_snapshot_has_no_slider_and_one_epoch_no_picture_of_training(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    add_run(storage, STYLE, "r1", 1, [1])
    _, html = farmed(tmp_path)
    assert 'id="snapshots"' not in html
    assert 'class="growing"' not in html
    assert storage.list(f"{layout.SITE}/pictures") == []
    assert "Nearest to the pick epoch 1" in words(html)


def test_without_a_verdict_on_snapshots_the_slider_still_plays_them() -> None:
    sample = Sample(((0.0, 1.0, 60, 64), (1.5, 0.5, 64, 64)), True)
    takes = tuple(Take(epoch, None, None, None, 100.0, "", (sample,) * (epoch // 2)) for epoch in (1, 2, 4))
    found = evidence.Evidence(STYLE, {}, {}, snapshots=takes, sampled_epochs=(1, 2, 4))
    view = slider.slider(found)
    assert view is not None
    assert (view.n_stops, view.n_samples, view.word) == (2, 2, "not picked")
    told = json.loads(view.data)["stops"][1]["samples"][0]
    assert (told["t"], told["d"], told["v"]) == ([0, 720], [480, 240], 64)
    assert not view.can_overrule


def test_the_epoch_that_a_person_chose_is_the_pick_and_the_page_says_why(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    add_run(storage, STYLE, "r1", 30, [2, 8, 14, 22, 30])
    verdict = model(storage, STYLE, "r1")["verdict"]
    verdict |= {"overruled_by": {"epoch": 8, "why": "more <lively>", "picked": 22}}
    _, html = farmed(tmp_path, model(storage, STYLE, "r1", verdict=verdict))
    told = words(html)
    assert "A person chose epoch 8 over the rule’s epoch 22: more <lively>" in told
    assert "The pick epoch 8" in told
    assert "Picked epoch 8" in told


def test_a_style_that_failed_shows_the_verdict_of_its_run(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    add_run(storage, STYLE, "r9", 30, [2, 8, 14, 22], breaks=12)
    verdict = {"epoch": None, "verdict": "blew-up", "blow_up": {"epoch": 12}, "reason": "It broke.", "metrics": [1]}
    verdict["nearest"] = 8
    storage.write_json(layout.verdict(STYLE, "r9"), verdict)
    _, html = farmed(tmp_path, style=STYLE, stage="judge", message="nothing fit to use", run="r9")
    told = words(html)
    assert "nothing fit to use" in told
    assert "breaks at 12" in told
    assert "blew up" in told
    assert [stop["epoch"] for stop in stops_of(html)] == [2, 8, 14, 22]
    assert "Nearest to fit epoch 8" in told
    assert [stop["said"] for stop in stops_of(html)][1:3] == ["nearest to being fit", "not picked"]
    assert "--epoch" not in told, "there is nothing to overrule"


def test_a_spoilt_snapshot_is_told_once_and_the_others_stay(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    add_run(storage, STYLE, "r1", 30, [2, 8, 14, 22, 30])
    storage.write_text(layout.sample_notes(STYLE, "r1", 8), "{torn")
    storage.write_text(layout.sample_notes(STYLE, "r1", 2), "{torn")
    _, html = farmed(tmp_path)
    assert [stop["epoch"] for stop in stops_of(html)] == [14, 22, 30]
    told = words(html)
    assert told.count("samples of epoch 8: cannot be shown") == told.count("samples of epoch 2: cannot be shown") == 1


def test_a_page_is_made_again_when_a_snapshot_in_the_middle_changes_or_a_picture_is_gone(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    add_run(storage, STYLE, "r1", 30, [2, 8, 14, 22, 30])
    farmed(tmp_path)
    assert write_site(storage)["written"] == []
    sampled(storage, "r1", 14, [tune(5)] * 4)
    named = {f"{layout.SITE}/styles/{STYLE}.html", f"{layout.SITE}/pictures/{STYLE}.gif"}
    assert named <= set(write_site(storage)["written"])
    storage.delete(f"{layout.SITE}/pictures/{STYLE}.gif")
    assert write_site(storage)["written"] == [f"{layout.SITE}/pictures/{STYLE}.gif"]
    publish(storage, 2, [], [])
    gone = write_site(storage)["removed"]
    assert f"{layout.SITE}/pictures/{STYLE}.gif" in gone
    assert f"{layout.SITE}/pictures/{STYLE}.png" in gone


# What was copied.


def with_source(storage: Storage, notes: np.ndarray, piece: str = "p1", style: str = STYLE, **changed: Any) -> None:
    """Write a corpus of one piece."""
    rows = []
    for onset, duration, pitch, velocity, beat in notes.tolist():
        row = dict.fromkeys(tables.NOTES.names, 0) | {"style": style, "piece_id": piece, "is_drum": False}
        row |= {"onset_beat": onset, "duration_beat": duration, "pitch": pitch, "velocity": velocity}
        rows.append(row | {"beat_in_bar": beat, "onset_second": onset / 2, "duration_second": duration / 2})
    table = pa.Table.from_pylist(rows, tables.NOTES)
    storage.write_bytes(layout.notes_part(style, "aa"), tables.to_bytes(table))
    row = dict.fromkeys(tables.PIECES.names) | {
        "style": style,
        "piece_id": piece,
        "state": "read",
        "path": "a/tune.abc",
    }
    write_pieces(storage, style, [row | {"notes": len(notes), "tempo_bpm": 90.0, "time_base": "beats"} | changed])


def quoting(storage: Storage, view: str, up: int, source_style: str = STYLE) -> dict[str, Any]:
    """Write a piece and samples whose second one quotes it; return the model, judged as the farm judges."""
    from farm.selection.measures import snapshot_measures
    from farm.selection.originality import Index

    source, own = tune(3, bars=16), tune(77, bars=12)
    quote = source[(source["onset_beat"] >= 20) & (source["onset_beat"] < 36)].copy()
    quote["pitch"] += up
    quote["onset_beat"] += 4
    sample = np.concatenate([own[own["onset_beat"] < 24], quote, own[own["onset_beat"] >= 40]])
    sample.sort(order=["onset_beat", "pitch"])
    with_source(storage, source, style=source_style)
    add_run(storage, STYLE, "r1", 30, [8, 22, 30])
    sampled(storage, "r1", 22, [own, sample])
    name = "p1" if source_style == STYLE else f"{source_style}/p1"
    measures = snapshot_measures([own, sample], None, Index.build({name: source}))
    told = measures["longest"] if view in ("merged", "top") else measures["quotes"][1][view][0] | {"sample": 1}
    quality = model(storage, STYLE, "r1")["quality"] | {"longest_copy": {**told, "view": view, "bar": told["bar"] + 1}}
    return model(storage, STYLE, "r1", quality=quality)


@pytest.mark.parametrize(("view", "up"), [("merged", 0), ("merged", -5), ("tune", 3), ("bass", 0), ("coarse", 2)])
def test_the_copied_passage_is_found_again_note_for_note(tmp_path: Path, view: str, up: int) -> None:
    storage = Storage(tmp_path)
    entry = quoting(storage, view, up)
    found = copied.read_copy(storage, evidence.read_evidence(storage, STYLE, entry, {}))
    assert found is not None
    assert found.semitones == up
    ours, theirs = (
        sorted(
            (note[0] - side.starts_beat, note[2], note[1]) for at, note in enumerate(side.notes) if at in side.marked
        )
        for side in (found.sample, found.source)
    )
    assert [(onset, pitch - up, length) for onset, pitch, length in ours] == theirs
    assert len(ours) == entry["quality"]["longest_copy"]["notes"]
    assert (found.sample.bar, found.source.bar) == (7, 6)
    assert (found.sample.bpm, found.source.bpm) == (96, 90)


def test_both_sides_can_be_seen_and_heard_and_name_the_piece(tmp_path: Path) -> None:
    _, html = farmed(tmp_path, quoting(Storage(tmp_path), "merged", -5))
    told = words(html)
    assert "as in a/tune.abc, bar 6." in told
    assert "a/tune.abc from bar 6, 90 beats a minute, 5 semitones higher" in told
    sounds = json.loads(re.search(r'id="samples">(.*?)</script>', html)[1])  # type: ignore[index]
    ours, theirs = (sound["notes"] for sound in sounds[-2:])
    assert {(round(on, 3), pitch + 5) for on, _, pitch, _ in ours} & {
        (round(on, 3), pitch) for on, _, pitch, _ in theirs
    }
    assert html.count('class="notes copied"') == 2


def test_a_piece_of_another_style_that_the_base_heard_is_found(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    add_pieces(storage, STYLE, {"read": 2})
    _, html = farmed(tmp_path, quoting(storage, "merged", 0, source_style="reels"))
    assert "a/tune.abc (reels)" in words(html)
    assert 'class="notes copied"' in html


@pytest.mark.parametrize(
    "changed",
    [{"piece": "p9"}, {"piece": "the base"}, {"sample": 9}, {"sample_start": 90000}, {"notes": 300}, {"view": "x"},
     {"piece": "../../x"}, {"sample": None}, {"view": None}, {"bar": "nine"}],
)  # fmt: skip
def test_a_copy_that_is_not_at_hand_is_told_without_being_shown(tmp_path: Path, changed: dict[str, Any]) -> None:
    entry = quoting(Storage(tmp_path), "merged", 0)
    entry["quality"]["longest_copy"] |= changed
    _, html = farmed(tmp_path, entry)
    if "bar" not in changed:
        assert 'class="notes copied"' not in html
        assert "so it cannot be shown here" in words(html)
    assert "The longest passage that also stands in the corpus" in words(html)


@pytest.mark.parametrize("longest", [None, {"notes": 0, "piece": None}])
def test_where_nothing_was_copied_the_page_says_so(tmp_path: Path, longest: Any) -> None:
    storage = Storage(tmp_path)
    add_run(storage, STYLE, "r1", 30, [8, 22, 30])
    quality = model(storage, STYLE, "r1")["quality"] | {"longest_copy": longest}
    _, html = farmed(tmp_path, model(storage, STYLE, "r1", quality=quality))
    assert "Nothing was copied" in words(html)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"notes": 5}, "no more than that"),
        ({"notes": 10}, "what people do, too"),
        ({"notes": 14}, "more than people do"),
        ({"notes": 30, "excess": 0.8}, "0.80 times"),
    ],
)
def test_a_copy_is_held_against_people(tmp_path: Path, told: dict[str, Any], said: str) -> None:
    storage = Storage(tmp_path)
    entry = model(storage, STYLE, "r1")
    entry["verdict"]["human"] = {"lcs": [8.0, 12.0], "cov12": [0.02, 0.1]}
    entry["quality"]["longest_copy"] = told
    _, html = farmed(tmp_path, entry)
    assert said in words(html)
    assert "Notes in copied passages of 12 notes on 2.2 % 2.0 % 10 %" in words(html)


# Scores.

NOTES = tuple((float(on), 1.0, pitch, 80) for on, pitch in ((0, 60), (1, 64), (2, 67), (3, 72), (4, 65), (6, 61)))


def test_a_score_is_small_inert_and_the_same_each_time() -> None:
    score = engraving.engrave(NOTES, "3/4", "score-1", "Score of sample 1")
    assert score is not None
    assert score == engraving.engrave(NOTES, "3/4", "score-1", "Score of sample 1")
    root = ElementTree.fromstring(score.svg)
    assert root.get("aria-label") == "Score of sample 1, bars 1 to 3"
    assert {node.tag for node in root.iter()} <= {"svg", "defs", "path", "use", "ellipse", "polygon", "line", "text"}
    ids = [node.get("id") for node in root.iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    assert all(name.startswith("score-1-") for name in ids if name)
    assert {node.get("href") for node in root.iter("use")} == {f"#{name}" for name in ids}
    assert len(score.svg) < 30_000


def test_the_places_of_a_score_follow_its_onsets() -> None:
    score = engraving.engrave(NOTES, "4/4", "score-1", "Score")
    assert score is not None
    assert [place[0] for place in score.places] == [0, 1, 2, 3, 4, 6]
    assert [place[1] for place in score.places] == sorted(place[1] for place in score.places)
    top, bottom, right = score.systems[0]
    assert top < bottom
    assert score.places[-1][1] < right


def test_a_score_of_many_notes_is_cut_to_what_a_page_can_hold() -> None:
    dense = [
        (bar * 4 + place / 4, 0.25, pitch, 80) for bar in range(40) for place in range(16) for pitch in (50, 60, 70)
    ]
    score = engraving.engrave(sorted(dense), "4/4", "s", "Score")
    assert score is not None
    assert "bars 1 to 8" in score.svg
    assert len(score.svg) <= engraving.MOST_BYTES


@pytest.mark.parametrize(("notes", "metre"), [((), "4/4"), (NOTES, "free"), (((900.0, 1.0, 60, 80),), "4/4")])
def test_what_cannot_be_engraved_has_no_score(notes: Any, metre: str) -> None:
    assert engraving.engrave(notes, metre, "s", "Score") is None


@pytest.mark.parametrize("metre", ["", "other", "7/8", "4/2", "0/0", HOSTILE])
def test_any_metre_is_engraved(metre: str) -> None:
    score = engraving.engrave(NOTES, metre, "s", "Score")
    assert score is not None
    check_inert(score.svg)


def test_nothing_unknown_gets_from_an_engraver_into_the_page() -> None:
    wicked = """<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script><style>@import "x"</style><defs>
      <g id="E0A4-x"><path d="M0 0&quot; onload=&quot;alert(2)"/></g><g id="E0A3-x"><path d="M0 0z"/></g></defs>
      <svg class="definition-scale" viewBox="0 0 100 100"><g class="page-margin" transform="translate(5, 5)">
      <g class="system"><path d="M0 0 L9 0" stroke-width="1&quot; onload=&quot;x"/><image href="http://x"/>
      <a href="javascript:x"><text x="1" y="2">4 &lt;b&gt;</text></a><text x="1" y="2">12</text>
      <g class="note" id="n1"><use href="#E0A4-x" transform="translate(3, 4) scale(1, 1)" onclick="x"/>
      <use href="http://x" transform="translate(3, 4) scale(1, 1)"/><use href="#E0A3-x"
      transform="translate(8, 4) scale(1, 1)"/></g><ellipse cx="1" cy="2" rx="3" ry="4" style="x" onload="x"/>
      <foreignObject><p>x</p></foreignObject></g></g></svg></svg>"""
    score = score_svg.for_page(wicked, [(0.0, ["n1"]), (1.0, ["n2"])], "s", HOSTILE)
    assert score is not None
    for word in ("alert", "script", "import", "http", "onload", "onclick", "style=", "foreign", "image", "<b>"):
        assert word not in score.svg.replace("&lt;script&gt;alert(1)&lt;/script&gt;", "").replace(
            "onerror=alert", ""
        ), word
    assert ">12</text>" in score.svg
    assert score.places == ((0.0, 3 + 110, 0),)


@pytest.mark.parametrize("svg", ["<svg/>", '<svg><svg class="definition-scale"/></svg>'])
def test_a_drawing_of_another_shape_is_no_score(svg: str) -> None:
    assert score_svg.for_page(svg, [], "s", "Score") is None


def test_music_without_bars_says_why_it_has_no_score(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    add_run(storage, STYLE, "r1", 30, [8, 22])
    sampled(storage, "r1", 22, [tune(1)], metre="free")
    _, html = farmed(tmp_path)
    assert "told by the clock and has no bars" in words(html)
    assert 'class="score"' not in html


# The picture of training.


def history(n_epochs: int) -> History:
    bits = tuple(4 + 4 * math.exp(-epoch / 9) for epoch in range(n_epochs))
    return History(tuple(range(1, n_epochs + 1)), bits, bits, (0.5,) * n_epochs, (0.5,) * n_epochs)


def takes(epochs: range, n_notes: int = 200) -> list[Take]:
    random = np.random.default_rng(1)
    return [
        Take(epoch, 1, 1.0, 1.0, 100.0, "4/4", (Sample(tuple(sorted(
            (float(on), 0.5, int(random.integers(30, 90)), 80) for on in range(n_notes))), True),))
        for epoch in epochs
    ]  # fmt: skip


def test_the_picture_grows_frame_by_frame_and_is_the_same_each_time() -> None:
    found = growing.growing(history(60), takes(range(2, 61, 2)), Marks(pick=30, blow_up=50, ngram_bits=5.0))
    assert found == growing.growing(history(60), takes(range(2, 61, 2)), Marks(pick=30, blow_up=50, ngram_bits=5.0))
    assert found is not None
    moving, still = Image.open(io.BytesIO(found.gif)), Image.open(io.BytesIO(found.png))
    assert getattr(moving, "n_frames", 1) == 30
    assert moving.size == still.size == (growing.WIDTH, growing.HEIGHT)
    moving.seek(29)
    assert moving.convert("RGB").tobytes() == still.convert("RGB").tobytes()
    assert "epoch 2 to 60" in found.said


@pytest.mark.parametrize("n_epochs", [2, 500])
def test_without_samples_the_curve_grows_alone(n_epochs: int) -> None:
    found = growing.growing(history(n_epochs), [], Marks())
    assert found is not None
    assert getattr(Image.open(io.BytesIO(found.gif)), "n_frames", 1) <= growing.MOST_FRAMES
    assert found.said.endswith("the curve")


def test_a_picture_never_grows_too_large() -> None:
    found = growing.growing(history(40), takes(range(1, 41), 600), Marks())
    assert found is not None
    assert len(found.gif) <= growing.MOST_BYTES


def test_a_curve_without_numbers_gives_a_picture_all_the_same() -> None:
    nothing = (math.nan,) * 3
    assert growing.growing(History((1, 2, 3), nothing, nothing, nothing, nothing), [], Marks(pick=2)) is not None
    assert growing.growing(History(), [], Marks()) is None


# What would ship.


def test_sizes_and_losses_stand_by_precision() -> None:
    table = shipping.precision_table(
        {
            "int8": {"bytes": 1_300_000, "val_bits_per_note": 3.2601, "delta": 0.00101},
            "float32": {"bytes": 5_200_000, "val_bits_per_note": 3.2591, "delta": 0.0},
            "odd": None,
        }
    )
    assert table is not None
    assert table.rows == (
        ("float32", "5.20 MB", "3.259", "nothing"),
        ("int8", "1.30 MB", "3.260", "0.001 bits"),
        ("odd", "—", "—", "—"),
    )
    assert shipping.precision_table(None) is None


@pytest.mark.parametrize(
    ("compared", "said", "tone"),
    [
        (
            {
                "version": 3,
                "comparable": True,
                "val_bits_per_note": 3.0,
                "delta_bits": 0.12,
                "outcome": "worse",
                "why": "",
            },
            "Against version 3, which shipped: worse, 0.120 bits a note more than its 3.000.",
            "bad",
        ),
        (
            {"version": 3, "comparable": True, "val_bits_per_note": 3.0, "delta_bits": -0.5, "outcome": "better"},
            "Against version 3, which shipped: better, 0.500 bits a note fewer than its 3.000.",
            "good",
        ),
        (
            {"version": 3, "comparable": False, "delta_bits": 1.0, "outcome": "not comparable", "why": "Other music."},
            "Other music.",
            "warn",
        ),
        (
            {"version": 3, "comparable": False, "delta_bits": None, "outcome": "not comparable"},
            "Against version 3, which shipped: not comparable.",
            "warn",
        ),
        ({"outcome": "same", "delta_bits": 0.0}, "Against the version that shipped: same, the same bits a note.", ""),
        (None, "No version of this style has shipped, so there is nothing to compare with.", None),
    ],
)
def test_a_model_is_held_against_what_shipped(compared: Any, said: str, tone: str | None) -> None:
    assert shipping.against_shipped({"compared": compared}) == said
    mark = shipping.outcome_mark({"compared": compared})
    assert (mark.tone if mark else None) == tone


def test_a_catalog_that_compares_nothing_says_nothing() -> None:
    assert shipping.against_shipped({}) == ""
    assert shipping.outcome_mark({"compared": 7}) is None


# Bad input.


def test_hostile_words_are_inert_wherever_the_page_shows_them(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    entry = quoting(storage, "merged", 0)
    with_source(storage, tune(3, bars=16), path=HOSTILE, source=HOSTILE, key=HOSTILE, time_signature=HOSTILE)
    sampled(storage, "r1", 8, [tune(1)], metre=HOSTILE)
    entry["compared"] = {"version": HOSTILE, "outcome": HOSTILE, "why": HOSTILE}
    entry["precision_loss"] = {HOSTILE: {"bytes": 7}}
    entry["verdict"]["overruled_by"] = {"epoch": 22, "why": HOSTILE, "picked": HOSTILE}
    entry["verdict"]["neighbours"] = [HOSTILE]
    entry["verdict"]["human"] = {"lcs": [HOSTILE, HOSTILE]}
    _, html = farmed(tmp_path, entry)
    check_inert(html)
    assert 'class="notes copied"' in html, "the passage is shown all the same"
    scripts = [attributes for tag, attributes in Reader(html).tags if tag == "script"]
    assert all(one.get("src") or one.get("type") == "application/json" for one in scripts)
    assert len(scripts) == 3 + 2
    for data in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html):
        assert not re.search("[\u202e\u0007\u200b]", json.dumps(json.loads(data), ensure_ascii=False))
    assert words(html).count("<script>alert(1)</script>") >= 7


def test_ten_thousand_rejects_are_counted_and_some_are_named(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    add_run(storage, STYLE, "r1", 3, [1, 2])
    add_pieces(storage, STYLE, {"read": 1, "rejected": 10_000})
    _, html = farmed(tmp_path)
    assert len(html.encode()) < 400_000
    assert "10,000 rejected" in words(html)
    assert "farm status --rejects" in words(html)


def test_a_page_plays_the_same_piano_as_the_page_of_a_pack(tmp_path: Path) -> None:
    from farm.catalog.page import compose_page

    storage, _ = farmed(tmp_path)
    player, pack = page(storage, "static/player.js"), compose_page([], []).decode()
    for name in (page_sound.TONE, page_sound.PIANO):
        assert page_sound.script(name) in player
        assert page_sound.script(name) in pack
