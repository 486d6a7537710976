"""Which network a recipe means for an encoding."""

import math
from dataclasses import replace
from typing import Any

from farm.composing.player import architecture, weight_shapes
from farm.config import Network
from farm.music.encoding import Encoding

LEAST_HEAD = 8


def network_shape(network: Network, encoding: Encoding) -> dict[str, Any]:
    """Return the description of a recipe's network, see `farm.composing.player.architecture`.

    Music with loudness has one field more to predict. There all heads are as much narrower as that one takes, so that
    a recipe's models are of one size.

    Examples
    --------
    >>> from farm.config import Network
    >>> [network_shape(Network(), Encoding(has_velocity=loud))["head"] for loud in (False, True)]
    [144, 100]
    """

    def shape(head: int) -> dict[str, Any]:
        return architecture(embedding=network.embedding, layers=network.layers, head=head)

    if not encoding.has_velocity:
        return shape(network.head)
    most = n_weights(shape(network.head), replace(encoding, has_velocity=False))
    narrower = range(network.head, LEAST_HEAD, -1)
    return shape(next((head for head in narrower if n_weights(shape(head), encoding) <= most), LEAST_HEAD))


def n_weights(shape: dict[str, Any], encoding: Encoding) -> int:
    """Return how many weights a network has."""
    return sum(math.prod(size) for size in weight_shapes(shape, encoding).values())
