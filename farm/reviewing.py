"""What the farm does for `farm review`: status, decisions, pieces and other trainings, as plain data for its pages.

Conventions
-----------
A decision goes the way of the shell's. It needs the artifacts for itself, which a farm that runs has for as long as it
does: then nothing is recorded and the answer says who has them. Asking for another training only appends to the ledger,
so that works meanwhile. What `status` costs bounds how often it is worked out, however many pages ask.
"""

import base64
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from threading import Lock
from typing import Any

from farm import layout
from farm.catalog.composer import Wish, composed
from farm.catalog.entry import epoch_of, is_fit, unknown_licences
from farm.catalog.model_file import Model, open_model
from farm.catalog.publish import SHIPPABLE
from farm.composing.render import playable, render, transposed
from farm.errors import BusyError, FarmError
from farm.progress import describe
from farm.scheduling import ledger, retraining
from farm.scheduling.publishing import current_catalog, decide
from farm.status import status_facts
from farm.storage import Storage
from farm.training import snapshots
from farm.website.pianoroll import bar_beats
from farm.website.review.wishes import Decision, Piece, Retraining
from farm.website.wording import page_name, seen_of
from farm.website.write import write_site

_STATUS_SECONDS = 1.0
_STATUS_SHARE = 0.1  # of the time, at most, in which status is worked out
_MODELS_KEPT = 4
_UNSEEN = "Nothing was recorded; what you wrote is still here."


