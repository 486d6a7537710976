"""Reads corpora.yaml and recipes: every problem at once, with its file and line and the nearest known key."""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Tag, ValidationError

from farm.config import BASE, NONE, Recipe, Strict
from farm.errors import ConfigError
from farm.farm_config import Farm, Style
from farm.yaml_lines import parse, place_of


def load_farm(path: Path, recipe_files: Sequence[Path] = ()) -> Farm:
    """Return the farm of a corpora.yaml with every style's recipes resolved into `recipes`.

    Parameters
    ----------
    recipe_files
        Override the recipes of every style, as `farm run --recipe` does.

    Raises
    ------
    ConfigError
        With all problems of this file and of its recipes, each with file, line and the way out.
    """
    data, lines = parse(path)
    problems = _check(Farm, data, path, lines)
    if problems:
        raise ConfigError(problems)
    farm = Farm.model_validate(data).model_copy(update={"folder": path.resolve().parent})
    shelf = _Shelf(path, lines, farm.folder)
    recipes = {name: shelf.recipes_of(name, style, farm.recipe, recipe_files) for name, style in farm.styles.items()}
    places = {name: place_of(path, lines, _base_at(name, lines)) for name in farm.styles}
    found = [*shelf.problems, *_base_problems(farm, path, lines, places)]
    if found:
        raise ConfigError(list(dict.fromkeys(found)))
    return farm.model_copy(update={"recipes": recipes, "plain_recipes": shelf.plain, "places": places})


class _Shelf:
    """The recipes of a farm, each file read as often as a style names it, and what is wrong with them."""

    def __init__(self, path: Path, lines: dict[tuple, int], folder: Path) -> None:
        self.problems: list[str] = []
        self.plain: dict[str, Recipe] = {}
        self._path, self._lines, self._folder = path, lines, folder
        self._files: dict[str, Path] = {}  # by the recipe's name
        self._read_files: dict[Path, tuple[dict[str, Any], Recipe | None]] = {}

    def recipes_of(self, name: str, style: Style, usual: Sequence[str], instead: Sequence[Path]) -> tuple[Recipe, ...]:
        """Return a style's recipes with its own keys over them; what is wrong with one is added to `problems`."""
        at = ("styles", name, "recipe") if style.recipe else ("recipe",)
        found: list[Recipe] = []
        for number, wanted in enumerate(map(str, instead) if instead else style.recipe or usual):
            place = "--recipe" if instead else place_of(self._path, self._lines, (*at, str(number)))
            file = Path(wanted) if instead and Path(wanted).is_file() else find_recipe(wanted, self._folder)
            if file is None:
                self.problems.append(f"{place}: recipe {wanted!r} does not exist; name a file like jobs/compact.yaml")
                continue
            recipe = self._read(file, name, style)
            if recipe is None:
                continue
            other = self._files.setdefault(recipe.name, file)
            if any(one.name == recipe.name for one in found) or other.resolve() != file.resolve():
                self.problems.append(
                    f"{place}: recipe {wanted!r} is named {recipe.name!r} like {other}; give each its own name"
                )
            elif found and found[0].training.heldout_share != recipe.training.heldout_share:
                self.problems.append(
                    f"{place}: recipe {wanted!r} holds out {recipe.training.heldout_share} of the notes, "
                    f"{found[0].name!r} {found[0].training.heldout_share}; they can only be compared on the same music"
                )
            found.append(recipe)
        return tuple(found)

    def _read(self, file: Path, name: str, style: Style) -> Recipe | None:
        """Return a recipe file's recipe with the style's own keys put over it; None when either is wrong."""
        data, plain = self._plain_of(file)
        own = {"training": style.training, "devices": style.devices}
        if plain is None or not any(own.values()):
            return plain
        for section, keys in own.items():
            data = _over(data, section, keys)
        overrides = {key[2:]: line for key, line in self._lines.items() if key[:2] == ("styles", name)}
        problems = _check(Recipe, data, self._path, overrides)
        self.problems += problems
        return None if problems else Recipe.model_validate(data)

    def _plain_of(self, file: Path) -> tuple[dict[str, Any], Recipe | None]:
        """Return what a recipe file says and its recipe, None when it is wrong; every file is read once."""
        if file not in self._read_files:
            data, lines = parse(file)
            problems = _check(Recipe, data, file, lines)
            for part in ("base", "from_base"):
                if not problems and data.get(part):
                    own = {("training", *at[1:]): line for at, line in lines.items() if at[:1] == (part,)}
                    found = _check(Recipe, _over(data, "training", data[part]), file, own)
                    problems = [problem.replace(": training.", f": {part}.") for problem in found]
            plain = None if problems else Recipe.model_validate(data)
            if plain is not None:
                self.plain.setdefault(plain.name, plain)
            self.problems += problems
            self._read_files[file] = data, plain
        return self._read_files[file]


