"""Turns what the API sent into `reconciler.observed` values, believing as little as possible.

Unknown fields are ignored, missing ones become None, and a field of the wrong type becomes None
too: an odd `total_contacts` must not hide a batch that exists. Only the id is strict, because
everything else hangs on it. Nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from sys import intern
from typing import TYPE_CHECKING, Any

import orjson

from reconciler.observed import Batch, BatchContact, Campaign

if TYPE_CHECKING:
    from collections.abc import Iterator

# At least one letter or digit, so that an id can never be a `..` in a path.
_ID = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9._:=+~@-]{1,200}")
_SEPARATORS = re.compile(r"[\s().-]+")
_NUMBER = re.compile(r"\+?([1-9][0-9]{6,14})")
_WRAPPERS = ("batches", "contacts", "items", "data", "results")
_LONGEST_TEXT = 200
_LARGEST_COUNT = 2**53
_MILLISECONDS_FROM = 1e11  # seconds would be the year 5138
_MICROSECONDS_FROM = 1e14


def as_json(body: bytes) -> Any:
    """Parse a body; None for what is not JSON (and for `null`, which says as little)."""
    try:
        return orjson.loads(body)
    except ValueError:
        return None


def as_id(value: object) -> str | None:
    """Give an id: short text of letters, digits and `._:-`, or a positive integer as text."""
    if isinstance(value, str):
        return value if _ID.fullmatch(value) else None
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    return None


def as_count(value: object) -> int | None:
    """Give a number of contacts: an integer from 0 on."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_COUNT:
        return value
    return None


def as_text(value: object) -> str | None:
    """Give a short printable text, such as a status or a name."""
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and value.isprintable():
        return value
    return None


def as_timestamp(value: object) -> datetime | None:
    """Give an aware time in UTC, which is assumed where the API left the offset out.

    ISO 8601 with a time of day, or seconds, milliseconds or microseconds since 1970. A date alone
    is no time: midnight would be a guess, and candidates are narrowed by this value.
    """
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _from_epoch(float(value))
        if not isinstance(value, str) or not re.search(r"\d[Tt ]\d", value):
            return None
        moment = datetime.fromisoformat(value.strip())
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def as_rows(payload: object) -> list[Any] | None:
    """Give the rows of a list answer: an array, or an object that wraps one; None otherwise."""
    if isinstance(payload, list):
        return payload
    if isinstance(payload, dict):
        for wrapper in _WRAPPERS:
            if isinstance(payload.get(wrapper), list):
                return list(payload[wrapper])
    return None


def as_batch(row: object, *, whole: bool = False) -> Batch | None:
    """Give a batch out of a list row or a `GET /batches/{id}`; None when it has no valid id.

    A list may leave metadata out, or say null for it. In a `whole` answer, null says that the batch
    has none, and only a missing field that it is not shown.
    """
    if not isinstance(row, dict):
        return None
    batch_id = as_id(row.get("batch_id"))
    if batch_id is None:
        return None
    metadata = _as_mapping(row.get("metadata"))
    if whole and "metadata" in row and row["metadata"] is None:
        metadata = {}
    return Batch(
        batch_id=batch_id,
        campaign_id=as_id(row.get("campaign_id")),
        status=as_text(row.get("status")),
        total_contacts=as_count(row.get("total_contacts")),
        created_at=as_timestamp(row.get("created_at")),
        metadata=metadata,
        counters=_as_mapping(row.get("counters")),
        scheduled_start=as_text(row.get("scheduled_start")),
        concurrency_limit=as_count(row.get("concurrency_limit")),
    )


def as_campaign(row: object, asked: str) -> Campaign | None:
    """Give a campaign; its id is the one that was asked for. None when the row is no object."""
    if not isinstance(row, dict):
        return None
    enforced = row.get("working_hours_enforced")
    return Campaign(
        campaign_id=asked,
        name=as_text(row.get("name")),
        status=as_text(row.get("status")),
        timezone=as_text(row.get("timezone")),
        working_hours_enforced=enforced if isinstance(enforced, bool) else None,
        working_hours=_as_mapping(row.get("working_hours")),
        concurrency_limit=as_count(
            (_as_mapping(row.get("metadata")) or {}).get("concurrency_limit")
        ),
        max_retries=as_count((_as_mapping(row.get("retry_policy")) or {}).get("max_retries")),
    )


def as_contact(row: object) -> BatchContact | None:
    """Give one person of a batch, the number as E.164; None when it cannot be told who it is.

    A number that is hidden (`+91******10`) or lacks its country code is nobody's: compared with a
    spec's it would make a person who was called look like one who was not.
    """
    if not isinstance(row, dict):
        return None
    contact_id = as_id(row.get("contact_id")) or as_id(row.get("id"))
    number = row.get("phone_number")
    match = _NUMBER.fullmatch(_SEPARATORS.sub("", number)) if isinstance(number, str) else None
    if contact_id is None or match is None:
        return None
    status = as_text(row.get("status"))
    variables = _as_mapping(row.get("call_variables"))
    return BatchContact(
        contact_id=contact_id,
        phone_number=f"+{match[1]}",
        status=intern(status) if status is not None else None,
        call_variables=_kept(variables) if variables is not None else None,
    )


def _kept(variables: dict[str, Any]) -> Mapping[str, Any]:
    try:
        return _Variables(variables)
    except TypeError:  # nested deeper than it can be written
        return variables


class _Variables(Mapping[str, Any]):
    """Call variables as JSON: of a million people they are held at once, and compared at most."""

    __slots__ = ("_json",)

    def __init__(self, variables: dict[str, Any]) -> None:
        # Copied, because what orjson gives keeps far more room than it fills.
        self._json = bytes(memoryview(orjson.dumps(variables, option=orjson.OPT_SORT_KEYS)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _Variables):
            return self._json == other._json or self._read() == other._read()
        if not isinstance(other, dict):
            return NotImplemented
        same = orjson.dumps(other, option=orjson.OPT_SORT_KEYS) == self._json
        return same or self._read() == other

    __hash__ = None  # type: ignore[assignment]  # as that of a dict

    def __getitem__(self, name: str) -> Any:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def _read(self) -> dict[str, Any]:
        variables: dict[str, Any] = orjson.loads(self._json)
        return variables


def _from_epoch(value: float) -> datetime | None:
    if value <= 0:
        return None
    if value >= _MICROSECONDS_FROM:
        value /= 1e6
    elif value >= _MILLISECONDS_FROM:
        value /= 1e3
    return datetime.fromtimestamp(value, tz=UTC)


def _as_mapping(value: object) -> dict[str, Any] | None:
    """Give an object; some stores hand JSON columns out as text, so that is parsed once more."""
    if isinstance(value, str):
        value = as_json(value.encode(errors="replace"))
    return value if isinstance(value, dict) else None
