"""Trains one style without the rest of the farm: from its tables to a run folder, on any backend of Keras.

    KERAS_BACKEND=jax python -m farm.training bach --artifacts artifacts --recipe jobs/compact.yaml

It takes what `farm run --until read` wrote for the style and writes what its train stage would. Neither TensorFlow
nor Ray nor a reader of music need be installed. A run that was stopped goes on when it is asked for again.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from farm import layout
from farm.config_file import load_recipe
from farm.errors import FarmError
from farm.storage import Storage
from farm.training.loading import choose_encoding, split_events
from farm.training.loop import fit


def train(storage: Storage, style: str, run: str, *, recipe: str, seed: int, n_threads: int) -> dict[str, Any]:
    """Train a style by a recipe, printing a line per epoch; return what `farm.training.loop.fit` does."""
    encoding, _ = choose_encoding(storage, style)
    heard, heldout = split_events(storage, style, encoding)

    def report(facts: dict[str, Any]) -> None:
        rate = storage.read_lines(layout.metrics(style, run))[-1]["notes_per_second"]
        print(
            f"epoch {facts['epoch']} of {facts['max_epochs']}: loss {facts['loss']:.3f} nats a note, "
            f"held out {facts['val_bits_per_note']:.3f} bits, {rate:,.0f} notes/s, "
            f"at most {facts['seconds_left'] / 60:.0f} min left",
            flush=True,
        )

    return fit(
        storage,
        style,
        run,
        train=heard,
        heldout=heldout,
        encoding=encoding,
        recipe=load_recipe(recipe, Path.cwd()),
        seed=seed,
        n_threads=n_threads,
        report=report,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line asks; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m farm.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("style", help="a style that was read: notes/STYLE/ and pieces/STYLE.parquet")
    parser.add_argument("--artifacts", default="artifacts", help="the folder these are in (default: %(default)s)")
    parser.add_argument("--recipe", default="compact", help="a recipe's file or name (default: %(default)s)")
    parser.add_argument("--run", default="alone", help="name of the run's folder (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=2019, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="processor threads (default: %(default)s)")
    asked = parser.parse_args(arguments)
    storage = Storage(asked.artifacts)
    try:
        done = train(
            storage, asked.style, asked.run, recipe=asked.recipe, seed=asked.seed, n_threads=max(asked.threads, 1)
        )
    except FarmError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(
        f"{done['stopped']} after {done['epochs']} epochs and {done['seconds']:.0f} s; best held out "
        f"{done['best_val_bits_per_note']:.3f} bits a note at epoch {done['best_epoch']}; {done['device']}"
    )
    print(storage.address(layout.run_folder(asked.style, asked.run)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
