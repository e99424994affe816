"""Lists that lie elsewhere: object stores and https, through obstore, which is imported here only.

Promises: reading ends within `DEADLINE`, and Ctrl-C is heard meanwhile; no more than `MAX_LIST`
bytes are taken; nothing is written to disk; nothing travels unencrypted except on this machine; and
no message shows what a server answered, which may hold what a signed request held.

Credentials come from the environment, under the names that each store's own tools use. An https
address is read without any: a spec, and so whoever proposes one, says which host is asked.
"""

from __future__ import annotations

import os
import re
import threading
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reconciler.spec.lists.places import is_loopback, shown
from reconciler.spec.problems import Problem, quoted_path
from reconciler.spec.source import MAX_LIST, Unreadable, too_large

if TYPE_CHECKING:
    from collections.abc import Callable

    from obstore.store import ClientConfig, ObjectStore, RetryConfig

    from reconciler.spec.lists.places import Place

DEADLINE = timedelta(minutes=10)
"""The longest that one list may take, all attempts together."""

_CONNECT = timedelta(seconds=10)
_SILENCE = timedelta(seconds=30)
"""How long a server may say nothing in the middle of an answer."""

_RETRIES: RetryConfig = {
    "max_retries": 4,
    "retry_timeout": timedelta(minutes=1),
    "backoff": {
        "init_backoff": timedelta(milliseconds=200),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}
_CHUNK = 4 * 1024 * 1024

_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION (and AWS_SESSION_TOKEN for"
    " a role); a public bucket needs AWS_SKIP_SIGNATURE=true",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS to the file with a service account's key",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or"
    " AZURE_STORAGE_SAS_TOKEN",
    "https": "an https address is read without credentials; name a private list by `s3://`, `gs://`"
    " or `az://`",
}
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_AUTHORITIES = (
    "if a proxy or a private authority signs certificates here, set SSL_CERT_FILE to a file that "
    "holds its certificate, and those of the other authorities"
)
# obstore has few kinds of errors; what happened stands in their texts.
_NO_CREDENTIALS = ("169.254.169.254", "metadata.google", "MissingAccount", "MissingCredentials")
_FAILURES = (
    (("BareRedirect",), "is in another region", "set AWS_REGION to the bucket's region"),
    (
        ("ontent-Length",),
        "was not given: the server does not say how long it is",
        "put the list where files are kept, not made on demand",
    ),
    (("RangeNotSupported", "NoContentRange", "kind: Body"), "broke off on its way", "try again"),
    (
        ("NotValidForName",),
        "lies on a server whose certificate is for another name",
        "check the address",
    ),
    (
        ("UnknownIssuer",),
        "lies on a server whose certificate is not trusted",
        _AUTHORITIES,
    ),
    (
        ("InvalidCertificate(",),
        "lies on a server whose certificate is not valid",
        "has it expired? check this machine's clock, then tell whoever runs the server",
    ),
    (("kind: Timeout", "TimedOut"), "did not come in time", "try again later"),
    (
        ("TooManyRedirects",),
        "is redirected from one address to the next without end",
        "name the address that it is at",
    ),
    (
        ("error following redirect",),
        "is redirected to an address that is not encrypted",
        "name the `https://` address that it is at, if there is one",
    ),
    (
        ("builder error",),
        "would travel unencrypted",
        "lists are read over https, but for those on this machine",
    ),
    (("Connect", "dns error"), "cannot be reached", "check the address and the network"),
)
"""What stands in an error's text → what happened, and what to do."""

_STATUS = re.compile(r"status code: ([0-9]{3})")


def fetch(place: Place) -> bytes:
    """Read the bytes of a list that lies elsewhere. Raises `Unreadable`."""
    data = bytearray()
    fetch_into(place, lambda _size: data.extend)
    return bytes(data)


def fetch_into(place: Place, into: Callable[[int], Callable[[memoryview], object]]) -> None:
    """Hand on the bytes of a list that lies elsewhere as they come. Raises `Unreadable`.

    `into` is told how many there are to be, and gives what takes them, some at a time. What was
    taken is to be thrown away when this raises, and more may come after that. A thread of its own
    waits for the server: a call into obstore would not hear Ctrl-C.
    """
    _require_obstore()
    result: list[BaseException | None] = []

    def work() -> None:
        try:
            _read(place, into)
            result.append(None)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            result.append(error)

    thread = threading.Thread(target=work, daemon=True, name="list")
    thread.start()
    thread.join(DEADLINE.total_seconds())
    if not result:
        minutes = DEADLINE.total_seconds() / 60
        raise _unreadable(place, f"did not come within {minutes:.0f} minutes", "try again later")
    if result[0] is not None:
        raise result[0]


def _require_obstore() -> None:
    try:
        import obstore  # noqa: F401, PLC0415 - an extra, and slow: only where a list needs it
    except ImportError:
        hint = "pip install 'call-batch-reconciler[remote]'"
        message = "reading lists that lie elsewhere needs the extra `remote`"
        raise Unreadable(Problem((), message, hint)) from None


def _read(place: Place, into: Callable[[int], Callable[[memoryview], object]]) -> None:
    """Read, in obstore's own time. Raises `Unreadable`."""
    import obstore  # noqa: PLC0415 - as above
    from obstore.exceptions import BaseError  # noqa: PLC0415 - as above

    try:
        store, path = _store(place)
        answer = obstore.get(store, path)
        size = answer.meta["size"]
        if size > MAX_LIST:
            raise Unreadable(too_large(size, MAX_LIST, "split the list and its spec in two"))
        take, taken = into(size), 0
        for chunk in answer.stream(min_chunk_size=_CHUNK):
            taken += len(chunk)
            take(memoryview(chunk))
            if taken > size:
                break
    # Wrong settings in the environment are a ValueError or one of obstore's own, as they come.
    except (BaseError, OSError, ValueError) as error:
        raise _explained(place, error) from None
    if taken != size:
        message = f"broke off: {taken:,} of {size:,} bytes came"
        raise _unreadable(place, message, "try again")


def _store(place: Place) -> tuple[ObjectStore, str]:
    """Open the store a list lies in, and give the list's path there."""
    from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store  # noqa: PLC0415 - as above

    # The path of an https address is percent-encoded already, the key of an object is as it is.
    bucket, _, key = place.path.partition("://")[2].partition("/")
    client: ClientConfig = {
        "allow_http": _on_this_machine(place),
        "connect_timeout": _CONNECT,
        "read_timeout": _SILENCE,
        "timeout": DEADLINE,
        "user_agent": "call-batch-reconciler",
    }
    match place.scheme:
        case "s3":
            return S3Store(bucket, client_options=client, retry_config=_RETRIES), key
        case "gs":
            return GCSStore(bucket, client_options=client, retry_config=_RETRIES), key
        case "az":
            return AzureStore(bucket, client_options=client, retry_config=_RETRIES), key
        case _:
            whole = HTTPStore.from_url(place.path, client_options=client, retry_config=_RETRIES)
            return whole, ""


def _on_this_machine(place: Place) -> bool:
    """Tell whether a list is read from this machine, where it may travel unencrypted."""
    if place.scheme == "http":
        return True
    for name in _ENDPOINTS.get(place.scheme, ()):
        endpoint = os.environ.get(name)
        if endpoint:
            return is_loopback(urlsplit(endpoint).hostname or "")
    return False


def _explained(place: Place, error: Exception) -> Unreadable:
    """Say what kept a list from being read, in our words alone."""
    said = str(error)
    credentials = _CREDENTIALS.get(place.scheme, "")
    if any(word in said for word in _NO_CREDENTIALS):
        return _unreadable(place, "needs credentials, and there are none", credentials)
    status = _STATUS.search(said)
    code = "404" if isinstance(error, FileNotFoundError) else status[1] if status else ""
    if code in {"401", "403"}:
        return _unreadable(place, "may not be read with these credentials", credentials)
    if code == "404":
        return _unreadable(place, "is not there", "compare the address with what the store lists")
    if code:
        return _unreadable(place, f"was not given: the server answered {code}", "try again later")
    for words, message, hint in _FAILURES:
        if any(word in said for word in words):
            return _unreadable(place, message, hint)
    return _unreadable(place, f"cannot be read ({type(error).__name__})", credentials)


def _unreadable(place: Place, message: str, hint: str) -> Unreadable:
    return Unreadable(Problem((), f"{quoted_path(shown(place.path))} {message}", hint))
