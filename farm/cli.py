"""The command line: which commands there are, and what a failure prints and exits with."""

import sys
from collections.abc import Callable
from typing import Any

import typer

from farm.commands import farming, models
from farm.errors import FarmError

app = typer.Typer(
    name="farm",
    help="Folders of music in, one small composing model per style out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_UsageError: Any = typer.BadParameter.__bases__[0]  # of every mistake on the command line; names the option
_COMMANDS: tuple[Callable[..., None], ...] = (
    *(farming.init, farming.plan, farming.run, farming.status),
    *(models.pick, models.approve, models.reject, models.compose, models.ship, models.verify),
    farming.doctor,
)
for command in _COMMANDS:
    app.command()(command)


def main() -> None:
    """Run the command line: 0 fine, 1 a style failed, 2 the user's mistake, 130/143 interrupted."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except FarmError as error:
        _fail(str(error), error.exit_code)
    except typer.Abort:
        _fail("interrupted", 130)
    except _UsageError as error:
        told = error.format_message()  # the whole help, when no command was named
        _fail(told if told.lstrip().startswith("Usage") else f"farm: {told}; see 'farm --help'", 2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)


def _fail(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(code)
