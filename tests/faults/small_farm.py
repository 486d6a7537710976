"""A farm of three styles small enough to be killed fifty times, and what of its artifacts has to come out the same.

Conventions
-----------
A *fault* is what `faulty_farm.py` does to a run at one of its operations: the `at`-th (from 1) that belongs to `stage`,
as `stage_of` tells it by the file that is concerned.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from farm import layout
from farm.music.encoding import NOTE
from farm.storage import Storage
from tests.small_music import write_midi

STYLES = {"hill": 5, "vale": 5, "moor": 4}
USUAL, STRANGE = (44, 30), (24, 80)  # the lowest pitch, and how many there are
STAGES = ("read", "base", "train", "judge", "publish", "ledger")
RECIPE = {
    "recipe": 1,
    "name": "tiny",
    "network": {"embedding": 8, "layers": [16], "head": 16, "dropout": 0.1},
    "training": {
        **{"window_notes": 16, "batch_windows": 4, "learning_rate": 0.01, "max_epochs": 4},
        **{"transpose_down_semitones": 0, "transpose_up_semitones": 0},
    },
    "base": {"max_epochs": 3},
    "samples": {"count": 2, "notes": 32},
    "selection": {"learn_share": 0.0},  # there is nothing to learn
}
_FAULTY = Path(__file__).with_name("faulty_farm.py")
_PATIENCE_SECONDS = 900


def make_farm(folder: Path, styles: dict[str, int] = STYLES, recipe: dict[str, Any] = RECIPE) -> Path:
    """Write music, recipe and corpora.yaml of a farm, and return its folder.

    The tunes are drawn by chance, one of each style stranger than the others, so that a network that has hardly learned
    anything is as good as people: its models are published.
    """
    for number, (style, count) in enumerate(styles.items()):
        for piece in range(count):
            write_midi(
                folder / "music" / style / f"{piece}.mid",
                drawn_tune(100 * number + piece, *(STRANGE if piece == 0 else USUAL)),
            )
    (folder / "tiny.yaml").write_text(yaml.safe_dump(recipe))
    sources = {style: {"sources": [{"folder": f"music/{style}", "licence": "CC0-1.0"}]} for style in styles}
    farm = {"farm": 1, "artifacts": "artifacts", "seed": 7, "recipe": "tiny.yaml", "base": "all", "styles": sources}
    (folder / "corpora.yaml").write_text(yaml.safe_dump(farm, sort_keys=False))
    return folder


def drawn_tune(seed: int, lowest: int, pitches: int, notes: int = 48) -> np.ndarray:
    """Return notes of any of so many pitches and of many lengths, each drawn by itself."""
    draw = np.random.default_rng(seed)
    tune, lengths = lowest + draw.integers(0, pitches, notes), draw.integers(1, 25, notes) / 4
    onsets = np.concatenate(([0.0], np.cumsum(lengths)[:-1]))
    return np.array(
        [(at, long, pitch, 64, at % 4) for at, long, pitch in zip(onsets, lengths, tune, strict=True)], NOTE
    )


def start(folder: Path, *arguments: str, fault: dict[str, Any] | None = None, executor: str = "local"):
    """Start a run in a session of its own and return the process; what it says goes to `run.log`."""
    command = [sys.executable, str(_FAULTY), "run", "corpora.yaml", "--executor", executor, "--cpus", "2", *arguments]
    with (folder / "run.log").open("wb") as log:
        environment = {**os.environ, "FARM_FAULT": json.dumps(fault or {})}
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment, start_new_session=True)


def run(folder: Path, *arguments: str, fault: dict[str, Any] | None = None, executor: str = "local") -> int:
    """Run to the end, of all its processes, and return the exit code; negative when a signal ended it."""
    process = start(folder, *arguments, fault=fault, executor=executor)
    code = process.wait(_PATIENCE_SECONDS)
    assert is_gone(process.pid), f"{len(session_of(process.pid))} processes are left"
    return code


def said(folder: Path) -> str:
    """Return what the last run printed."""
    return (folder / "run.log").read_text(errors="replace")


def kill_session(leader: int) -> None:
    """Kill a run and all that it started, its Ray too, at once and for good; nobody gets to tidy up."""
    for process in session_of(leader):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


def session_of(leader: int) -> list[int]:
    """Return the processes of a session and of its Ray that are still there; those only waited for are not.

    Ray's are known by the folder that is named after the process that started it.
    """
    shown = subprocess.run(["ps", "-eo", "pid=,sid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 3) for line in shown.splitlines()]
    return [
        int(pid)
        for pid, session, state, *arguments in rows
        if state[0] != "Z" and (session == str(leader) or f"farm-ray-{leader}-" in "".join(arguments))
    ]


def is_gone(leader: int, seconds: float = 10) -> bool:
    """Tell whether every process of a session ends within so long."""
    until = time.monotonic() + seconds
    while session_of(leader):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def stage_of(path: str) -> str:
    """Return the stage that a file under artifacts/ belongs to."""
    key = path.rpartition("/artifacts/")[2]
    if key.startswith(("cache/readings", "notes", "pieces")):
        return "read"
    if key.startswith(("runs/base", "bases", "cache/bases", "cache/events")):
        return "base"
    if key.startswith(("catalog", "site", "cache/heat", "cache/excerpts")) or key.endswith((".mid", "work.json")):
        return "publish"
    if key.startswith("ledger/receipts/"):
        return key.split("/")[2]
    if key.startswith("ledger"):
        return "ledger"
    return "judge" if "/samples" in key or key.endswith(("verdict.json", "baseline.json")) else "train"


def outcome(folder: Path) -> dict[str, Any]:
    """Return all that a run has to come to, whatever happened on the way: every byte but times and attempts.

    Left out are seconds, rates and devices, the costs in the catalog and its number, the caches, and the pages of the
    report, which tell all of these; of the metrics the last line of each epoch counts.
    """
    root = folder / "artifacts"
    storage, files = Storage(root), {}
    for room in ("notes", "pieces", "bases", "runs", "catalog/objects"):
        for path in sorted((root / room).rglob("*")):
            if path.is_file() and path.name not in (
                "metrics.jsonl",
                "verdict.json",
                "recipe.json",
                "resume.safetensors",
            ):
                files[str(path.relative_to(root))] = hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted((root / "runs").rglob("*.json*")):
        key = str(path.relative_to(root))
        if path.name == "metrics.jsonl":
            lines = {line["epoch"]: line for line in storage.read_lines(key)}
            files[key] = [without(lines[epoch], "seconds", "notes_per_second") for epoch in sorted(lines)]
        elif path.name in ("verdict.json", "recipe.json"):
            files[key] = without(storage.read_json(key), "device")
    receipts = {}
    for path in sorted((root / "ledger/receipts").rglob("*.json")):
        key = str(path.relative_to(root))
        receipt = storage.read_json(key)
        receipts[key] = {**receipt["inputs"], **without(receipt["result"], "seconds", "device")}
    current = storage.read_bytes(layout.CURRENT).split()[0].decode()
    catalog = without(storage.read_json(f"catalog/{current}"), "number", "previous_sha256", "generated_by")
    catalog["models"] = [without(model, "cost") for model in catalog["models"]]
    for model in catalog["models"]:
        model["recipes"] = [without(row, "seconds") for row in model["recipes"]]
    pages = sorted(str(path.relative_to(root)) for path in (root / "site").rglob("*"))
    return {"files": files, "receipts": receipts, "catalog": catalog, "pages": pages}


def differences(ours: Any, theirs: Any, at: str = "") -> list[str]:
    """Return where two outcomes differ, a line each."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = []
        for name in sorted({*ours, *theirs}):
            found += differences(ours.get(name, "nothing"), theirs.get(name, "nothing"), f"{at}/{name}")
        return found
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [told for number, (one, other) in pairs for told in differences(one, other, f"{at}[{number}]")]
    return [] if ours == theirs else [f"{at}: {str(ours)[:120]} instead of {str(theirs)[:120]}"]


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}
