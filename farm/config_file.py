"""Reads corpora.yaml and recipes: every problem at once, with its file and line and the nearest known key."""

import difflib
import json
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from farm.config import Farm, Recipe, Strict, Style
from farm.errors import ConfigError


def load_farm(path: Path, recipe_file: Path | None = None) -> Farm:
    """Return the farm of a corpora.yaml with every style's recipe resolved into `recipes`.

    Parameters
    ----------
    recipe_file
        Overrides the recipe of every style, as `farm run --recipe` does.

    Raises
    ------
    ConfigError
        With all problems of this file and of its recipes, each with file, line and the way out.
    """
    data, lines = _parse(path)
    problems = _check(Farm, data, path, lines)
    if problems:
        raise ConfigError(problems)
    farm = Farm.model_validate(data)
    folder = path.resolve().parent
    recipes: dict[str, Recipe] = {}
    for name, style in farm.styles.items():
        wanted = str(recipe_file or style.recipe or farm.recipe)
        chosen = recipe_file if recipe_file and recipe_file.is_file() else find_recipe(wanted, folder)
        if chosen is None:
            place = _place(path, lines, ("styles", name, "recipe") if style.recipe else ("recipe",))
            found = [f"{place}: recipe {wanted!r} does not exist; name a file like jobs/compact.yaml"]
        else:
            overrides = {key[2:]: line for key, line in lines.items() if key[:2] == ("styles", name)}
            recipe, found = _resolve(chosen, style, path, overrides)
            recipes |= {name: recipe} if recipe else {}
        problems += [problem for problem in found if problem not in problems]
    if problems:
        raise ConfigError(problems)
    return farm.model_copy(update={"folder": folder, "recipes": recipes})


def load_recipe(name: str, folder: Path) -> Recipe:
    """Return a recipe by its file as named from `folder`, or by its name; ConfigError with all its problems."""
    file = find_recipe(name, folder)
    if file is None:
        raise ConfigError([f"recipe {name!r} does not exist; name a file like jobs/compact.yaml"])
    data, lines = _parse(file)
    if problems := _check(Recipe, data, file, lines):
        raise ConfigError(problems)
    return Recipe.model_validate(data)


def _resolve(file: Path, style: Style, path: Path, overrides: dict[tuple, int]) -> tuple[Recipe | None, list[str]]:
    """Return a recipe file's recipe with the style's own keys put over it, or what is wrong with either."""
    data, lines = _parse(file)
    found = _check(Recipe, data, file, lines)
    if not found and style.training:
        data = {**data, "training": {**(data.get("training") or {}), **style.training}}
        found = _check(Recipe, data, path, overrides)
    return (None, found) if found else (Recipe.model_validate(data), [])


def find_recipe(name: str, folder: Path) -> Path | None:
    """Return the recipe's file: as named from `folder`, else by its stem among those that come with the farm."""
    shipped, tree = Path(__file__).parent / "jobs", Path(__file__).parent.parent / "jobs"
    for candidate in (folder / name, shipped / f"{Path(name).stem}.yaml", tree / f"{Path(name).stem}.yaml"):
        if candidate.is_file():
            return candidate
    return None


def _parse(path: Path) -> tuple[Any, dict[tuple, int]]:
    """Return a YAML file's data and the line of every key in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError([f"{path}: no such file; write one with 'farm init FOLDER -o {path.name}'"]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read ({error}); it must be a text file in UTF-8"]) from error
    problems: list[str] = []
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(
            [f"{place}: not valid YAML ({getattr(error, 'problem', error)}); check indentation and colons"]
        ) from error
    lines: dict[tuple, int] = {}
    if node is not None:
        _collect_lines(node, (), lines, path, problems)
    if problems:
        raise ConfigError(problems)
    return data, lines


def _collect_lines(node: yaml.Node, at: tuple, lines: dict[tuple, int], path: Path, problems: list[str]) -> None:
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = (*at, key.value)
            if name in lines:
                problems.append(f"{path}:{key.start_mark.line + 1}: {'.'.join(name)} is given twice; keep one")
            lines[name] = key.start_mark.line + 1
            _collect_lines(value, name, lines, path, problems)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect_lines(value, (*at, str(index)), lines, path, problems)


def _place(path: Path, lines: dict[tuple, int], at: tuple) -> str:
    while at and not lines.get(at):
        at = at[:-1]
    return f"{path}:{lines.get(at, 1)}"


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
    at = tuple(str(part) for part in item["loc"])
    place, dotted = _place(path, lines, at), ".".join(at)
    if item["type"] == "extra_forbidden":
        known = _keys_at(model, at[:-1])
        near = difflib.get_close_matches(at[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
        return f"{place}: {dotted} is not a known key; {hint}"
    if item["type"] == "missing":
        return f"{place}: {dotted} is missing; add it"
    if item["type"] == "value_error":
        return f"{place}: {dotted or path.name}: {item['ctx']['error']}"
    found = json.dumps(item["input"], default=str, ensure_ascii=False)
    return f"{place}: {dotted} is {found[:80]}; {_lower(item['msg'])}"


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _keys_at(model: Any, at: tuple[str, ...]) -> list[str]:
    """Return the keys that the section at `at` of a model knows."""
    for part in at:
        is_section = isinstance(model, type) and issubclass(model, BaseModel)
        model = model.model_fields[part].annotation if is_section else get_args(model)[-1]
    hidden = {"folder", "recipes"} if model is Farm else set()
    return [name for name in model.model_fields if name not in hidden]
