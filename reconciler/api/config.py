"""Where the API is and as whom we speak to it, checked before anything is sent.

The guard lives in the value itself: an `ApiConfig` whose token would travel in clear cannot be
made, by whatever road. No message, repr or exception of this module holds the token.
"""

from __future__ import annotations

import ipaddress
import math
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import force_setattr

from reconciler.errors import Refused, Usage
from reconciler.values import shown_without

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_URL = "https://api.graine.ai/api/v1"
DEFAULT_TIMEOUT = 60.0
LONGEST_TIMEOUT = 86_400.0
"""A day, in seconds: more is a slip, and locks cannot wait for much more."""

# Deliberately narrower than RFC 3986: what passes reads the same to every URL parser, so the host
# checked here is the host the token goes to.
_URL = (
    r"(?i:(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/[A-Za-z0-9._~%!$&'()*+,;=:-]*)*)"
)
_CREATE_PATH = r"(?:/[A-Za-z0-9_-]+)+/?"
_HIGHEST_PORT = 65_535


class ApiConfig(Struct, frozen=True):
    """How to reach the API.

    `url` is the base without a trailing slash, `token` is never shown, `organization_id` filters
    reads only, `timeout` is how many seconds one request may take in all, `create_path` is where
    batches are created, below `url`. Making one raises `Usage` for what cannot work and `Refused`
    for what would send the token in clear.
    """

    url: str
    token: str
    organization_id: str | None = None
    timeout: float = DEFAULT_TIMEOUT
    create_path: str = "/batches/"

    def __repr__(self) -> str:
        return shown_without(self, "token")

    def __post_init__(self) -> None:
        _check_token(self.token)
        force_setattr(self, "url", _checked_url(self.url))
        if not (math.isfinite(self.timeout) and 0 < self.timeout <= LONGEST_TIMEOUT):
            raise Usage(
                f"GRAINE_TIMEOUT must be more than 0 and at most {LONGEST_TIMEOUT:.0f} seconds",
                hint="unset it for 60 seconds",
            )
        if not re.fullmatch(_CREATE_PATH, self.create_path):
            raise Usage(
                f"the create path {self.create_path!r} is not a path",
                hint="use /batches/ or /batches/upload",
            )
        if self.organization_id is not None and not _is_visible(self.organization_id):
            raise Usage(
                "GRAINE_ORG_ID holds a space or a control character",
                hint="set it to the organisation's id alone, or unset it",
            )

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], *, create_path: str = "/batches/"
    ) -> ApiConfig:
        """Read GRAINE_API_KEY, GRAINE_API_URL, GRAINE_ORG_ID and GRAINE_TIMEOUT.

        Space around a value is a slip of copying (secrets often end in a newline) and is dropped;
        a blank optional value counts as unset, because that is what workflows pass for "none".
        """
        token = environ.get("GRAINE_API_KEY", "").strip()
        if not token:
            raise Usage(
                "GRAINE_API_KEY is not set",
                hint="set it to an API token (gat_…), or try --sandbox, which needs none",
            )
        timeout = environ.get("GRAINE_TIMEOUT", "").strip()
        return cls(
            url=environ.get("GRAINE_API_URL", "").strip() or DEFAULT_URL,
            token=token,
            organization_id=environ.get("GRAINE_ORG_ID", "").strip() or None,
            timeout=_seconds(timeout) if timeout else DEFAULT_TIMEOUT,
            create_path=create_path,
        )


def _seconds(text: str) -> float:
    """Read a number of seconds; its range is the value's own business."""
    try:
        return float(text)
    except ValueError:
        raise Usage(
            f"GRAINE_TIMEOUT is not a number of seconds: {text!r}", hint="for example: 60"
        ) from None


def _is_visible(text: str) -> bool:
    return bool(text) and text.isprintable() and " " not in text


def _check_token(token: str) -> None:
    """Refuse a token no server could accept, without ever showing it."""
    if not token:
        raise Usage("the API token is empty", hint="set GRAINE_API_KEY to an API token (gat_…)")
    if token[:7].lower() == "bearer ":
        raise Usage(
            "GRAINE_API_KEY begins with “Bearer”",
            hint="leave that word out: the value is the token alone",
        )
    if not (token.isascii() and _is_visible(token)):
        raise Usage(
            "GRAINE_API_KEY holds a space, a control character or a character outside ASCII",
            hint="copy the token again, on one line and without quotes",
        )
    if token[0] in "\"'" or token[-1] in "\"'":
        raise Usage("GRAINE_API_KEY is wrapped in quotes", hint="set it without the quotes")


def _checked_url(url: str) -> str:
    """Give the base URL without trailing slashes, or say why it is none.

    Messages name the part that is wrong, not the URL: it may hold a password.
    """
    hint = f"for example: {DEFAULT_URL}"
    authority = url.partition("://")[2].partition("/")[0]
    if "@" in authority:
        raise Usage("GRAINE_API_URL holds a user name or password", hint="leave it out")
    if "?" in url or "#" in url:
        raise Usage("GRAINE_API_URL has a query or a fragment", hint=hint)
    match = re.fullmatch(_URL, url)
    if match is None:
        raise Usage("GRAINE_API_URL is not an http(s) URL", hint=hint)
    if int(match["port"] or 1) not in range(1, _HIGHEST_PORT + 1):
        raise Usage("GRAINE_API_URL has a port that does not exist", hint=hint)
    if match["scheme"].lower() == "http" and not is_loopback(match["host"]):
        raise Refused(
            f"the token would travel in clear to {match['host']}",
            hint="use https:// in GRAINE_API_URL; http:// is for this machine only",
        )
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine by its very spelling: nothing is resolved."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return address == ipaddress.IPv6Address("::1") or (
        address.version == 4 and address.is_loopback  # noqa: PLR2004 - IPv4
    )