def _over(data: dict[str, Any], section: str, keys: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe's data with single keys of a section put over it."""
    return {**data, section: {**(data.get(section) or {}), **keys}} if keys else data


def _base_at(style: str, lines: dict[tuple, int]) -> tuple[str, ...]:
    """Return where it is said from which base a style starts."""
    own = ("styles", style, "base")
    return own if own in lines else ("base",)


def _base_problems(farm: Farm, path: Path, lines: dict[tuple, int], places: dict[str, str]) -> list[str]:
    """Return what `base:` names that is not there: styles of the farm, base files."""
    found = []
    for number, name in enumerate(farm.base if isinstance(farm.base, list) else []):
        if name not in farm.styles:
            near = difflib.get_close_matches(name, farm.styles, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"the styles are {', '.join(farm.styles)}"
            found.append(f"{place_of(path, lines, ('base', str(number)))}: base: no style {name!r}; {hint}")
    for style, place in places.items():
        start = farm.start_of(style)
        if start not in (BASE, NONE) and not Path(start).is_file():
            found.append(f"{place}: base: {start} is no file; name one as 'farm status' prints it, or 'all' or 'none'")
    return found


def load_recipe(name: str, folder: Path) -> Recipe:
    """Return a recipe by its file as named from `folder`, or by its name; ConfigError with all its problems."""
    file = find_recipe(name, folder)
    if file is None:
        raise ConfigError([f"recipe {name!r} does not exist; name a file like jobs/compact.yaml"])
    data, lines = parse(file)
    if problems := _check(Recipe, data, file, lines):
        raise ConfigError(problems)
    return Recipe.model_validate(data)


def find_recipe(name: str, folder: Path) -> Path | None:
    """Return the recipe's file: as named from `folder`, else by its stem among those that come with the farm."""
    shipped, tree = Path(__file__).parent / "jobs", Path(__file__).parent.parent / "jobs"
    for candidate in (folder / name, shipped / f"{Path(name).stem}.yaml", tree / f"{Path(name).stem}.yaml"):
        if candidate.is_file():
            return candidate
    return None


def _check(model: type[Strict], data: Any, path: Path, lines: dict[tuple, int]) -> list[str]:
    """Return every problem of `data` as a message with its place; none when it is a valid `model`."""
    if not isinstance(data, dict):
        return [
            f"{path}:1: expected keys and values, found {type(data).__name__}; "
            "see the corpora.yaml that comes with the farm"
        ]
    try:
        model.model_validate(data)
    except ValidationError as error:
        return [_message(model, item, path, lines) for item in error.errors()]
    return []


def _message(model: type[Strict], item: Any, path: Path, lines: dict[tuple, int]) -> str:
    at = _written(model, tuple(str(part) for part in item["loc"]))
    value = item["input"]
    if item["type"] == "value_error":
        at += getattr(item["ctx"]["error"], "at", ())
    elif item["type"] == "unknown_kind":
        at, value = (*at, "kind"), value["kind"]
    place, dotted = place_of(path, lines, at), ".".join(at)
    if item["type"] == "extra_forbidden":
        known = _keys_at(model, tuple(str(part) for part in item["loc"][:-1]))
        near = difflib.get_close_matches(at[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
        return f"{place}: {dotted} is not a known key; {hint}"
    if item["type"] == "missing":
        return f"{place}: {dotted} is missing; add it"
    if item["type"] == "value_error":
        return f"{place}: {dotted or path.name}: {item['ctx']['error']}"
    found = json.dumps(value, default=str, ensure_ascii=False)
    return f"{place}: {dotted} is {found[:80]}; {_lower(item['msg'])}"


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _written(model: Any, at: tuple[str, ...]) -> tuple[str, ...]:
    """Return the place of a value as a person writes it: without the kinds that chose between classes on the way."""
    written = []
    for part in at:
        if part not in _kinds(model):
            written.append(part)
        model = _below(model, part)
    return tuple(written)


def _keys_at(model: Any, at: tuple[str, ...]) -> list[str]:
    """Return the keys that the section at `at` of a model knows; `at` as pydantic tells it."""
    for part in at:
        model = _below(model, part)
    return [name for name, field in model.model_fields.items() if field.repr]  # the others are filled in by the farm


def _below(model: Any, part: str) -> Any:
    """Return what the type of a section says of one part of it; None for what no type knows."""
    if part in (kinds := _kinds(model)):
        return kinds[part]
    if isinstance(model, type) and issubclass(model, BaseModel):
        return model.model_fields[part].annotation if part in model.model_fields else None
    return get_args(model)[-1] if get_args(model) else None


def _kinds(model: Any) -> dict[str, Any]:
    """Return the classes of a section that may be of several kinds, by kind; none for any other type."""
    tagged = [(choice, getattr(choice, "__metadata__", ())) for choice in get_args(model)]
    return {mark.tag: choice.__origin__ for choice, marks in tagged for mark in marks if isinstance(mark, Tag)}
