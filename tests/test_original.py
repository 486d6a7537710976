"""The original program's recipes: tokens, windows, training that can be killed, composing, judged by the same judge."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from farm import layout
from farm.config import PitchTokens, Recipe, Samples
from farm.config_file import load_farm
from farm.errors import ConfigError, FarmError, StyleError
from farm.music.encoding import NOTE, Encoding, encode
from farm.original.composing import compose
from farm.original.fit import fit, make_lesson
from farm.original.tokens import codes, detokenize, heard, normal_order, tokenize, vocabulary
from farm.original.windows import Windows, streams
from farm.scheduling.kinds import fit_of
from farm.scheduling.publishing import current_catalog
from farm.storage import Storage
from farm.training import loop, snapshots
from tests.small_music import tune, write_corpus

PLAIN = Encoding()
TINY = {
    "name": "tiny",
    "network": {"kind": "pitch-tokens", "layers": [16, 8], "dense": 8},
    "training": {"window_notes": 12, "batch_windows": 128, "learning_rate": 0.01, "max_epochs": 2},
    "samples": {"count": 2, "notes": 40},
}
RECIPE = Recipe.model_validate(TINY)
JOBS = Path(__file__).parent.parent / "jobs"


def notes_of(*chords: tuple[float, list[int]]) -> np.ndarray:
    rows = [(onset, 1.0, pitch, 64, onset % 4) for onset, pitches in chords for pitch in pitches]
    return np.array(rows, NOTE)


def pieces(first: int, count: int, bars: int = 8) -> list[np.ndarray]:
    return [encode(tune(first + number, bars), PLAIN, "4/4") for number in range(count)]


def trained(folder: Path, recipe: Recipe = RECIPE, run: str = "r") -> Storage:
    storage = Storage(folder)
    fit(storage, "s", run, train=pieces(1, 4), heldout=pieces(9, 2), encoding=PLAIN, recipe=recipe, seed=3)
    return storage


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A run of two epochs, whole; only read."""
    return trained(tmp_path_factory.mktemp("once"))


# --- tokens


def test_the_tokens_of_a_small_piece():
    piece = notes_of((0, [60]), (1, [72, 48]), (1.5, [61, 63, 66]), (3, [67, 71, 74, 79]), (5, [70]), (6, [8, 70]))
    assert tokenize(piece) == ["C4", "0", "1.3.6", "7.11.2", "B-4", "8.10"]
    assert tokenize(piece[::-1]) == tokenize(piece)
    assert tokenize(piece[:0]) == []
    late = piece.copy()
    late["onset_beat"] += 0.02  # a player's freedom
    assert tokenize(late) == tokenize(piece)


def test_what_tokens_sound_like():
    notes = detokenize(["C#5", "11.2.7", "0"])
    assert notes["pitch"].tolist() == [73, 62, 67, 71, 60]
    assert notes["onset_beat"].tolist() == [0, 0.5, 0.5, 0.5, 1]
    assert set(notes["duration_beat"]) == {0.5}
    assert len(detokenize([])) == 0
    with pytest.raises(KeyError):
        detokenize(["H4"])


def test_every_pitch_has_a_name_of_its_own_and_is_heard_again():
    piece = notes_of(*((number, [number]) for number in range(128)))
    assert len(set(tokenize(piece))) == 128
    assert detokenize(tokenize(piece))["pitch"].tolist() == list(range(128))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(st.integers(30, 90), min_size=1, max_size=6, unique=True), max_size=20))
def test_tokens_survive_what_is_lost(chords):
    tokens = tokenize(notes_of(*((onset * 0.75, chord) for onset, chord in enumerate(chords))))
    assert len(tokens) == len(chords)
    again = tokenize(detokenize(tokens))
    # a doubled note is a chord of one class, and comes back as a plain note
    assert [token for token in again if "." in token] == [token for token in tokens if "." in token]
    assert heard(detokenize(tokens)).tobytes() == detokenize(again).tobytes()


@pytest.mark.parametrize(
    ("classes", "ordered"),
    [
        ([0, 4, 7], [0, 4, 7]),
        ([0, 5, 9], [5, 9, 0]),
        ([0, 1, 5, 6, 8], [5, 6, 8, 0, 1]),
        ([0, 1, 3, 7, 8], [0, 1, 3, 7, 8]),
        ([0, 3, 6, 9], [0, 3, 6, 9]),
        ([2, 8], [2, 8]),
    ],
)
def test_normal_order_is_music21s(classes, ordered):
    from music21 import chord

    assert normal_order(classes) == ordered == list(chord.Chord(classes).normalOrder)


