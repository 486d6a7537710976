"""A bucket of an object store as the place of artifacts, under a prefix.

Listing and large files go through pyarrow's file system. Writing does not: pyarrow knows no conditional put, takes
three requests for a small file and leaves an empty object where the last file of a folder was deleted. Nor does reading
what others may write anew: pyarrow asks for the size before it reads, and so cuts off what has grown in between. Of a
farm that owns the bucket nothing is asked any more once its lease may be over.

Conventions
-----------
Settings are those of every AWS program: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL (or
AWS_ENDPOINT_URL_S3). A line is appended by writing its file anew, if it is still as it was last seen: its one writer
needs one request, and what another wrote in between is kept.
"""

import functools
import mmap
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from farm.errors import StorageError
from farm.stores.failures import failure
from farm.stores.lease import Lease, owner_of
from farm.stores.puts import Puts

_CONNECT_SECONDS, _READ_SECONDS, _TRIES = 5, 15, 3
_SPOOLED_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 20


class Bucket:
    """Objects under s3://bucket/prefix. Opening one asks the store nothing."""

    is_remote = True

    def __init__(self, bucket: str, prefix: str, check: Callable[[], None]) -> None:
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        self.root = self.home = f"s3://{bucket}/{prefix}".rstrip("/")
        self._appended: dict[str, tuple[str, bytes]] = {}  # by key, the state and bytes as this process left them
        self._lease: Lease | None = None
        self._check = check

    def address(self, key: str) -> str:
        return f"{self.root}/{key}"

    def exists(self, key: str) -> bool:
        with self._told(key):
            return bool(self._files.get_file_info(self._path(key)).is_file)

    def read(self, key: str) -> bytes:
        found = self._reader.get(self._name(key))
        if found is None:
            raise StorageError(f"{self.address(key)}: is not there; has another process taken it away?")
        return found.data

    def map(self, key: str) -> mmap.mmap:
        """Return an object as memory that is mapped from a copy, which goes when the memory does."""
        with tempfile.TemporaryFile() as copy:
            with self._told(key), self._files.open_input_stream(self._path(key)) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    copy.write(chunk)
            copy.flush()
            return mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ)

    def names(self, folder: str, deep: bool = False) -> list[str]:
        from pyarrow.fs import FileSelector

        place = self._path(folder)
        with self._told(folder):
            found = self._files.get_file_info(FileSelector(place, allow_not_found=True, recursive=deep))
        return [info.path.removeprefix(f"{place}/") for info in found if info.is_file]

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as whole:
            for chunk in chunks:
                whole.write(chunk)
            whole.seek(0)
            self._writer.put(self._name(key), whole)

    def tell(self, key: str, data: bytes) -> None:
        self._writer.put(self._name(key), data)

    def create(self, key: str, data: bytes) -> bool:
        return self._writer.put_if(self._name(key), data, None) is not None

    def swap(self, key: str, before: bytes, after: bytes) -> bool:
        found = self._reader.get(self._name(key))
        if found is None or found.data != before:
            return False
        return self._writer.put_if(self._name(key), after, found.etag) is not None

    def append(self, key: str, line: bytes, is_synced: bool) -> None:
        etag, data = self._appended.get(key) or self._seen(key)
        while (written := self._writer.put_if(self._name(key), data + line, etag)) is None:
            etag, data = self._seen(key)
        self._appended[key] = (written, data + line)

    def delete(self, key: str) -> None:
        self._writer.delete(self._name(key))

    def sweep(self, folder: str) -> None:
        """Do nothing: an object is there whole or not at all."""

    @contextmanager
    def hold(self, key: str, owner: str) -> Iterator[None]:
        lease = Lease(self._writer, self._name(key), owner, self.root)
        with lease.held():
            self._lease = lease
            try:
                yield
            finally:
                self._lease = None

    def is_held(self, key: str) -> bool:
        found = self._reader.get(self._name(key))
        return found is not None and owner_of(found) != ""

    def _seen(self, key: str) -> tuple[str | None, bytes]:
        found = self._reader.get(self._name(key))
        return (found.etag, found.data) if found else (None, b"")

    def _name(self, key: str) -> str:
        return self._prefix + key

    def _path(self, key: str) -> str:
        return f"{self._bucket}/{self._prefix}{key}"

    @property
    def _files(self) -> Any:
        if self._lease is not None:
            self._lease.check()
        return self._reading

    @property
    def _reader(self) -> Puts:
        if self._lease is not None:
            self._lease.check()
        return self._puts

    @property
    def _writer(self) -> Puts:
        self._check()
        return self._reader

    @cached_property
    def _puts(self) -> Puts:
        return Puts(self._bucket, *_region_and_endpoint())

    @cached_property
    def _reading(self) -> Any:
        """The file system to read through; StorageError when there is no such bucket, which later looks empty only."""
        with self._told(""):
            files = _file_system(*_region_and_endpoint())
            if files.get_file_info(self._bucket).type.name == "NotFound":
                raise StorageError(f"{self.root}: there is no such bucket; make it, or correct the address")
        return files

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """Turn the library's errors into messages with the place and the way out."""
        try:
            yield
        except (OSError, ValueError) as error:  # Arrow's own for a name that it cannot take
            raise failure(self.address(key), error) from error


@functools.cache
def _file_system(region: str | None, endpoint: str | None) -> Any:
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    return S3FileSystem(
        region=region,
        endpoint_override=endpoint,
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_READ_SECONDS,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=_TRIES),
    )


def _region_and_endpoint() -> tuple[str | None, str | None]:
    """Return region and address of the store from the environment, None for the libraries' own way to find them.

    Where the environment says who asks or where the store is, no library need look for a machine of Amazon's to ask:
    elsewhere that address answers nothing, which takes long.
    """
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint or "AWS_ACCESS_KEY_ID" in os.environ:
        os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"), endpoint
