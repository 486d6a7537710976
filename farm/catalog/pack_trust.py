"""Whether a pack is its author's, and may take the place of an old one: who signed it, and which pack it follows.

Conventions
-----------
A problem is one sentence that begins with the file's name, as `farm.catalog.verify` has it. Of a pack that must be
signed nothing is opened before its signature holds.
"""

import hashlib
import json
from pathlib import Path

from farm.catalog.pack_order import Edition, edition, why_not_after
from farm.catalog.signing import SIGNATURE, public_key, signature_problems
from farm.catalog.verify import CATALOG, SUMS, is_pack, listed_files, verify
from farm.errors import FarmError
from farm.stores.store import is_address


def check(place: Path | str, *, key: str | None = None, after: Path | None = None) -> list[str]:
    """Return what `verify` finds wrong, and for a pack what is wrong with its signature and its place among others.

    Parameters
    ----------
    key
        The public key that must have signed the pack: a minisign .pub file, or its line in base64.
    after
        An old pack, which this one must follow: of the same farm, and not older.

    Raises
    ------
    FarmError
        When `key` is no key, `after` no sound pack, or either is given for what is no pack.
    """
    if key is None and after is None:
        return verify(place)
    pack = Path(place)
    if is_address(place) or (pack.exists() and not is_pack(pack)):
        raise FarmError(
            f"{place}: is no pack, and only packs are signed and follow others; leave out --key and --after"
        )
    signer = None if key is None else public_key(key)
    old = None if after is None else edition_of(after)
    if signer is not None and pack.exists():
        for name in (SUMS, SIGNATURE):
            if (pack / name).is_symlink() or not (pack / name).is_file():
                return [f"{name}: is missing or a link, so the pack is not signed; get a signed one from its author"]
        if broken := signature_problems(_read(pack / SIGNATURE), _read(pack / SUMS), signer):
            return broken
    problems = verify(pack)
    if problems or old is None:
        return problems
    try:
        reason = why_not_after(edition_of(pack), old)
    except FarmError as error:
        return [str(error).removeprefix(f"{pack}: ")]
    return [f"{CATALOG}: {reason}"] if reason else []


def is_signed(place: Path | str) -> bool:
    """Return whether there is a pack with a signature, which may be anybody's."""
    return not is_address(place) and is_pack(Path(place)) and (Path(place) / SIGNATURE).is_file()


def edition_of(pack: Path) -> Edition:
    """Return where a pack stands among those of its farm; FarmError when it is none or its catalog was touched."""
    if not (pack / SUMS).is_file() or not (pack / CATALOG).is_file():
        raise FarmError(f"{pack}: is no pack; give a folder that 'farm ship' wrote")
    data = _read(pack / CATALOG)
    if hashlib.sha256(data).hexdigest() != listed_files(pack).get(CATALOG):
        raise FarmError(f"{pack}: {CATALOG} is not what {SUMS} says, the pack is damaged; get it again or remove it")
    try:
        catalog = json.loads(data)
        if not isinstance(catalog, dict):
            raise ValueError("no object")
    except (ValueError, RecursionError) as error:
        raise FarmError(f"{pack}: {CATALOG} is no JSON object; get the pack again or remove it") from error
    return edition(catalog, f"{pack}: {CATALOG}")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise FarmError(f"{file}: {error.strerror or error}; check its permissions") from error
