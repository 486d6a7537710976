"""The catalog: what there is to ship, with size, hash, quality, lineage and licence; whole or not at all.

Conventions
-----------
Files go to `catalog/objects` under their hash and never change. Then the next catalog names them all, see
`farm.catalog.chain`. `models` holds the newest version of every style; `earlier` the approved version where a newer one
still waits for a decision.

Decisions are lines of an append-only file and belong to the bytes they were made for: a new version of a model
is a candidate again.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from farm import layout
from farm.catalog.chain import in_force, write_next
from farm.catalog.compared import WORSE
from farm.catalog.entry import epoch_of, is_fit, missing
from farm.catalog.model_file import model_name
from farm.errors import ChangedError, FarmError
from farm.storage import Storage

SCHEMA = 1
CANDIDATE, APPROVED, SHIPPED, REJECTED, RETIRED = STATUSES = ("candidate", "approved", "shipped", "rejected", "retired")
SHIPPABLE = (APPROVED, SHIPPED)
_DECIDED = (APPROVED, REJECTED, RETIRED)
CHANGED = (
    "{style}: what is there now is not what the page showed; nothing was recorded. Load the page again, listen, and "
    "decide about that"
)


def current(storage: Storage) -> dict[str, Any] | None:
    """Return the catalog in force, or None before the first; IntegrityError when it is not as it was published."""
    found = in_force(storage)
    return found.catalog if found else None


def publish(
    storage: Storage,
    entries: Sequence[Mapping[str, Any]],
    failures: Sequence[Mapping[str, Any]],
    settled: Sequence[str] = (),
) -> int:
    """Publish models and failures, and return the number of the catalog that then is in force.

    Styles that are in neither list stay as they are. An entry that lacks a field is not published: the catalog
    lists it under `failures` with the field's name, and the style's model of before stays. When nothing changes,
    no new catalog is written.

    Parameters
    ----------
    entries
        As `farm.catalog.entry` says, at most one per style.
    failures
        What stopped the other styles: style, stage, message.
    settled
        Styles that went well without a new entry: their earlier failures go.
    """

    def with_news(before: Mapping[str, Any]) -> dict[str, Any]:
        models = {model["style"]: model for model in before.get("models", [])}
        earlier = list(before.get("earlier", []))
        failed = [dict(failure) for failure in failures]
        for entry in entries:
            style = str(entry.get("style"))
            if problems := missing(entry):
                message = f"{style}: not published, {'; '.join(problems)}; this is a fault of the program, report it"
                failed.append({"style": style, "stage": "publish", "message": message})
                continue
            if style in models:
                earlier.append(models[style])
            models[style] = _published(storage, entry, models.get(style))
        told = {*settled, *(str(item.get("style")) for item in (*entries, *failures))}
        failed += [failure for failure in before.get("failures", []) if failure["style"] not in told]
        return _content(storage, models.values(), earlier, failed)

    return write_next(storage, with_news)


def known_models(storage: Storage, style: str) -> list[dict[str, Any]]:
    """Return the newest model of a style, where there is one, and then the newest that may ship if it is another."""
    catalog = current(storage) or {}
    return [model for where in ("models", "earlier") for model in catalog.get(where, []) if model["style"] == style]


def decide(
    storage: Storage,
    style: str,
    status: str,
    why: str,
    epoch: int | None = None,
    although: str = "",
    sha256: str | None = None,
) -> dict[str, Any]:
    """Record a decision about a style's newest model, write the catalog that shows it, and return the decision.

    Approving a model that its verdict calls unfit overrules the verdict; the decision says so.

    Parameters
    ----------
    status
        approved, rejected or retired (every version of the style, older ones too).
    epoch
        The epoch that is meant, where the one that is published must be certain.
    although
        Why a model is approved that is worse than the one that ships.
    sha256
        The hash of the model that was heard, where it must be that one.

    Raises
    ------
    FarmError
        Without a reason, for an unknown status, style or epoch, and for a worse model without `although`.
    ChangedError
        When another model is published than the one that was heard.
    """
    if not why.strip():
        raise FarmError(f"{style}: a decision needs its reason; add --why 'what you heard'")
    if status not in _DECIDED:
        raise FarmError(f"{style}: {status!r} is no decision; give one of {', '.join(_DECIDED)}")
    before = current(storage)
    entry = next((model for model in (before or {}).get("models", []) if model["style"] == style), None)
    if before is None or entry is None:
        known = ", ".join(model["style"] for model in (before or {}).get("models", [])) or "none yet"
        raise FarmError(f"{style}: is not in the catalog, which has {known}; run 'farm run' first")
    if sha256 is not None and sha256 != _main_hash(entry):
        raise ChangedError(CHANGED.format(style=style))
    if epoch is not None and epoch != epoch_of(entry):
        raise FarmError(f"{style}: epoch {epoch_of(entry)} is published, not {epoch}; publish epoch {epoch} first")
    stands = entry.get("compared") or {}
    if status == APPROVED and stands.get("outcome") == WORSE and not although.strip():
        way_out = f"Version {stands['version']} goes on shipping unless you say --although 'why this one all the same'"
        raise FarmError(f"{style}: {stands['why']} {way_out}")
    older = [model for model in before["earlier"] if model["style"] == style and status == RETIRED]
    for model in (*older, entry):
        decision = _decision(model, status, why.strip(), although.strip())
        storage.append_json(layout.DECISIONS, decision)
    _tell_decisions(storage)
    return decision


def record_shipped(storage: Storage, versions: Mapping[str, int], pack: str) -> None:
    """Record that models are in a pack; nothing for those that were shipped before.

    Parameters
    ----------
    versions
        The version of every style in the pack.
    pack
        Its name.
    """
    catalog = current(storage) or {}
    listed = [*catalog.get("models", []), *catalog.get("earlier", [])]
    fresh = [model for model in listed if versions.get(model["style"]) == model["version"]]
    fresh = [model for model in fresh if model["status"] == APPROVED]
    for model in fresh:
        storage.append_json(layout.DECISIONS, _decision(model, SHIPPED, f"in the pack {pack}", ""))
    if fresh:
        _tell_decisions(storage)


def _decision(model: Mapping[str, Any], status: str, why: str, although: str) -> dict[str, Any]:
    """Return the line about a decision on a model, now."""
    decision = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "style": model["style"],
        "status": status,
        "why": why,
        "epoch": epoch_of(model),
        "version": model["version"],
        "sha256": _main_hash(model),
        "overrules": status == APPROVED and not is_fit(model),
    }
    return {**decision, "although": although} if although else decision


def _tell_decisions(storage: Storage) -> None:
    """Write the catalog that shows all decisions there are."""
    write_next(storage, lambda now: _content(storage, now["models"], now["earlier"], now["failures"]))


def _published(storage: Storage, entry: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    """Write an entry's files and return it as the catalog holds it; equal bytes keep their version."""
    hashes = [hashlib.sha256(file["data"]).hexdigest() for file in entry["files"]]
    same = before is not None and [file["sha256"] for file in before["files"]] == hashes
    number = 1 if before is None else before["version"] + (0 if same else 1)
    files = []
    for file, digest in zip(entry["files"], hashes, strict=True):
        key = layout.model_object(digest, model_name(entry["style"], number))
        if not storage.exists(key) or storage.read_bytes(key) != file["data"]:
            storage.write_bytes(key, file["data"])
        told = {name: value for name, value in file.items() if name != "data"}
        files.append({**told, "path": key, "bytes": len(file["data"]), "sha256": digest})
    return {**entry, "version": number, "files": files}


