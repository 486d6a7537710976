"""Signatures of packs, in minisign's format: made with a person's secret key, checked with its public key.

Conventions
-----------
The signature is of SHA256SUMS, which names every other file; it stands beside it, and not in it. Data is hashed before
it is signed, as minisign does by default. The *trusted* comment is signed too. The other one is not, so it says what
minisign writes there and nothing else: every byte of the file is certain. A key's id is written as minisign does.

Secret keys stay in memory while a pack is made, then are overwritten. They are never written, nor any part of them.
"""

import base64
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farm.errors import FarmError

if TYPE_CHECKING:
    from minisign import PublicKey, SecretKey

SIGNATURE = "SHA256SUMS.minisig"

_UNSIGNED_COMMENT = "signature from minisign secret key"
_PUBLIC_LINE = re.compile(r"[A-Za-z0-9+/]{56}")


class Signer:
    """Signs with a secret key that is open.

    Attributes
    ----------
    key_id
        Of the key, as minisign writes it.
    """

    def __init__(self, secret: "SecretKey", name: str) -> None:
        self._secret, self._name = secret, name
        self.key_id = _key_id(secret.get_public_key().to_base64())

    def signature(self, data: bytes, comment: str) -> bytes:
        """Return the signature file of `data`; equal data and comments, in ASCII, give equal bytes."""
        made = self._secret.sign(data, untrusted_comment=_UNSIGNED_COMMENT, trusted_comment=comment)
        try:
            # minisign puts no checksum into a key without password: a damaged one would sign what nobody can check
            self._secret.get_public_key().verify(data, made)
        except ValueError as error:
            raise FarmError(f"{self._name}: is damaged, its two halves differ; bring it back from a copy") from error
        return bytes(made) + b"\n"


@contextmanager
def opened(key_file: Path, password: Callable[[], str]) -> Iterator[Signer]:
    """Give the signer of a secret key while the block runs.

    Parameters
    ----------
    key_file
        As `minisign -G` writes it, with or without a password.
    password
        Asked only where the key has one.

    Raises
    ------
    FarmError
        When the library is not installed, the file is no secret key, or the password does not open it.
    """
    minisign = _library()
    try:
        secret = minisign.SecretKey.from_file(key_file)
    except OSError as error:
        raise FarmError(
            f"{key_file}: {error.strerror or error}; give the secret key that 'minisign -G' wrote"
        ) from error
    except ValueError as error:
        raise FarmError(f"{key_file}: is no secret key ({error}); give the one that 'minisign -G' wrote") from error
    with secret:
        if secret.is_encrypted():
            try:
                secret.decrypt(password())
            except ValueError as error:
                raise FarmError(f"{key_file}: does not open ({error}); give its password") from error
            except MemoryError as error:
                raise FarmError(f"{key_file}: takes a GB of memory to open; end other programs first") from error
        yield Signer(secret, str(key_file))


def public_key(text: str) -> "PublicKey":
    """Return a public key from its line in base64, or from the file in which it is the second line."""
    minisign = _library()
    way_out = "give the .pub file that 'minisign -G' wrote, or its second line"
    try:
        if _PUBLIC_LINE.fullmatch(text.strip()):
            return minisign.PublicKey.from_base64(text.strip())
        return minisign.PublicKey.from_file(text)
    except OSError as error:
        raise FarmError(f"{text[:100]!r}: is no public key, nor a file ({error.strerror}); {way_out}") from error
    except ValueError as error:
        raise FarmError(f"{text[:100]!r}: is no public key ({error}); {way_out}") from error


def signature_problems(signature: bytes, data: bytes, key: "PublicKey") -> list[str]:
    """Return why a signature file does not show that a key signed `data`, SHA256SUMS; empty when it does."""
    try:
        found = _library().Signature.from_bytes(signature)
    except ValueError as error:
        return [f"{SIGNATURE}: is no signature ({error}); get the pack again"]
    lines = bytes(found).split(b"\n")
    by, expected = _key_id(lines[1]), _key_id(key.to_base64())
    if by != expected:
        return [f"{SIGNATURE}: is by the key {by}, expected {expected}; get the pack again from its author"]
    try:
        key.verify(data, found)
    except ValueError:
        told = "does not fit SHA256SUMS, or the comment that is signed with it was changed"
        return [f"{SIGNATURE}: {told}; get the pack again from its author"]
    if not found.is_prehashed():
        return [f"{SIGNATURE}: is in minisign's old form; sign SHA256SUMS again without -l"]
    if found.untrusted_comment != _UNSIGNED_COMMENT or signature != bytes(found) + b"\n":
        return [f"{SIGNATURE}: fits, but is not as it was written; its first line must be what minisign writes there"]
    return []


def _key_id(line: bytes) -> str:
    """Return the id of the key in a line of base64; minisign takes its bytes for a number, the least first."""
    return base64.b64decode(line)[2:10][::-1].hex().upper()


def _library() -> Any:
    try:
        import minisign
    except ImportError as error:
        raise FarmError("py-minisign is not installed; run: pip install 'music-model-farm[sign]'") from error
    return minisign
