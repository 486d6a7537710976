"""corpora.yaml and recipes: every mistake is found at once, with its place and the way out."""

from pathlib import Path

import pytest

from farm.config import Recipe, digest
from farm.config_file import load_farm
from farm.errors import ConfigError
from farm.starting import write_farm

GOOD = """\
farm: 1
recipe: quick
styles:
  bach:
    sources:
      - music21: bach
"""


def problems_of(folder: Path, text: str) -> list[str]:
    path = folder / "corpora.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_farm(path)
    return [problem.removeprefix(f"{path}:") for problem in caught.value.problems]


def test_a_good_file_gets_its_recipe(tmp_path):
    path = tmp_path / "corpora.yaml"
    path.write_text(GOOD)
    farm = load_farm(path)
    assert farm.recipes["bach"][0].name == "quick"
    assert farm.styles["bach"].sources[0].name == "music21: bach"
    assert farm.folder == tmp_path.resolve()


def test_all_problems_at_once_with_line_and_nearest_key(tmp_path):
    text = GOOD + "        limt: 3\n        licence: CC0\nsede: 4\n"
    text = text.replace("  bach:\n", "  bach:\n    titel: x\n")
    found = problems_of(tmp_path, text)
    assert "8: styles.bach.sources.0.limt is not a known key; did you mean 'limit'?" in found
    assert "5: styles.bach.titel is not a known key; did you mean 'title'?" in found
    assert "10: sede is not a known key; did you mean 'seed'?" in found
    assert len(found) == 3


def test_an_override_of_the_recipe_is_checked_at_its_line(tmp_path):
    text = GOOD.replace("    sources:", "    training: {max_epoch: 3}\n    sources:")
    assert problems_of(tmp_path, text) == ["5: training.max_epoch is not a known key; did you mean 'max_epochs'?"]


def test_an_override_reaches_the_recipe_of_that_style_only(tmp_path):
    path = tmp_path / "corpora.yaml"
    path.write_text(GOOD + "  other:\n    training: {max_epochs: 7}\n    sources: [{folder: x}]\n")
    farm = load_farm(path)
    assert farm.recipes["other"][0].training.max_epochs == 7
    assert farm.recipes["bach"][0].training.max_epochs != 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("farm: 1\nstyles: {}\n", "2: styles is {}; dictionary should have at least 1 item after validation, not 0"),
        (GOOD.replace("farm: 1", "farm: 2"), "1: farm is 2; input should be 1"),
        (GOOD.replace("bach:\n", "Bad Name:\n"), "3: styles: 'Bad Name' cannot name a style"),
        (GOOD.replace("music21: bach", "licence: CC0"), "6: styles.bach.sources.0: a source needs exactly one of"),
        (GOOD.replace("quick", "nowhere"), "2: recipe 'nowhere' does not exist; name a file like jobs/compact.yaml"),
        (GOOD + "farm: 1\n", "7: farm is given twice; keep one"),
        (GOOD + "  - x\n", "7: not valid YAML"),
        ("[1, 2]\n", "1: expected keys and values, found list"),
    ],
)
def test_each_kind_of_mistake_names_its_line(tmp_path, text, message):
    assert any(problem.startswith(message) for problem in problems_of(tmp_path, text))


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(ConfigError, match="no such file; write one with 'farm init"):
        load_farm(tmp_path / "corpora.yaml")


def test_digest_is_of_content_and_not_of_order():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest(Recipe()) == digest(Recipe.model_validate({}))
    assert digest(Recipe()) != digest(Recipe.model_validate({"training": {"max_epochs": 3}}))


def test_the_recipes_and_the_farm_that_come_with_the_project_are_valid():
    root = Path(__file__).parent.parent
    farm = load_farm(root / "corpora.yaml")
    assert len(farm.styles) >= 4
    for recipe in sorted((root / "jobs").glob("*.yaml")):
        assert load_farm(root / "corpora.yaml", [recipe]).recipes["bach"][0].name == recipe.stem


def test_a_list_of_recipes_is_resolved_in_its_order(tmp_path):
    path = tmp_path / "corpora.yaml"
    path.write_text(GOOD.replace("recipe: quick", "recipe: [quick, compact]"))
    assert [recipe.name for recipe in load_farm(path).recipes["bach"]] == ["quick", "compact"]
    assert [recipe.name for recipe in load_farm(path, [Path("compact")]).recipes["bach"]] == ["compact"]


