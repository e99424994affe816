"""What the answer to a create means: created, rejected, or unknown. Pure.

The rule that everything hangs on: *created* needs a 2xx with a valid id, *rejected* needs a 4xx
that a server sends instead of working, and all else is *unknown*, because somebody's phone may be
ringing. Reasons are fit to be shown: scrubbed, on one line, and short.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from reconciler.api.models import as_count, as_id, as_json, as_text
from reconciler.api.privacy import Scrubber
from reconciler.observed import Created, FieldProblem, Outcome, Rejected, Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_PROBLEMS = 50
"""How many complaints of one 422 are kept: a list of 10,000 contacts can draw 10,000."""

_UNCLEAR_4XX = frozenset({408, 499})
"""The server stopped waiting for the client; it may have worked meanwhile."""

_UNPROCESSABLE = 422
_RETRIED_4XX = frozenset({425, 429})
_SPOKEN = ("detail", "message", "error", "msg", "reason", "title")
_LONGEST_WAIT = 10  # digits of a Retry-After: more is no number of seconds anybody means
_LONGEST_PATH = 12

_SPLIT = (
    "write `reconcile: {split: {max_contacts: N}}` into the spec, with a smaller N if it has one"
)
_TOO_MANY = re.compile(r"\bat most\b|\btoo (?:many|long|large)\b", re.IGNORECASE)

HINTS = {
    400: "read what the API says; correct the spec or the campaign, then: reconciler apply",
    401: "the token is not accepted (revoked, or cut short): set GRAINE_API_KEY anew, then: "
    "reconciler doctor",
    403: "the token may not do this: check GRAINE_API_KEY and GRAINE_ORG_ID, then: "
    "reconciler doctor",
    404: "the campaign is not there, or belongs to another organisation: check campaign_id in the "
    "spec, and GRAINE_ORG_ID",
    405: "check GRAINE_API_URL, then: reconciler doctor",
    407: "the proxy wants a login: check HTTPS_PROXY",
    409: "the API sees a conflict with what it already has; see: reconciler plan",
    413: f"the request is too large: {_SPLIT}",
    422: "correct the named fields in the spec, then: reconciler validate",
    429: "the API asks for fewer requests: wait, or lower --parallelism",
}
"""What to type or check next, by status of a rejected create."""


class Words(Struct, frozen=True):
    """What an error answer says, fit to be shown: a line (perhaps empty), and its complaints."""

    text: str
    problems: tuple[FieldProblem, ...] = ()


def classify_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    scrub: Scrubber | None = None,
) -> Outcome:
    """Tell what an answer to a create means. Never raises.

    `now` is aware and turns a `Retry-After` date into seconds; `scrub` knows what the request held
    that nobody may see.
    """
    if 200 <= status < 300:  # noqa: PLR2004 - the class of statuses that says yes
        return _accepted(status, body)
    words = spoken(body, scrub or Scrubber())
    if not is_rejection(status):
        return Unknown(_unclear(status, words.text), status)
    return Rejected(
        reason=_line(status, words.text),
        status=status,
        retry=status in _RETRIED_4XX,
        retry_after=retry_after(headers, now) if status in _RETRIED_4XX else None,
        problems=words.problems,
        hint=_hint(status, words.problems),
    )


def _hint(status: int, problems: tuple[FieldProblem, ...]) -> str:
    """Give what to type next; of a list that is too long, how it is cut."""
    complaints = [each.message for each in problems if each.path == ("contacts",)]
    if status == _UNPROCESSABLE and any(map(_TOO_MANY.search, complaints)):
        return f"the list is too long for one batch: {_SPLIT}"
    return HINTS.get(status, "")


def is_rejection(status: int) -> bool:
    """Tell whether a status alone says that nothing was created, whatever the body is."""
    return 400 <= status < 500 and status not in _UNCLEAR_4XX  # noqa: PLR2004 - the 4xx class


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Read `Retry-After` as seconds from `now`, at least 0; None when absent or unreadable."""
    text = next((v for k, v in headers.items() if k.lower() == "retry-after"), "").strip()
    if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) and len(text) <= _LONGEST_WAIT:
        return max(0.0, float(text))
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - 5 ms, and hardly ever needed

    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def spoken(body: bytes, scrub: Scrubber) -> Words:
    """Give what an error answer says to a person, in either `detail` style or in plain text.

    Of JSON only the places made for people are read, never FastAPI's `input` and `ctx`, which echo
    the request; of HTML the title; of JSON cut short nothing at all.
    """
    payload = as_json(body)
    if isinstance(payload, dict):
        return _from_object(payload, scrub)
    text = body[:4096].decode("utf-8", "replace").strip()
    if payload is not None or text.startswith(("{", "[", '"')):
        return Words("")
    if text.startswith("<"):
        title = re.search(r"<title[^>]*>([^<]*)", text, re.IGNORECASE)
        return Words(f"a web page, “{scrub.clean(title[1])}”" if title else "a web page")
    return Words(scrub.clean(text))


def _from_object(payload: dict[str, Any], scrub: Scrubber) -> Words:
    detail = payload.get("detail")
    if isinstance(detail, list):
        problems = tuple(_problem(item, scrub) for item in detail[:MOST_PROBLEMS])
        shown = "; ".join(f"{_dotted(p.path)}{p.message}" for p in problems[:3])
        more = len(detail) - 3
        return Words(shown + (f"; and {more} more" if more > 0 else ""), problems)
    if isinstance(detail, dict):
        payload = detail
    for name in _SPOKEN:
        if isinstance(payload.get(name), str):
            return Words(scrub.clean(payload[name]))
    return Words("")


def _problem(item: object, scrub: Scrubber) -> FieldProblem:
    """Read one complaint of a 422; what is not one still counts, so that none goes unseen."""
    if isinstance(item, str):
        return FieldProblem((), scrub.clean(item))
    if not isinstance(item, dict):
        return FieldProblem((), "no reason given")
    where = item.get("loc")
    path = tuple(
        part if isinstance(part, int) and not isinstance(part, bool) else scrub.clean(str(part), 60)
        for part in (where[:_LONGEST_PATH] if isinstance(where, list) else ())
        if isinstance(part, int | str)
    )
    message = item.get("msg")
    return FieldProblem(
        path[1:] if path[:1] == ("body",) else path,
        scrub.clean(message) if isinstance(message, str) else "no reason given",
    )


def _dotted(path: tuple[str | int, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"{text.removeprefix('.')}: " if text else ""


def _accepted(status: int, body: bytes) -> Created | Unknown:
    """Believe a 2xx only when it names the batch: an id is all that can be recorded."""
    payload = as_json(body)
    if not isinstance(payload, dict):
        return Unknown(f"HTTP {status}, but the answer is not a JSON object", status)
    batch_id = as_id(payload.get("batch_id"))
    if batch_id is None:
        return Unknown(f"HTTP {status}, but the answer holds no valid batch_id", status)
    return Created(
        batch_id, as_text(payload.get("status")), as_count(payload.get("total_contacts"))
    )


def _unclear(status: int, text: str) -> str:
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        return (
            f"HTTP {status}, a redirect: not followed, so that the token stays here; "
            "check GRAINE_API_URL"
        )
    return _line(status, text) + " (the batch may exist all the same)"


def _line(status: int, text: str) -> str:
    return f"HTTP {status}: {text}" if text else f"HTTP {status}"
