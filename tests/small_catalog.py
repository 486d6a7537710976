"""Entries of a catalog around networks too small to compose well, for the tests of catalog and pack."""

import numpy as np

from farm.catalog.model_file import model_files
from farm.catalog.publish import current
from farm.composing.player import architecture, weight_shapes
from farm.music.encoding import Encoding

ARCHITECTURE = architecture(embedding=8, layers=[4], head=8)


def network(seed=0):
    random = np.random.default_rng(seed)
    shapes = weight_shapes(ARCHITECTURE, Encoding())
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def entry(style="bach", seed=0, licence="CC0-1.0", fit=True, **changes):
    card = {"style": style, "licence": licence}
    return {
        "style": style,
        "title": style.title(),
        "run": "1f2e",
        "files": model_files(network(seed), ARCHITECTURE, Encoding(), card),
        "network": {"kind": "lstm", "units": [4], "weights": 399},
        "verdict": {"epoch": 12, "verdict": "healthy", "reason": "Epoch 12: good.", "fit": fit, "overruled_by": None},
        "quality": {
            "val_bits_per_note": 4.5,
            "ngram_bits_per_note": 4.8,
            "repetition": 0.1,
            "repetition_human": 0.12,
            "copied": 0.05,
            "copied_human": None,
            "longest_copy": {"notes": 9, "piece": "bwv1", "bar": 3},
            "validity": 1.0,
        },
        "precision_loss": {"int8": {"bytes": 1, "val_bits_per_note": 4.6, "delta": 0.1}},
        "compared": None,
        "corpus": {
            "pieces": 10,
            "notes": 1000,
            "hours": 0.5,
            "rejected": 1,
            "manifest_sha256": "ab" * 32,
            "sources": [{"licence": licence, "attribution": "J. S. <Bach>\n# x", "url": "https://example.org"}],
        },
        "licence": licence,
        "lineage": {
            "recipe": "compact",
            "seed": 2019,
            "code_version": "0.1",
            "library_versions": {"keras": "3"},
            "split_sha256": "cd" * 32,
        },
        "cost": {"seconds": 60.0, "attempts": 1, "device": "cpu"},
        "samples": [],
        **changes,
    }


def model_of(storage, style="bach"):
    return next(model for model in current(storage)["models"] if model["style"] == style)