def _content(
    storage: Storage,
    models: Iterable[Mapping[str, Any]],
    earlier: Sequence[Mapping[str, Any]],
    failures: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return what a catalog says of models and failures, with all decisions there are."""
    decisions = storage.read_lines(layout.DECISIONS)
    newest = {model["style"]: _decided(model, decisions) for model in models}
    waiting = {style: model for style, model in newest.items() if model["status"] not in SHIPPABLE}
    kept = {}
    for model in sorted((_decided(model, decisions) for model in earlier), key=lambda model: model["version"]):
        newer = waiting.get(model["style"])
        if newer is not None and newer["version"] > model["version"] and model["status"] in SHIPPABLE:
            kept[model["style"]] = model
    return {
        "schema": SCHEMA,
        "models": [newest[style] for style in sorted(newest)],
        "earlier": [kept[style] for style in sorted(kept)],
        "failures": sorted(failures, key=lambda failure: (failure["style"], failure["stage"])),
    }


def _decided(model: Mapping[str, Any], decisions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a model with the decisions of its style, oldest first, and the status that the last about it gives."""
    of_style = [decision for decision in decisions if decision.get("style") == model["style"]]
    own = [decision for decision in of_style if decision.get("sha256") == _main_hash(model)]
    status = own[-1]["status"] if own else CANDIDATE
    return {**model, "status": status, "decisions": of_style}


def _main_hash(model: Mapping[str, Any]) -> str:
    """Return the hash that decisions are bound to: that of the most precise model file."""
    return model["files"][0]["sha256"]
