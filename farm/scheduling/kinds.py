"""What differs between kinds of networks: who trains one, how it composes, what it hears of the music, what ships."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from farm.composing.sampling import compose
from farm.config import PitchTokens, Recipe
from farm.music.encoding import decode
from farm.original import tokens
from farm.storage import Storage
from farm.training import snapshots
from farm.training.loading import Music

NOTES_PER_SECOND = {"lstm": 15_000, "pitch-tokens": 150}
"""What one core trains, roughly; for a first estimate."""


def fit_of(recipe: Recipe) -> Callable[..., dict[str, Any]]:
    """Return what trains a recipe's network; parameters and result are those of `farm.training.loop.fit`."""
    from farm.original.fit import fit as fit_original
    from farm.training.loop import fit

    return fit_original if isinstance(recipe.network, PitchTokens) else fit


def heard(recipe: Recipe, music: Music) -> Music:
    """Return the music that samples are held against: all of it, or what is left of it in pitch tokens."""
    if not isinstance(recipe.network, PitchTokens):
        return music
    return replace(music, notes={piece: tokens.heard(notes) for piece, notes in music.notes.items()})


def compose_samples(
    storage: Storage, style: str, run: str, epoch: int, *, music: Music, recipe: Recipe, seed: int
) -> tuple[list[tuple[np.ndarray, bool]], np.ndarray]:
    """Return what a snapshot composes, with whether it ended by itself, and what it falls into when greedy.

    The pieces of the farm's own networks are drawn as `farm compose` does.
    """
    samples = recipe.samples
    if isinstance(recipe.network, PitchTokens):
        from farm.original.composing import compose as compose_original

        architecture, encoding, weights = snapshots.load(storage, style, run, epoch)
        train = music.events("train")
        drawn, greedy = compose_original(architecture, weights, train, encoding, samples=samples, seed=seed)
        return [(notes, False) for notes in drawn], greedy
    player = snapshots.player(storage, style, run, epoch)
    ask = partial(compose, player, music.encoding, notes=samples.notes, metre=music.usual_metre, seed=seed)
    pieces = ask(temperature=samples.temperature, top_p=samples.top_p, count=samples.count)
    greedy = decode(ask(greedy=True)[0].events, music.encoding)
    return [(decode(piece.events, music.encoding), piece.stopped) for piece in pieces], greedy


def why_not_shipped(recipe: Recipe) -> str:
    """Return why models of a recipe are never published, "" when they are."""
    if isinstance(recipe.network, PitchTokens):
        return f"a recipe of kind pitch-tokens such as {recipe.name} is a baseline for comparison and does not ship"
    return ""
