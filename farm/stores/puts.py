"""Whole objects of a bucket, and the conditional writes by which processes on several machines agree.

The door to boto3. A put of one object is whole or not at all. `If-None-Match: *` makes it create only, `If-Match` makes
it replace one state only; the store decides, so that of many who try at once one succeeds.

Conventions
-----------
An *etag* is the store's name for the state of an object; objects with the same bytes may have the same.
"""

import functools
import mimetypes
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import IO, Any, NamedTuple

from farm.errors import FarmError
from farm.stores.failures import failure

_CONNECT_SECONDS, _READ_SECONDS, _TRIES = 5, 15, 3  # a store that cannot be reached is told in less than a minute
_REFUSED = ("PreconditionFailed", "NoSuchKey", "412", "404")
_AGAIN = ("ConditionalRequestConflict", "409")  # two conditional puts met, and the store took neither
_AGAIN_SECONDS = 0.2


class Found(NamedTuple):
    """An object as it is now; its age is by the store's clock, so that no other clock counts."""

    data: bytes
    etag: str
    age_seconds: float


@functools.cache
def client_of(region: str | None, endpoint: str | None) -> Any:
    """Return the client of a store, None for what boto3 finds itself; one serves all threads, and is dear to make."""
    import boto3
    from botocore.config import Config

    retries = {"mode": "standard", "total_max_attempts": _TRIES}
    config = Config(connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, retries=retries)
    session = boto3.session.Session()  # of its own, for several threads may come here at once
    return session.client("s3", region_name=region, endpoint_url=endpoint, config=config)


class Puts:
    """Writes the objects of one bucket."""

    def __init__(self, bucket: str, region: str | None, endpoint: str | None) -> None:
        self._bucket = bucket
        try:
            self._client = client_of(region, endpoint)
            from botocore import exceptions
        except ImportError as error:
            raise FarmError(
                f"s3://{bucket}: to work there takes boto3; install it with pip install 'music-model-farm[s3]'"
            ) from error
        except ValueError as error:  # no address at all
            raise failure(f"s3://{bucket}", error) from error
        self._errors = exceptions

    def get(self, key: str) -> Found | None:
        """Return an object, None when there is none."""
        with self._told(key):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key)
            except self._errors.ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchKey":
                    return None
                raise
            now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
            age: timedelta = now - answer["LastModified"]
            return Found(answer["Body"].read(), answer["ETag"], age.total_seconds())

    def put(self, key: str, data: bytes | IO[bytes]) -> None:
        """Write an object, whatever was there."""
        with self._told(key):
            self._put(key, data)

    def put_if(self, key: str, data: bytes, etag: str | None) -> str | None:
        """Write an object if it still is in that state, None for missing; return its new state, None when it was not.

        A put whose answer was lost is tried again and then refused because of itself; that counts as done.
        """
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        with self._told(key):
            for attempt in range(_TRIES):
                try:
                    return str(self._put(key, data, **condition)["ETag"])
                except self._errors.ClientError as error:
                    code = error.response["Error"]["Code"]
                    if code in _AGAIN and attempt + 1 < _TRIES:
                        time.sleep(_AGAIN_SECONDS)
                        continue
                    if code not in _REFUSED:
                        raise
                    if not error.response["ResponseMetadata"].get("RetryAttempts"):
                        return None
                    found = self.get(key)
                    return found.etag if found and found.data == data else None
        return None

    def delete(self, key: str) -> None:
        with self._told(key):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def _put(self, key: str, data: bytes | IO[bytes], **condition: str) -> dict[str, Any]:
        kind = mimetypes.guess_type(key)[0] or "application/octet-stream"  # so that a browser shows the report
        answer: dict[str, Any] = self._client.put_object(
            Bucket=self._bucket, Key=key, Body=data, ContentType=kind, **condition
        )
        return answer

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """Turn the library's errors into messages with the place and the way out."""
        try:
            yield
        except (self._errors.ClientError, self._errors.BotoCoreError) as error:
            raise failure(f"s3://{self._bucket}/{key}", error) from error
