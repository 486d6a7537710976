"""How a model that is about to be published stands against the version of its style that ships now."""

import hashlib
from collections.abc import Mapping
from typing import Any

from farm.catalog.compared import compared
from farm.catalog.model_file import open_model
from farm.catalog.publish import SHIPPABLE, known_models
from farm.composing.player import Player
from farm.composing.scoring import bits_per_note
from farm.music.encoding import Encoding
from farm.storage import Storage
from farm.training.loading import Music


def standing(storage: Storage, entry: Mapping[str, Any], encoding: Encoding, music: Music) -> dict[str, Any] | None:
    """Return how a model stands against the version of its style that ships now; None where none does.

    The same bytes as before keep what was said of them: they may be what ships.
    """
    sha256 = hashlib.sha256(entry["files"][0]["data"]).hexdigest()
    known = known_models(storage, entry["style"])
    for model in known:
        if model["files"][0]["sha256"] == sha256:
            return model.get("compared")
    then = next((model for model in known if model["status"] in SHIPPABLE), None)
    if then is None:
        return None
    file = then["files"][0]
    old = open_model(storage.read_bytes(file["path"]), file["sha256"], name=storage.address(file["path"]))
    is_alike = old.encoding.to_json() == encoding.to_json()
    heldout = music.events("heldout") or music.events("train")
    bits = bits_per_note(Player(old.architecture, old.encoding, old.weights), encoding, heldout) if is_alike else None
    return compared(entry, then, bits)
