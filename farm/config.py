"""corpora.yaml and recipes: typed, strict, every problem at once with its file and line.

Conventions
-----------
Keys carry their units. A recipe is one training job's settings; `training:` in corpora.yaml overrides single
keys of its training section for one style.
"""

import difflib
import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from farm.errors import ConfigError

STYLE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
Share = Annotated[float, Field(ge=0, le=1)]


class Strict(BaseModel):
    """A section in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Network(Strict):
    """The network of a recipe."""

    kind: Literal["lstm"] = "lstm"
    embedding: Annotated[int, Field(ge=8, le=2048)] = 128
    layers: Annotated[list[Annotated[int, Field(ge=8, le=4096)]], Field(min_length=1, max_length=8)] = [256, 256]
    head: Annotated[int, Field(ge=8, le=4096)] = 192
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2


class Training(Strict):
    """How a recipe's network is trained."""

    window_notes: Annotated[int, Field(ge=8, le=4096)] = 128
    batch_windows: Annotated[int, Field(ge=1, le=4096)] = 16
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.005
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    average_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99
    transpose_down_semitones: Annotated[int, Field(ge=0, le=24)] = 5
    transpose_up_semitones: Annotated[int, Field(ge=0, le=24)] = 6
    heldout_share: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    max_epochs: Annotated[int, Field(ge=1, le=100_000)] = 100
    max_minutes: Annotated[float, Field(gt=0)] = 60
    patience_epochs: Annotated[int, Field(ge=1)] = 8


class Selection(Strict):
    """The rule that picks the epoch; every threshold that a verdict depends on.

    A share is of the progress the loss has made (from its start to its best so far) unless said otherwise.
    """

    # the training curve
    plateau_share: Share = 0.20  # what is left to gain where the shoulder (the plateau's first epoch) begins
    flat_share: Share = 0.05  # and where it is flat
    jump_share: Share = 0.15  # lost at once: a blow-up begins
    slow_share: Share = 0.08  # lost for a twentieth of the run: a slow divergence
    recovered_share: Share = 0.05  # won back to within this: the blow-up is over
    learn_share: Share = 0.10  # of the first loss: less progress is no learning
    spike_share: Share = 0.04  # of the run: a blow-up over sooner is only a spike
    guard_share: Share = 0.02  # of the run: how far before a blow-up a snapshot is still trusted
    rough_share: Share = 0.04  # scatter from epoch to epoch of a run that never settles
    unsettled_share: Share = 0.15  # of the epochs well above their best: the same
    not_converged_share: Share = 0.05  # still gained in the last quarter
    # when the held-out loss is a signal: it fell with the training loss and stayed down
    heldout_rise_share: Share = 0.05  # risen again after its best
    heldout_gap_share: Share = 0.25  # training loss below held-out loss at the end
    heldout_margin_share: Share = 0.005  # as good as its best
    creep_share: Share = 0.01  # of the loss per ten epochs: creeping on, but levelled
    learning_share: Share = 0.04  # of the loss per ten epochs: more is still learning
    # the samples
    loop_distinct4: Share = 0.25  # fewer distinct 4-grams is looping
    loop_notes_share: Share = 0.30  # of the notes in loops, where no people's level is known
    copy_floor_notes: Annotated[int, Field(ge=1)] = 12  # a shorter match with the corpus is never called copying
    copy_ceiling_notes: Annotated[int, Field(ge=1)] = 40  # a longer one always is, however much people share
    # how sure
    replicas: Annotated[int, Field(ge=1, le=1000)] = 27


class Samples(Strict):
    """What every snapshot is asked to compose before it is judged."""

    count: Annotated[int, Field(ge=1, le=1000)] = 4
    notes: Annotated[int, Field(ge=16, le=100_000)] = 200
    temperature: Annotated[float, Field(gt=0, le=10)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95


class Recipe(Strict):
    """What one training job is."""

    recipe: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = "compact"
    network: Network = Network()
    training: Training = Training()
    selection: Selection = Selection()
    samples: Samples = Samples()


class Source(Strict):
    """Where a style's music comes from: exactly one of music21, folder, archive."""

    music21: str | None = None
    folder: str | None = None
    archive: str | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = None
    match: str = "*"
    limit: Annotated[int, Field(ge=1)] | None = None
    licence: str = "unknown"
    attribution: str = ""
    url: str = ""

    @model_validator(mode="after")
    def _one_kind(self) -> "Source":
        if sum(value is not None for value in (self.music21, self.folder, self.archive)) != 1:
            raise ValueError("a source needs exactly one of 'music21', 'folder' or 'archive'")
        return self

    @property
    def name(self) -> str:
        """The source as the pieces table names it, such as 'music21: bach'."""
        kind = next(kind for kind in ("music21", "folder", "archive") if getattr(self, kind) is not None)
        return f"{kind}: {getattr(self, kind)}"


class Style(Strict):
    """One style: its sources and what its model may be."""

    title: str = ""
    recipe: str | None = None
    training: dict[str, Any] = {}
    max_bytes: Annotated[int, Field(gt=0)] | None = None
    priority: int = 0
    sources: Annotated[list[Source], Field(min_length=1)]


class Farm(Strict):
    """corpora.yaml as resolved; `folder` is where relative paths in it start."""

    farm: Literal[1]
    artifacts: str = "artifacts"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 2019
    recipe: str = "compact"
    styles: Annotated[dict[str, Style], Field(min_length=1)]
    folder: Path = Field(default=Path(), exclude=True)
    recipes: dict[str, Recipe] = Field(default={}, exclude=True)

    @field_validator("styles")
    @classmethod
    def _names(cls, styles: dict[str, Style]) -> dict[str, Style]:
        for name in styles:
            if not STYLE_NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} cannot name a style: use small letters, digits, '-' and '_', "
                    "starting with a letter or digit"
                )
        return styles


def digest(value: Any) -> str:
    """Return a hash of plain data (pydantic models included), the same on every machine."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


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
