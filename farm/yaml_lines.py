"""YAML files as data, with the line that every key stands in, so that a mistake can be told with its place.

Conventions
-----------
Where something stands is the tuple of the keys that lead there, the places in lists as text: ('styles', 'bach',
'sources', '0').
"""

from pathlib import Path
from typing import Any

import yaml

from farm.errors import ConfigError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast, where there is one


def parse(path: Path) -> tuple[Any, dict[tuple, int]]:
    """Return a YAML file's data and the line of every key in it.

    Raises
    ------
    ConfigError
        When the file cannot be read, is no YAML, or has a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError([f"{path}: no such file; write one with 'farm init FOLDER -o {path.name}'"]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read ({error}); it must be a text file in UTF-8"]) from error
    lines: dict[tuple, int] = {}
    problems: list[str] = []
    data = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            _collect_lines(node, (), lines, path, problems)
            data = loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(
            [f"{place}: not valid YAML ({getattr(error, 'problem', error)}); check indentation and colons"]
        ) from error
    if problems:
        raise ConfigError(problems)
    return data, lines


def place_of(path: Path, lines: dict[tuple, int], at: tuple) -> str:
    """Return file and line of a key, or of the nearest section around it that is there."""
    while at and not lines.get(at):
        at = at[:-1]
    return f"{path}:{lines.get(at, 1)}"


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
