"""The text of a table as records with their line numbers: JSON lines, or CSV with any separator.

Nothing is known here of what the columns mean, but that one of them counts epochs: by its name a header is told from
rows, also the second header of a log that was gone on with.

Conventions
-----------
Lines count from 1. Names of columns are lower case, with underscores. A record holds what its line says: text in CSV,
where a cell that is empty or says it holds nothing (`NA`, `None`, `null`) is left out; any value in JSON lines.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farm.errors import LogError

# pandas writes an unnamed first column, its index: 0, 1, 2 ... for a history
EPOCH_NAMES = ("epoch", "epochs", "", "unnamed:_0")
_SEPARATORS = ",;\t|"
_NOTHING = ("", "na", "n/a", "none", "null")
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d*,\d+([eE][-+]?\d+)?\s*")
_SHOWN_SIGNS = 40  # of a line or cell that is quoted in a message
_WANTED = "give a CSV file with a header, or one JSON object a line"


@dataclass(frozen=True)
class Table:
    """A file's records in order, each with its line, the columns there are, and what a person should be told."""

    path: Path
    records: tuple[tuple[int, dict[str, Any]], ...]
    columns: tuple[str, ...]
    notes: tuple[str, ...]


def read_table(path: Path) -> Table:
    """Return the records of a file; a last line that a killed run left unfinished is left out and told.

    So is a line of JSON that ends before its object does, wherever it is: the farm closes it off when it goes on.

    Raises
    ------
    LogError
        When there is no such file, or it is empty, no text, or neither CSV nor JSON lines; with the line.
    """
    text = read_text(path)
    return _json_lines(path, text) if text.lstrip()[0] in "{[" else _csv(path, text)


def read_text(path: Path) -> str:
    """Return the text of a file that holds some; LogError else."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise LogError(f"{path}: there is no such file; check the name") from error
    except OSError as error:
        raise LogError(f"{path}: cannot be read: {error.strerror}; name a file that can") from error
    if b"\0" in data:
        raise LogError(f"{path}: is a binary file, not text; {_WANTED}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"byte {error.start} is {data[error.start]:#04x}"
        raise LogError(f"{path}: is a binary file or no UTF-8 text ({found}); {_WANTED}") from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise LogError(f"{path}: is empty; {_WANTED}")
    return text


def shown(value: Any) -> str:
    """Return a value as a message quotes it: on one line, printable, not too long."""
    text = value if isinstance(value, str) else json.dumps(value)
    return repr(text if len(text) <= _SHOWN_SIGNS else f"{text[:_SHOWN_SIGNS]}...")


def _json_lines(path: Path, text: str) -> Table:
    records, torn = [], []
    for line, content in enumerate(text.split("\n"), 1):
        content = content.strip()
        if not content:
            continue
        try:
            value = json.loads(content)
        except ValueError as error:
            if content.startswith("{") and not content.endswith("}"):
                torn.append(line)
                continue
            raise LogError(f"{path}:{line}: is no JSON ({error}), found {shown(content)}; {_WANTED}") from error
        if not isinstance(value, dict):
            raise LogError(f"{path}:{line}: is no JSON object, found {shown(content)}; {_WANTED}")
        records.append((line, {_plain(name): cell for name, cell in value.items()}))
    if torn and not records:
        raise LogError(f"{path}:{torn[0]}: is no whole JSON object; {_WANTED}")
    notes = [f"line {line} was never finished and is left out" for line in torn]
    return Table(path, tuple(records), _columns(record for _, record in records), tuple(notes))


def _csv(path: Path, text: str) -> Table:
    header: list[str] = []
    records, columns, notes = [], [], []
    separator, last = _separator(path, text), text.rstrip().count("\n") + 1
    for line, row in _rows(path, text, separator):
        names = [_plain(cell) for cell in row]
        if not header or names[: len(header)] == header or any(name in EPOCH_NAMES[:2] for name in names):
            header = names[: max((at for at, name in enumerate(names, 1) if name), default=0)]
            columns += [name for name in header if name not in columns]
            continue
        while len(row) > len(header) and not row[-1].strip():
            row.pop()  # a separator at the end of every line
        if line == last and (len(row) < len(header) or (_is_cut(row[-1]) and not text.endswith("\n"))):
            notes.append(f"line {line} was never finished and is left out")
            continue
        if len(row) != len(header):
            raise LogError(
                f"{path}:{line}: {len(row)} cells where the header names {len(header)}; "
                "mend the line, or quote cells that hold the separator"
            )
        cells = zip(header, row, strict=True)
        records.append((line, {name: _cell(cell, separator) for name, cell in cells if _holds(cell)}))
    return Table(path, tuple(records), tuple(columns), tuple(notes))


def _rows(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line and the cells of every row that is not blank; no cells for one that ends inside a quote."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    before, lines = 0, text.rstrip().count("\n") + 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield before + 1, row
            before = reader.line_num
    except csv.Error as error:
        if before + 1 < lines or text.endswith("\n"):
            raise LogError(f"{path}:{before + 1}: is no CSV ({error}); close its quotes") from error
        yield lines, []


def _separator(path: Path, text: str) -> str:
    """Return what separates the cells of the header: what gives the most of them."""
    first = next(filter(str.strip, text.splitlines()))
    cells, separator = max(
        ((len(next(csv.reader([first], delimiter=sign))), sign) for sign in _SEPARATORS), key=lambda found: found[0]
    )
    if cells > 1:
        return separator
    words = first.split()
    if len(words) == 1 or any(_plain(word) in EPOCH_NAMES for word in words):
        return " "
    raise LogError(f"{path}: is neither CSV nor JSON lines, its first line is {shown(first)}; {_WANTED}")


def _columns(records: Iterator[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for record in records for name in record))


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _holds(cell: str) -> bool:
    return cell.strip().lower() not in _NOTHING


def _cell(cell: str, separator: str) -> str:
    """Return a cell with a point for a decimal comma, where commas do not separate."""
    return cell.replace(",", ".") if separator != "," and _DECIMAL_COMMA.fullmatch(cell) else cell.strip()


def _is_cut(cell: str) -> bool:
    """Tell whether a last cell is a number that was cut off after its sign, its point or the sign of its exponent."""
    return re.fullmatch(r"\s*[-+]?(\d*[.,]?\d*[eE][-+]?|[-+]|\d+[.,])", cell) is not None
