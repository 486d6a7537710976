"""corpora.yaml and recipes: every mistake is found at once, with its place and the way out."""

from pathlib import Path

import pytest

from farm.config import Recipe, digest
from farm.config_file import load_farm
from farm.errors import ConfigError

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
    assert farm.recipes["bach"].name == "quick"
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
    assert farm.recipes["other"].training.max_epochs == 7
    assert farm.recipes["bach"].training.max_epochs != 7


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
        assert load_farm(root / "corpora.yaml", recipe).recipes["bach"].name == recipe.stem