def test_a_code_is_the_place_in_the_alphabet():
    names = vocabulary([["G4", "0.4"], ["C#4", "C4"]])
    assert names == ["0.4", "C#4", "C4", "G4"]
    assert codes(["C4", "G4", "0.4"], names).tolist() == [2, 3, 0]


# --- windows


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=6), st.integers(2, 12))
def test_windows_stay_inside_long_pieces_and_short_ones_are_joined(lengths, length):
    named = [np.arange(1000 * number, 1000 * number + count) for number, count in enumerate(lengths)]
    windows = Windows.build(named, length)
    inputs, targets = windows.take(np.arange(len(windows)))
    assert inputs.shape == (len(windows), length)
    short = np.concatenate([np.zeros(0, int), *(piece for piece in named if len(piece) <= length)])
    foretold = {int(code) for piece in named if len(piece) > length for code in piece[length:]}
    assert set(targets.tolist()) == foretold | set(short[length:].tolist())
    long_targets = np.isin(targets, list(foretold))
    assert (inputs[long_targets] // 1000 == targets[long_targets, None] // 1000).all()
    assert len(targets) == len(set(targets.tolist()))
    assert sum(map(len, streams(named, length))) - length * len(streams(named, length)) == len(windows)


def test_held_out_ends_foretell_what_was_never_seen():
    windows = Windows.build([np.arange(200)], 10)
    begin, end = windows.parted(0.2)
    inputs, targets = begin.take(np.arange(len(begin)))
    assert max(inputs.max(), targets.max()) < end.take(np.arange(len(end)))[1].min()
    assert len(begin) == int(0.8 * len(windows))
    lesson = make_lesson("s", pieces(1, 3), [], PLAIN, 12, 0.2)
    assert lesson.is_weak
    assert not make_lesson("s", pieces(1, 3), pieces(7, 1), PLAIN, 12, 0.2).is_weak


def test_too_little_music_is_told():
    with pytest.raises(StyleError, match=r"s: \d+ tokens to train on do not give windows of 500"):
        make_lesson("s", pieces(1, 2), pieces(7, 1), PLAIN, 500, 0.1)


# --- training


def test_two_epochs_leave_what_the_contract_says(once):
    lines = once.read_lines(layout.metrics("s", "r"))
    assert [line["epoch"] for line in lines] == [1, 2]
    lesson = make_lesson("s", pieces(1, 4), pieces(9, 2), PLAIN, 12, 0.1)
    for line in lines:
        names = "loss accuracy val_loss val_accuracy bits_per_note val_bits_per_note grad_norm learning_rate seconds"
        assert all(isinstance(line[name], float) for name in [*names.split(), "notes_per_second"])
        assert line["bits_per_note"] == pytest.approx(line["loss"] / math.log(2) / lesson.notes_per_token, rel=1e-4)
    assert lines[1]["loss"] < lines[0]["loss"]
    assert lines[0]["loss"] == pytest.approx(math.log(len(lesson.vocabulary)), rel=0.2)
    about, _, weights = snapshots.load(once, "s", "r", 2)
    assert about["vocabulary"] == lesson.vocabulary
    assert weights["lstm2.kernel"].shape == (16, 32)
    assert {"norm.moving_mean", "dense.kernel", "out.bias"} <= set(weights)


def test_a_killed_run_goes_on_as_if_it_never_was(once, tmp_path):
    short = RECIPE.model_copy(update={"training": RECIPE.training.model_copy(update={"max_epochs": 1})})
    trained(tmp_path, short)
    twice = trained(tmp_path)
    a, b = (snapshots.load(storage, "s", "r", 2)[2] for storage in (once, twice))
    assert all(a[name].tobytes() == b[name].tobytes() for name in a)
    first, second = (storage.read_lines(layout.metrics("s", "r")) for storage in (once, twice))
    assert [line["val_loss"] for line in first] == [line["val_loss"] for line in second]


def test_the_parent_has_neither_adam_nor_normalisation(tmp_path):
    network = {**TINY["network"], "layers": [8, 8, 8], "optimizer": "rmsprop", "batch_norm": False}
    storage = trained(tmp_path, Recipe.model_validate({**TINY, "network": network}))
    losses = [line["loss"] for line in storage.read_lines(layout.metrics("s", "r"))]
    assert losses[1] < losses[0]
    names = set(snapshots.load(storage, "s", "r", 2)[2])
    assert "lstm3.kernel" in names
    assert not [name for name in names if name.startswith("norm")]


def test_a_loss_that_is_no_number_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "farm.original.windows.Windows.take",
        lambda windows, chosen: (np.full((len(chosen), 12), np.nan), np.zeros(len(chosen), np.int32)),
    )
    storage = Storage(tmp_path)
    with pytest.raises(StyleError, match="the loss is no number after epoch 1"):
        fit(storage, "s", "r", train=pieces(1, 4), heldout=[], encoding=PLAIN, recipe=RECIPE, seed=3)
    assert storage.read_lines(layout.metrics("s", "r"))[-1]["loss"] is None


