"""What several commands share: their options, and how facts are printed."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from farm.storage import Storage

ConfigFile = Annotated[Path, typer.Argument(help="The farm's description.")]
Artifacts = Annotated[
    str | None, typer.Option("--artifacts", help="Folder for everything that a run makes, or s3://bucket/prefix.")
]
Json = Annotated[bool, typer.Option("--json", help="Print facts as JSON, for programs.")]
Why = Annotated[str, typer.Option("--why", help="The reason; it is kept with the decision.")]


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, default=str))


def names(text: str) -> list[str]:
    """Return the names in a list with commas between.

    Examples
    --------
    >>> names("bach, chopin,")
    ['bach', 'chopin']
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def storage_at(artifacts: str | None) -> Storage:
    """Return the storage of an artifacts folder or address; ./artifacts when none is named."""
    return Storage(artifacts or "artifacts")