def test_recipes_of_one_name_or_another_split_are_told_apart_with_their_line(tmp_path):
    (tmp_path / "mine.yaml").write_text("recipe: 1\nname: quick\n")
    (tmp_path / "half.yaml").write_text("recipe: 1\nname: half\ntraining: {heldout_share: 0.5}\n")
    text = GOOD.replace("recipe: quick", "recipe:\n  - quick\n  - mine.yaml\n  - half.yaml\n  - half.yaml")
    named, split, twice = problems_of(tmp_path, text)
    assert named.startswith("4: recipe 'mine.yaml' is named 'quick' like ")
    assert split.startswith("5: recipe 'half.yaml' holds out 0.5 of the notes, 'quick' 0.1")
    assert twice.startswith("6: recipe 'half.yaml' is named 'half' like ")


def test_two_styles_share_a_base_unless_told_otherwise(tmp_path):
    path = tmp_path / "corpora.yaml"
    two = GOOD + "  other:\n    sources: [{folder: x}]\n"

    def starts(text):
        path.write_text(text)
        farm = load_farm(path)
        return farm.hears, [farm.start_of(style) for style in farm.styles]

    assert starts(GOOD) == ([], ["none"])
    assert starts(two) == starts("base: all\n" + two) == (["bach", "other"], ["base", "base"])
    assert starts("base: none\n" + two) == ([], ["none", "none"])
    assert starts("base: [bach]\n" + two) == (["bach"], ["base", "base"])
    assert starts(two.replace("  other:", "  other:\n    base: none")) == (["bach", "other"], ["base", "none"])
    (tmp_path / "x.base.safetensors").touch()
    file = str((tmp_path / "x.base.safetensors").resolve())
    assert starts("base: x.base.safetensors\n" + two) == ([], [file, file])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: 7\n" + GOOD, "1: base: found 7; it is 'all', 'none', a list of styles or a file *.base.safetensors"),
        ("base: [bahc]\n" + GOOD, "1: base: no style 'bahc'; did you mean 'bach'?"),
        ("base: no.base.safetensors\n" + GOOD, "1: base: "),
        (GOOD.replace("bach:\n", "base:\n"), "3: styles: 'base' cannot name a style"),
        (GOOD.replace("bach:\n", "bach:\n    base: all\n"), "5: styles.bach.base: found 'all'; a style's own base is"),
    ],
)
def test_a_wrong_base_names_its_line(tmp_path, text, message):
    assert any(problem.startswith(message) for problem in problems_of(tmp_path, text))


def test_the_base_sections_of_a_recipe_hold_keys_of_training(tmp_path):
    (tmp_path / "mine.yaml").write_text("recipe: 1\nname: mine\nbase:\n  max_epoch: 3\n")
    (problem,) = problems_of(tmp_path, GOOD.replace("quick", "mine.yaml"))
    assert problem.endswith("mine.yaml:4: base.max_epoch is not a known key; did you mean 'max_epochs'?")
    recipe = Recipe.model_validate({"training": {"max_epochs": 9}, "base": {"max_epochs": 3}})
    assert (recipe.training_of_base.max_epochs, recipe.training_of_base.max_minutes) == (3, 8)
    assert (recipe.training_from_base.max_epochs, recipe.training_from_base.learning_rate) == (9, 0.001)
    rates = [recipe.training_from_base_with(notes).learning_rate for notes in (100, 60_000, 240_000, 10_000_000)]
    assert rates == [0.001, 0.001, 0.002, 0.005]
    assert not Recipe.model_validate({"base": None}).has_base


def test_a_folder_called_base_becomes_a_style_of_another_name(tmp_path):
    for folder in ("base", "bach"):
        (tmp_path / "music" / folder).mkdir(parents=True)
        (tmp_path / "music" / folder / "a.mid").write_bytes(b"MThd")
    assert write_farm(tmp_path / "music", tmp_path / "corpora.yaml") == ["bach", "base-2"]
    assert load_farm(tmp_path / "corpora.yaml", [Path("compact")]).hears == ["bach", "base-2"]