def test_each_kind_has_its_own_fit(tmp_path):
    assert fit_of(RECIPE) is fit
    assert fit_of(Recipe()) is loop.fit
    for wrong, recipe in ((loop.fit, RECIPE), (fit, Recipe())):
        with pytest.raises(TypeError, match="this is no recipe of kind"):
            wrong(Storage(tmp_path), "s", "r", train=[], heldout=[], encoding=PLAIN, recipe=recipe, seed=1)


# --- composing


def test_composing_is_deterministic_and_pieces_differ(once):
    about, _, weights = snapshots.load(once, "s", "r", 2)

    def ask(seed: int, count: int = 3, top_p: float = 0.95) -> tuple[list[np.ndarray], np.ndarray]:
        samples = Samples(count=count, notes=40, top_p=top_p)
        return compose(about, weights, pieces(1, 4), PLAIN, samples=samples, seed=seed)

    drawn, greedy = ask(5)
    again, greedy_again = ask(5)
    assert [piece.tobytes() for piece in (*drawn, greedy)] == [piece.tobytes() for piece in (*again, greedy_again)]
    assert {len(piece) for piece in (*drawn, greedy)} == {40}
    assert len({piece.tobytes() for piece in drawn}) == 3
    assert ask(6, 1)[0][0].tobytes() == drawn[1].tobytes()
    (as_the_original,), greedy = ask(5, 1, 1e-6)
    assert as_the_original.tobytes() == greedy.tobytes(), "the recipes ask for the likeliest token this way"
    assert set(drawn[0]["duration_beat"]) == {0.5}
    names = set(about["vocabulary"])
    assert set(tokenize(drawn[0])[:-1]) <= names | set(tokenize(heard(tune(1))))


# --- in the farm


@pytest.fixture(scope="module")
def farmed(tmp_path_factory):
    """A style farmed with a baseline recipe alone."""
    from farm.scheduling.machines import Node
    from farm.scheduling.run import run_farm
    from farm.scheduling.workers import perform

    class Here:
        """Does every task at once, in this process, where Keras is loaded already."""

        name, home, nodes = "here", "", (Node("here", cpus=1),)

        def __init__(self):
            self.ended = []

        def submit(self, task):
            self.ended.append(perform(task))

        def wait(self, _):
            ended, self.ended = self.ended, []
            return ended

        def close(self):
            pass

    class Silent:
        def begin(self, *_):
            pass

        end = fail = tick = begin

    folder = tmp_path_factory.mktemp("farm")
    write_corpus(folder / "music", {"hills": 8})
    styles = {"hills": {"sources": [{"folder": "music/hills"}]}}
    (folder / "corpora.yaml").write_text(yaml.safe_dump({"farm": 1, "recipe": "tiny.yaml", "styles": styles}))
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    farm = load_farm(folder / "corpora.yaml")
    storage = Storage(folder / "artifacts")
    states, _ = run_farm(
        farm,
        storage,
        styles=["hills"],
        until="publish",
        make_executor=Here,
        listener=Silent(),
    )
    assert [state.error for state in states] == [""]
    return storage


def test_the_same_judge_judges_it(farmed):
    (verdict_file,) = Path(farmed.root).glob("runs/hills/*/verdict.json")
    verdict = json.loads(verdict_file.read_text())
    assert [row["epoch"] for row in verdict["candidates"]] == [1, 2]
    for row in verdict["candidates"]:
        assert {"loop_share", "distinct4", "lcs_mean", "greedy_distinct4", "known2", "looping", "passes"} <= set(row)
    assert verdict["human"]["windows"] > 0