class Reviewing:
    """The desk of `farm.website.review`, for one farm's artifacts.

    Parameters
    ----------
    storage
        The artifacts, which this process does not own.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._models: dict[str, Model] = {}
        self._lock = Lock()
        self._status: dict[str, Any] = {}
        self._stale_at = 0.0  # monotonic seconds

    def status(self) -> dict[str, Any]:
        """Return whether a farm runs, and how far every style and base is."""
        with self._lock:
            began = time.monotonic()
            if began >= self._stale_at:
                self._status = self._status_now()
                took = time.monotonic() - began
                self._stale_at = began + took + max(_STATUS_SECONDS, took / _STATUS_SHARE)
            return self._status

    def _status_now(self) -> dict[str, Any]:
        facts = status_facts(self._storage, with_rejects=False)
        titles = {model["style"]: model["title"] for model in self._entries()}
        styles = [
            {
                **{name: style[name] for name in ("style", "done", "failed", "epoch", "verdict", "model")},
                "title": titles.get(style["style"], style["style"]),
                "page": page_name(style["style"]) if style["style"] in titles or style["failed"] else None,
                "at_work": [_at_work(one) for one in style["at_work"]],
                "retraining": retraining.waiting(self._storage, style["style"]),
            }
            for style in facts["styles"]
        ]
        bases = [
            {"recipe": base["recipe"], "failed": base["failed"], "at_work": [_at_work(base["at_work"])]}
            for base in facts["bases"]
            if base["at_work"] or base["failed"]
        ]
        return {"artifacts": facts["artifacts"], "running": facts["running"], "styles": styles, "bases": bases}

    def style(self, name: str) -> dict[str, Any]:
        """Return what can be decided about a style, and the styles that can compose."""
        catalog = current_catalog(self._storage) or {}
        entries = catalog.get("models", [])
        known: dict[str, Any] = {"style": name, "retraining": retraining.waiting(self._storage, name)}
        known["composers"] = [{"style": one["style"], "title": one["title"]} for one in entries]
        known["seen"] = seen_of(catalog, name)
        entry = next((one for one in entries if one["style"] == name), None)
        known["model"] = None if entry is None else _decidable(entry)
        known["ships"] = any(
            one["style"] == name and one["status"] in SHIPPABLE for one in (*entries, *catalog.get("earlier", []))
        )
        known["title"] = name if entry is None else entry["title"]
        known["epochs"] = self._epochs(name, entry, known["seen"])
        return known

    def _epochs(self, style: str, entry: Mapping[str, Any] | None, seen: str) -> list[dict[str, Any]]:
        """Return the epochs that could ship, of a style without a model those of the run that was heard."""
        run = seen if entry is None else entry["run"]
        if not run or not self._storage.exists(layout.verdict(style, run)):
            return []
        verdict = self._storage.read_json(layout.verdict(style, run))
        faults = {row["epoch"]: _fault(row) for row in verdict["candidates"]}
        nearest = verdict.get("nearest")
        found = []
        for epoch in snapshots.epochs(self._storage, style, run):
            marks = [
                "the pick" if epoch == verdict["epoch"] else "",
                "published" if entry is not None and epoch == epoch_of(entry) else "",
                "comes nearest" if epoch == nearest else "",
                faults.get(epoch, ""),
            ]
            found.append({"epoch": epoch, "marks": [mark for mark in marks if mark]})
        return found

    def decide(self, decision: Decision) -> dict[str, Any]:
        """Record a decision as the shell does, if the model still is the one that was seen."""
        try:
            told = decide(
                self._storage,
                decision.style,
                decision.status,
                decision.why,
                epoch=decision.epoch,
                although=decision.although,
                seen=decision.seen,
            )
        except BusyError as error:
            who = str(error).partition(";")[0]
            raise BusyError(f"No other epoch can be published while a farm is at work. {_UNSEEN} ({who})") from error
        return {"told": told}

    def retrain(self, wish: Retraining) -> dict[str, Any]:
        """Ask the next run for another training, or take that back."""
        if wish.take_back:
            recipe = retraining.take_back(self._storage, wish.style)
            told = f"{wish.style}: no other training by recipe {recipe} after all"
        else:
            recipe = retraining.ask(self._storage, wish.style, wish.why)
            told = f"{wish.style}: the next 'farm run' trains it anew by recipe {recipe}, with another seed"
        self._stale_at = 0.0
        return {"told": told}

    def compose(self, piece: Piece) -> dict[str, Any]:
        """Return a piece of a published model: its notes as they sound, what it is, and its MIDI file."""
        entry = next((one for one in self._entries() if one["style"] == piece.style), None)
        if entry is None:
            raise FarmError(f"{piece.style}: has no model to compose with")
        wish = Wish(**piece.model_dump(exclude={"style"}))
        notes, sheet, facts = next(composed(self._model(entry), wish))
        sounding = playable(transposed(notes, piece.transpose))
        columns = ("onset_beat", "duration_beat", "pitch", "velocity")
        return {
            "title": entry["title"],
            "version": entry["version"],
            "notes": list(zip(*(sounding[name].tolist() for name in columns), strict=True)),
            "bar_beats": bar_beats(sheet.time_signature),
            "tempo_bpm": sheet.tempo_bpm,
            "facts": facts,
            "name": f"{piece.style}-{piece.seed}.mid",
            "midi": base64.b64encode(render(notes, "piece.mid", sheet, transpose=piece.transpose)).decode(),
        }

    def _model(self, entry: Mapping[str, Any]) -> Model:
        """Return a published model, opened once; its hash is checked against the catalog."""
        file = entry["files"][0]
        if file["sha256"] not in self._models:
            while len(self._models) >= _MODELS_KEPT:
                self._models.pop(next(iter(self._models)))
            name = self._storage.address(file["path"])
            self._models[file["sha256"]] = open_model(self._storage.read_bytes(file["path"]), file["sha256"], name=name)
        return self._models[file["sha256"]]

    def _entries(self) -> list[dict[str, Any]]:
        return list((current_catalog(self._storage) or {}).get("models", []))


def bring_up_to_date(storage: Storage) -> None:
    """Write the report where there is a catalog but none of it; not while a farm runs, which does so itself."""
    if current_catalog(storage) is not None and not storage.exists(f"{layout.SITE}/index.html"):
        with suppress(BusyError), ledger.owned(storage):
            write_site(storage)


def roll_script() -> str:
    """Return the script that draws a pack's pieces, and draws those of the review too."""
    return files("farm.catalog").joinpath("page", "face", "roll.js").read_text(encoding="utf-8")


def _decidable(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a person should know of a model who decides about it."""
    return {
        **{name: entry[name] for name in ("version", "status")},
        "epoch": epoch_of(entry),
        "fit": is_fit(entry),
        "verdict": entry["verdict"].get("verdict"),
        "unlicensed": unknown_licences(entry),
        "compared": entry.get("compared"),
    }


def _at_work(facts: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what is at work in words, and how much of it is done where that is known."""
    if facts is None:
        return {"says": "", "done": None, "total": None}
    done, total = facts.get("epoch", facts.get("done")), facts.get("max_epochs", facts.get("total"))
    return {"says": describe(facts), "done": done, "total": total}


def _fault(row: Mapping[str, Any]) -> str:
    """Return in a word what speaks against the snapshot of an epoch, '' for nothing."""
    if row.get("looping"):
        return "loops"
    if row.get("copying") or row.get("one_copies"):
        return "copies"
    return "" if row.get("safe", True) else "unsafe"
