"""What the object store's libraries say when they fail, turned into what a person can do about it.

Conventions
-----------
Both libraries give the service's own code somewhere in their text, one as `NoSuchBucket`, one as `NO_SUCH_BUCKET`;
codes are compared without case and underscores.
"""

from collections.abc import Mapping

from farm.errors import DiskError, StorageError

_ADVICE = {
    ("nosuchbucket",): "there is no such bucket; make it, or correct the address",
    ("invalidaccesskeyid", "unrecognizedclient", "signaturedoesnotmatch", "invalidsignature"): (
        "the store does not know these credentials; correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    ),
    ("expiredtoken", "invalidtoken"): "the credentials have expired; get new ones and run the same command again",
    ("accessdenied", "forbidden", "(403)"): (
        "these credentials may not do that; they need to list the bucket and to read, write and delete in it"
    ),
    ("unable to locate credentials", "partialcredentials", "nocredentials"): (
        "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    ),
    ("permanentredirect", "authorizationheadermalformed", "301"): (
        "the bucket is in another region; set AWS_REGION to it"
    ),
    ("notimplemented",): (
        "this store knows no conditional writes (If-None-Match, If-Match), without which two farms could overwrite "
        "each other; use one that does"
    ),
}
_MAY_PASS = {
    ("networkconnection", "could not connect", "connecttimeout", "timeout", "timed out", "endpoint url", "resolve"): (
        "the store cannot be reached; check the network, AWS_ENDPOINT_URL and the region"
    ),
    ("slowdown", "serviceunavailable", "internalerror", "toomanyrequests"): (
        "the store is too busy; run the same command again later"
    ),
}


def failure(address: str, error: Exception) -> StorageError:
    """Return a failure with the place, what the library said in one line, and the way out."""
    text = " ".join(str(error).split())
    kind = DiskError if _found(text, _MAY_PASS) else StorageError
    return kind(f"{address}: {text}; {advice(text)}")


def advice(text: str) -> str:
    """Return what to do about a failure, by what the library said.

    Examples
    --------
    >>> advice("An error occurred (NoSuchBucket) when calling the PutObject operation")
    'there is no such bucket; make it, or correct the address'
    >>> advice("AWS Error NO_SUCH_BUCKET during ListObjectsV2 operation") == advice("NoSuchBucket")
    True
    """
    return _found(text, {**_ADVICE, **_MAY_PASS}) or "run the same command again once this is mended"


def _found(text: str, table: Mapping[tuple[str, ...], str]) -> str:
    plain = text.lower().replace("_", "")
    return next((way for signs, way in table.items() if any(sign in plain for sign in signs)), "")