def test_it_is_listed_with_its_curve_and_does_not_ship(farmed):
    from farm.scheduling.publishing import decide

    catalog = current_catalog(farmed)
    assert catalog["models"] == []
    (failure,) = catalog["failures"]
    assert (
        "a recipe of kind pitch-tokens such as tiny is a baseline for comparison and does not ship"
        in failure["message"]
    )
    page = (Path(farmed.root) / "site" / "styles" / "hills.html").read_text()
    assert "baseline for comparison" in page
    assert "held out; lower is better" in page, "the curve is there without a model"
    with pytest.raises(FarmError, match="baseline for comparison and does not ship"):
        decide(farmed, "hills", "approved", "nice", epoch=1)


def test_copies_are_found_in_what_such_a_program_hears():
    from farm.selection.originality import Index

    original = tune(4, bars=20)
    index = Index.build({"piece": heard(original)})
    copy = detokenize(tokenize(original)[20:70])
    assert index.measure(copy)["lcs"] == len(copy)
    assert Index.build({"piece": original}).measure(copy)["lcs"] < 20


# --- recipes


def problems_of(folder: Path, recipe: str, more: str = "") -> list[str]:
    path = folder / "corpora.yaml"
    path.write_text(f"farm: 1\nrecipe: r.yaml\nstyles:\n  a:\n{more}    sources: [{{folder: x}}]\n")
    (folder / "r.yaml").write_text("recipe: 1\nnetwork:\n" + recipe)
    with pytest.raises(ConfigError) as caught:
        load_farm(path)
    return [problem.rpartition("/")[2] for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        (
            "  kind: pitch-token\n",
            "r.yaml:3: network.kind is \"pitch-token\"; input should be 'lstm' or 'pitch-tokens'",
        ),
        ("  kind: pitch-tokens\n  dence: 9\n", "r.yaml:4: network.dence is not a known key; did you mean 'dense'?"),
        (
            "  kind: pitch-tokens\n  embedding: 9\n",
            "r.yaml:4: network.embedding is not a known key; known here: "
            "kind, layers, dense, dropout, batch_norm, optimizer",
        ),
        ("  kind: pitch-tokens\n  dropout: 2\n", "r.yaml:4: network.dropout is 2; input should be less than 1"),
        ("  embeding: 9\n", "r.yaml:3: network.embeding is not a known key; did you mean 'embedding'?"),
        (
            "  kind: lstm\n  layers: [9, 1]\n",
            "r.yaml:4: network.layers.1 is 1; input should be greater than or equal to 8",
        ),
        (
            "  kind: pitch-tokens\ntraining:\n  clip_norm: 2\n",
            "r.yaml:5: training.clip_norm: has no meaning for network.kind pitch-tokens; remove it",
        ),
    ],
)
def test_mistakes_in_either_kind_have_line_and_nearest_key(tmp_path, recipe, told):
    assert problems_of(tmp_path, recipe) == [told]


def test_an_override_that_switches_off_what_the_kind_never_does_is_fine(tmp_path):
    (tmp_path / "r.yaml").write_text("recipe: 1\nnetwork: {kind: pitch-tokens}\n")
    text = "farm: 1\nrecipe: r.yaml\nstyles: {a: {sources: [{folder: x}], training: {transpose_up_semitones: 0}}}\n"
    (tmp_path / "corpora.yaml").write_text(text)
    assert load_farm(tmp_path / "corpora.yaml").styles["a"].training == {"transpose_up_semitones": 0}


def test_an_override_that_means_nothing_to_the_kind_is_told_at_its_line(tmp_path):
    found = problems_of(tmp_path, "  kind: pitch-tokens\n", more="    training: {average_momentum: 0.5}\n")
    assert found == [
        "corpora.yaml:5: training.average_momentum: has no meaning for network.kind pitch-tokens; remove it"
    ]


def test_the_recipes_are_those_of_the_programs():
    names = ("article", "classical-piano-composer")
    article, parent = (Recipe.model_validate(yaml.safe_load((JOBS / f"{name}.yaml").read_text())) for name in names)
    assert (article.network.layers, article.network.dense, article.network.batch_norm) == ([512, 256], 128, True)
    assert (article.training.window_notes, article.training.batch_windows, article.training.max_epochs) == (
        100,
        50,
        500,
    )
    assert (parent.network.layers, parent.network.optimizer) == ([512, 512, 512], "rmsprop")
    assert (parent.network.dropout, parent.training.batch_windows, parent.training.max_epochs) == (0.3, 64, 200)
    assert all(isinstance(recipe.network, PitchTokens) for recipe in (article, parent))
    assert [article.name, parent.name] == list(names)
