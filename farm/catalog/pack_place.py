"""The folder that a pack is written to: what may be replaced there, and how it is, whole or not at all.

Conventions
-----------
A pack is built beside its place and moved there when it is whole. It takes the place of nothing but an old pack, and of
none that is newer or of another farm.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farm.catalog.pack_order import edition, why_not_after
from farm.catalog.pack_trust import edition_of
from farm.catalog.signing import SIGNATURE
from farm.catalog.verify import CATALOG, SUMS, listed_files
from farm.errors import FarmError
from farm.storage import Storage


def check_place(out: Path) -> None:
    """Raise FarmError unless replacing `out` destroys nothing but an old pack."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise FarmError(f"{out}: is no folder; give the name of a new one")
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / SUMS).is_file() or not (out / CATALOG).is_file():
        raise FarmError(f"{out}: is not empty and no pack; give the name of a new folder")
    own = {*listed_files(out), SUMS, SIGNATURE}
    foreign = sorted(str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir())
    foreign = [name for name in foreign if name not in own]
    if foreign:
        raise FarmError(
            f"{out}: holds {', '.join(foreign[:5])}, no part of the pack; move it away or give a new folder"
        )


def check_order(out: Path, catalog: Mapping[str, Any]) -> None:
    """Raise FarmError when a pack at `out` is newer than the one to be shipped, or of another farm."""
    if not (out / CATALOG).exists():
        return
    if reason := why_not_after(edition(catalog, CATALOG), edition_of(out)):
        raise FarmError(
            f"{out}: the new pack {reason}, so it cannot take the place of the old one there; give another folder"
        )


def replace(out: Path, files: Mapping[str, bytes]) -> None:
    """Write the pack beside its place, then move it there; the old one goes when the new one stands."""
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{out.name[:80]}.", suffix=".tmp", dir=out.parent))
    try:
        place = Storage(fresh)
        for name, data in files.items():
            place.write_bytes(name, data)
        fresh.chmod(0o755)
        if out.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{out.name[:80]}.", suffix=".old", dir=out.parent))
            out.rename(old / out.name)
            fresh.rename(out)
            shutil.rmtree(old)
        else:
            fresh.rename(out)
    except OSError as error:
        raise FarmError(f"{out}: {error.strerror or error}; free space or give another folder") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
