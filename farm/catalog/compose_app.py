"""The program in a pack: composes from a model file with Python and numpy alone, as `farm compose` does.

Conventions
-----------
It takes the options of `farm compose`, but for a primer, whose reading takes the farm. Equal models, options and
numpy give the same bytes as `farm compose`.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from farm.catalog.composer import DEFAULT_NOTES, Wish, compose_files, numbered, told
from farm.catalog.model_file import open_model
from farm.errors import FarmError


def main(arguments: Sequence[str] | None = None) -> int:
    """Compose, print a line about each piece, and return the exit code: 0, or 2 with a message."""
    asked = _parser().parse_args(arguments)
    names = ("notes", "bars", "seed", "temperature", "top_p", "transpose", "tempo", "pieces", "soundfont")
    wish = Wish(*(getattr(asked, name) for name in names))
    try:
        composed = compose_files(open_model(asked.model, asked.sha256), asked.output.name, wish)
        for path, (data, facts) in zip(numbered(asked.output, wish.pieces), composed, strict=True):
            _write(path, data)
            print(told(str(path), facts))
    except FarmError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="compose.pyz",
        description="Compose a new piece from a model file.",
        epilog="Example: python compose.pyz bach-1.farm.safetensors -o bach.mid --notes 300 --seed 7",
    )
    parser.add_argument("model", type=Path, help="a *.farm.safetensors file")
    parser.add_argument("-o", "--output", type=Path, default=Path("out.mid"), help="a .mid, .musicxml or .wav file")
    parser.add_argument("--notes", type=int, help=f"at most so many notes ({DEFAULT_NOTES} when neither is given)")
    parser.add_argument("--bars", type=int, help="at most so many bars")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same piece")
    parser.add_argument("--temperature", type=float, default=1.0, help="below 1 is safer, above 1 is wilder")
    parser.add_argument("--top-p", type=float, default=0.95, help="share of the likeliest choices to draw from")
    parser.add_argument("--transpose", type=int, default=0, help="semitones up, or down when negative")
    parser.add_argument("--tempo", type=float, help="beats a minute; the corpus's own when not given")
    parser.add_argument("--pieces", type=int, default=1, help="so many at once, numbered, of one seed after the other")
    parser.add_argument("--soundfont", type=Path, help="what a .wav file sounds like; needs FluidSynth")
    parser.add_argument("--sha256", help="the hash that SHA256SUMS gives for the model file, checked first")
    return parser


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise FarmError(f"{path}: {error.strerror or error}; give another file with -o") from error
