"""obstore's errors, told apart and turned into ours, without its debugging dump and without secrets."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ..errors import AccessError, DamagedDataError, ImageryError, NotFoundError, StorageError, StorageTimeoutError
from .masking import masked

__all__ = [
    "UNTRUSTED",
    "WrongRegionError",
    "asked_elsewhere",
    "broke_off",
    "cloud_code",
    "explained",
    "is_unsized",
    "no_ranges",
    "says_absent",
    "status_of",
]

_CODE = re.compile(r"<Code>\s*([A-Za-z]+)\s*</Code>")
_REGION = re.compile(r"<Region>\s*([a-z0-9-]+)\s*</Region>")
_ASKED = re.compile(r"Error performing [A-Z]+ (\S+)")
_RETRIES = re.compile(r"after (\d+) retries")
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "InvalidBucketName")
_CLOSED = ("ResourceNotFound", "PublicAccessNotPermitted")  # Azure's words for: not without credentials


UNTRUSTED = (
    "the server's certificate is not trusted; where a private authority signed it, name the file with its certificate "
    "in SSL_CERT_FILE or REQUESTS_CA_BUNDLE"
)


class WrongRegionError(StorageError):
    """The bucket lies in another region than the one asked; `region` is it, where the server says so."""

    region: str | None = None


def explained(error: Exception, place: str, cure: str) -> ImageryError:
    """Turn obstore's error into ours.

    Parameters
    ----------
    error : Exception
        What obstore raised.
    place : str
        What was asked for, for the message.
    cure : str
        What to do where access is refused.
    """
    from obstore import exceptions

    text = str(error)
    reason = masked(" ".join(text.split("\n\nDebug source")[0].split()))
    status, code = status_of(reason), cloud_code(reason)
    failure: ImageryError
    if "without LOCATION" in text or code in ("PermanentRedirect", "AuthorizationHeaderMalformed"):
        moved = WrongRegionError(f"{place}: the bucket lies in another region")
        found = _REGION.search(reason)
        moved.region = found.group(1) if found else None
        return moved
    if code in _NO_BUCKET:
        return NotFoundError(f"{place}: there is no such bucket ({code}); check its name")
    if isinstance(
        error, (exceptions.UnauthenticatedError, PermissionError, exceptions.PermissionDeniedError)
    ) or code in (*_CLOSED, "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"):
        said = ", ".join(part for part in (status, code) if part) or "permission denied"
        refusal = AccessError(f"{place}: access refused ({said}): {cure}")
        refusal.status = int(status[:3]) if status[:3].isdigit() else None
        return refusal
    if _timed_out(text):
        return StorageTimeoutError(f"{place}: no answer in time; the server hangs or is overloaded, try again later")
    if "kind: Redirect" in text or "too many redirects" in text:
        return StorageError(f"{place}: the server redirects without end; check the address")
    if "UnknownIssuer" in text or "invalid peer certificate" in text or "certificate verify" in text:
        return StorageError(f"{place}: {UNTRUSTED}")
    if "kind: Connect" in text:
        return StorageError(f"{place}: the server cannot be reached, or it breaks the connection; check the address")
    if "Requested range was invalid" in text or status.startswith("416"):
        return DamagedDataError(f"{place}: ends before the bytes that its index names")
    if status:
        again = _RETRIES.search(reason)
        tries = f" after {int(again.group(1)) + 1} tries" if again else ""
        words = reason.partition("status code: ")[2].removeprefix(status).strip(" :")
        failure = StorageError(f"{place}: the server answered {status}{tries}{f': {words[:200]}' if words else ''}")
    else:
        failure = StorageError(f"{place}: could not be read: {reason[:300]}")
    failure.status = int(status[:3]) if status[:3].isdigit() else None
    return failure


def _timed_out(text: str) -> bool:
    return "operation timed out" in text or "TimedOut" in text or "kind: Timeout" in text


def status_of(reason: str) -> str:
    """Give the status in an error's text, such as "403 Forbidden"; "" where there is none."""
    _, found, status = reason.partition("status code: ")
    return status.split(":")[0].strip() if found else ""


def cloud_code(text: str) -> str:
    """Give the code in a cloud's answer, such as "NoSuchBucket"; "" where there is none.

    Examples
    --------
    >>> cloud_code("404 Not Found: <Error><Code>NoSuchKey</Code></Error>")
    'NoSuchKey'
    """
    found = _CODE.search(text)
    return found.group(1) if found else ""


def broke_off(error: Exception) -> bool:
    """Tell whether an answer ended before its end."""
    from obstore import exceptions

    text = str(error)
    if _timed_out(text):
        return False
    if "Range request not supported" in text:  # so ends resuming at a server that knows no ranges
        return not isinstance(error, exceptions.NotSupportedError)
    return "body error" in text


def no_ranges(error: Exception) -> bool:
    """Tell whether a server gave the whole where a range of bytes was asked for."""
    from obstore import exceptions

    return isinstance(error, exceptions.NotSupportedError) or "Received non-partial response" in str(error)


def says_absent(error: FileNotFoundError) -> bool:
    """Tell whether a 404 is about the key, not about the bucket."""
    return cloud_code(str(error)) not in (*_NO_BUCKET, *_CLOSED)


def is_unsized(error: Exception) -> bool:
    """Tell whether obstore refuses an answer because it does not say its length beforehand."""
    return "Content-Length" in str(error) and "missing" in str(error).lower()


def asked_elsewhere(error: Exception, server: str) -> str:
    """Give the host where credentials were asked for, if that is what failed; "" if it was the server itself."""
    text = str(error)
    if "az account get-access-token" in text:
        return "the Azure command line"
    if "token request" in text or "token response" in text:
        return "the server that gives out tokens"
    found = _ASKED.search(text)
    host = urlsplit(found.group(1)).netloc if found else ""
    return host if host and host != urlsplit(server).netloc else ""
