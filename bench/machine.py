"""The machine a benchmark ran on, in the words the README quotes."""

import os
import platform
from importlib import metadata
from pathlib import Path


def describe() -> dict:
    """Return CPU, cores, memory, Python and the libraries that matter."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory_bytes / 1e9),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("tensorflow", "keras", "ray", "music21", "symusic")},
    }
