"""Networks that nobody trained, for the page to play."""

import numpy as np

from farm.composing.player import architecture, weight_shapes

SMALL = architecture(embedding=24, layers=[48, 48, 32], head=40)
COMPACT = architecture(embedding=128, layers=[256, 256], head=144)
TITLE = 'Bach <b id="bold">& Söhne</b>'


def random_network(encoding, seed, network):
    """Weights as a training might leave them: small, and with chances that are neither even nor sure."""
    random = np.random.default_rng(seed)
    return {
        name: (random.normal(size=shape) * (2.5 if ".out." in name else 1.2) / np.sqrt(shape[0])).astype(np.float32)
        for name, shape in weight_shapes(network, encoding).items()
    }
