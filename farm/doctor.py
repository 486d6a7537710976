"""`farm doctor`: what this machine has, and what to do about each problem. Starts nothing and changes nothing."""

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from farm import layout
from farm.errors import FarmError
from farm.storage import Storage

_LIBRARIES = (
    "tensorflow",
    "keras",
    "ray",
    "music21",
    "symusic",
    "numba",
    "numpy",
    "pandas",
    "pyarrow",
    "matplotlib",
    "safetensors",
)
_LEAST_RAY = (2, 59)
_LEAST_DISK_BYTES = 2 * 10**9
_LEAST_MEMORY_BYTES = 4 * 10**9


def examine(artifacts: Storage) -> list[dict[str, Any]]:
    """Return one finding per thing looked at: name, ok, found, and what to do when it is not ok."""
    return [
        _python(),
        *_libraries(),
        _cpu(),
        _memory(),
        _gpus(),
        _music21_corpus(),
        _disk(artifacts),
        _writable(artifacts),
    ]


def lines(findings: list[dict[str, Any]]) -> list[str]:
    """Return the findings as a person reads them."""
    text = [f"{'ok ' if one['ok'] else 'NOT'} {one['name']:<14} {one['found']}" for one in findings]
    todo = [f"  {one['name']}: {one['advice']}" for one in findings if not one["ok"]]
    return [*text, "", *(["To do:", *todo] if todo else ["Everything is there."])]


def _finding(name: str, ok: bool, found: str, advice: str = "") -> dict[str, Any]:
    return {"name": name, "ok": ok, "found": found, "advice": "" if ok else advice}


def _python() -> dict[str, Any]:
    ok = (3, 11) <= sys.version_info[:2] < (3, 14)
    return _finding("python", ok, platform.python_version(), "use Python 3.11, 3.12 or 3.13")


def _libraries() -> list[dict[str, Any]]:
    findings = []
    for name in _LIBRARIES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            findings.append(_finding(name, False, "missing", "install the farm again: make run"))
            continue
        old_ray = name == "ray" and tuple(int(part) for part in version.split(".")[:2]) < _LEAST_RAY
        findings.append(_finding(name, not old_ray, version, "pip install 'ray>=2.59': older ones listen unprotected"))
    return findings


def _cpu() -> dict[str, Any]:
    flags: set[str] = set()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines_with_flags = [line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")]
        flags = set(lines_with_flags[0].split()) if lines_with_flags else set()
    kernels = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return _finding(
        "cpu", True, f"{count} usable, {platform.machine()}, {', '.join(kernels) or 'no vector flags known'}"
    )


def _memory() -> dict[str, Any]:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    advice = "use fewer CPUs at once (farm run --cpus 1) or a recipe with smaller layers"
    return _finding("memory", total >= _LEAST_MEMORY_BYTES, f"{total / 1e9:.0f} GB", advice)


def _gpus() -> dict[str, Any]:
    devices = sorted(Path("/dev").glob("nvidia[0-9]*"))
    if not devices:
        return _finding("gpu", True, "none; training runs on the CPU")
    has_cuda = importlib.util.find_spec("nvidia") is not None
    advice = "pip install 'music-model-farm[gpu]', or training runs on the CPU"
    return _finding(
        "gpu", has_cuda, f"{len(devices)} NVIDIA, CUDA libraries {'found' if has_cuda else 'missing'}", advice
    )


def _music21_corpus() -> dict[str, Any]:
    spec = importlib.util.find_spec("music21")
    folder = Path(spec.origin).parent / "corpus" / "bach" if spec and spec.origin else None
    found = folder is not None and folder.is_dir()
    advice = "this music21 came without its corpus; install it from its wheel, or use folders of your own"
    return _finding("corpus", found, "music21's corpus is there" if found else "missing", advice)


def _disk(artifacts: Storage) -> dict[str, Any]:
    folder = Path(tempfile.gettempdir()) if artifacts.is_remote else _nearest_existing(Path(artifacts.root))
    free = shutil.disk_usage(folder).free
    return _finding(
        "disk", free >= _LEAST_DISK_BYTES, f"{free / 1e9:.0f} GB free", "free some space; a style takes about 0.3 GB"
    )


def _writable(artifacts: Storage) -> dict[str, Any]:
    if artifacts.is_remote:
        return _reachable(artifacts)
    folder = _nearest_existing(Path(artifacts.root))
    advice = f"choose another folder with --artifacts or change the owner of {folder}"
    return _finding("artifacts", os.access(folder, os.W_OK), f"{artifacts.root} can be written", advice)


def _reachable(artifacts: Storage) -> dict[str, Any]:
    try:
        artifacts.is_held(layout.LOCK)
    except FarmError as error:
        return _finding("artifacts", False, f"{artifacts.root} cannot be read", str(error))
    return _finding("artifacts", True, f"{artifacts.root} can be read")


def _nearest_existing(path: Path) -> Path:
    path = path.resolve()
    while not path.exists():
        path = path.parent
    return path
