"""Reading what clients send, as a FastAPI application would: `detail` as text, or as a 422 list.

Written from the vendor's documentation alone, independently of how our client checks its specs.
Like FastAPI with pydantic 2, a 422 echoes the offending value as `input`, phone numbers included:
a client must not print that.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from reconciler.sandbox.calling import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_CONTACTS = 50_000
MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_PAGE = 1_000
_MOST_ERRORS = 1_000
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_DATETIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)?")


class InvalidRequest(Exception):  # noqa: N818 - named for what the client sent
    """The API says no: `status` and the JSON `detail`."""

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(status)
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Draft:
    """A create's body that is in order. `start` is seconds since 1970, None for at once."""

    campaign_id: str
    fields: Mapping[str, Any]
    contacts: Sequence[Mapping[str, Any]]
    start: float | None

    @property
    def scripts(self) -> dict[int, list[str]]:
        """Outcomes prescribed by `call_variables.sandbox_outcome`, by contact position.

        One, or one for each attempt: a list, or a text with commas (specs know only texts).
        """
        found: dict[int, list[str]] = {}
        for position, contact in enumerate(self.contacts):
            wanted = (contact.get("call_variables") or {}).get("sandbox_outcome")
            if isinstance(wanted, str):
                wanted = [name.strip() for name in wanted.split(",")]
            script = wanted if isinstance(wanted, list) else [wanted]
            if script and all(name in OUTCOMES for name in script):
                found[position] = [str(name) for name in script]
        return found


def read_json(body: bytes) -> dict[str, Any]:
    """Parse a body that must be a JSON object; raises InvalidRequest."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        position = getattr(error, "pos", 0)
        raise InvalidRequest(
            422, [problem(("body", position), "JSON decode error", "json_invalid")]
        ) from None
    if not isinstance(value, dict):
        message = "Input should be a valid dictionary"
        raise InvalidRequest(422, [problem(("body",), message, "dict_type")])
    return value


def campaign_id_of(body: Mapping[str, Any]) -> str:
    """Give the campaign's id; raises InvalidRequest with the vendor's own 400 without one."""
    campaign_id = body.get("campaign_id")
    if campaign_id is None or campaign_id == "":
        raise InvalidRequest(400, "campaign_id is required")
    if not isinstance(campaign_id, str):
        message = "Input should be a valid string"
        raise InvalidRequest(422, [problem(("body", "campaign_id"), message, "string_type")])
    return campaign_id


def read_draft(body: Mapping[str, Any], zone: str) -> Draft:
    """Check a create's whole body, naive times being in `zone`; raises InvalidRequest, all at once.

    Unknown fields are ignored, as the vendor's framework does unless told otherwise.
    """
    problems: list[dict[str, Any]] = []
    start = _start(body.get("scheduled_start"), zone, problems)
    _whole_number(body, "concurrency_limit", 1, 1_000, problems)
    _whole_number(body, "max_retries_override", 0, 20, problems)
    problems.extend(
        problem(("body", name), "Input should be a valid dictionary", "dict_type")
        for name in ("call_context", "metadata")
        if not isinstance(body.get(name) or {}, dict)
    )
    if not isinstance(body.get("organization_id") or "", str):
        message = "Input should be a valid string"
        problems.append(problem(("body", "organization_id"), message, "string_type"))
    _contacts(body, problems)
    if problems:
        raise InvalidRequest(422, problems[:_MOST_ERRORS])
    names = (
        "organization_id",
        "scheduled_start",
        "concurrency_limit",
        "max_retries_override",
        "call_context",
        "metadata",
    )
    fields = {name: body.get(name) for name in names}
    return Draft(str(body["campaign_id"]), fields, body["contacts"], start)


def page_number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """Read `skip` or `limit` from the query; raises InvalidRequest."""
    text = query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"-?[0-9]{1,12}", text):
        message = "Input should be a valid integer, unable to parse string as an integer"
        raise InvalidRequest(422, [problem(("query", name), message, "int_parsing", text)])
    value = int(text)
    if not least <= value <= most:
        message = f"Input should be between {least} and {most}"
        raise InvalidRequest(422, [problem(("query", name), message, "out_of_range", text)])
    return value


def one_of(query: Mapping[str, str], name: str, choices: Sequence[str]) -> str | None:
    """Read a filter from the query that must be one of `choices`; raises InvalidRequest."""
    text = query.get(name)
    if text is not None and text not in choices:
        message = "Input should be " + ", ".join(repr(choice) for choice in choices)
        raise InvalidRequest(422, [problem(("query", name), message, "enum", text)])
    return text


def problem(
    place: Sequence[str | int], message: str, kind: str, value: Any = None
) -> dict[str, Any]:
    """Build one entry of a 422's list."""
    return {"type": kind, "loc": list(place), "msg": message, "input": value}


def _start(value: Any, zone: str, problems: list[dict[str, Any]]) -> float | None:
    """Read `scheduled_start`: naive in the campaign's zone, `Z` or an offset as it says."""
    if value is None:
        return None
    place = ("body", "scheduled_start")
    if not isinstance(value, str) or not _DATETIME.fullmatch(value):
        problems.append(
            problem(place, "Input should be a valid datetime", "datetime_parsing", value)
        )
        return None
    try:
        moment = datetime.fromisoformat(value.upper())
    except ValueError as error:
        message = f"Input should be a valid datetime, {error}"
        problems.append(problem(place, message, "datetime_parsing", value))
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return moment.astimezone(UTC).timestamp()


def _whole_number(
    body: Mapping[str, Any], name: str, least: int, most: int, problems: list[dict[str, Any]]
) -> None:
    value = body.get(name)
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        problems.append(
            problem(("body", name), "Input should be a valid integer", "int_type", value)
        )
    elif not least <= value <= most:
        message = f"Input should be between {least} and {most}"
        problems.append(problem(("body", name), message, "out_of_range", value))


def _contacts(body: Mapping[str, Any], problems: list[dict[str, Any]]) -> None:
    place = ("body", "contacts")
    if "contacts" not in body:
        problems.append(problem(place, "Field required", "missing"))
        return
    contacts = body["contacts"]
    if not isinstance(contacts, list):
        problems.append(problem(place, "Input should be a valid list", "list_type"))
    elif not contacts:
        problems.append(problem(place, "List should have at least 1 item", "too_short"))
    elif len(contacts) > MAX_CONTACTS:
        message = f"List should have at most {MAX_CONTACTS} items, not {len(contacts)}"
        problems.append(problem(place, message, "too_long"))
    else:
        seen: set[str] = set()
        for position, contact in enumerate(contacts):
            _contact(contact, (*place, position), seen, problems)


def _contact(
    contact: Any, place: tuple[str | int, ...], seen: set[str], problems: list[dict[str, Any]]
) -> None:
    if not isinstance(contact, dict):
        problems.append(problem(place, "Input should be a valid dictionary", "dict_type"))
        return
    number = contact.get("phone_number")
    at_number = (*place, "phone_number")
    if number is None:
        problems.append(problem(at_number, "Field required", "missing"))
    elif not isinstance(number, str) or not _E164.fullmatch(number):
        message = "Value error, phone_number must be in E.164 format"
        problems.append(problem(at_number, message, "value_error", number))
    elif number in seen:
        message = "Value error, duplicate phone_number in this batch"
        problems.append(problem(at_number, message, "value_error", number))
    else:
        seen.add(number)
    variables = contact.get("call_variables")
    at_variables = (*place, "call_variables")
    if variables is not None and not isinstance(variables, dict):
        problems.append(problem(at_variables, "Input should be a valid dictionary", "dict_type"))
        return
    name = (variables or {}).get("callee_name")
    at_name = (*at_variables, "callee_name")
    if name is None:
        problems.append(problem(at_name, "Field required", "missing"))
    elif not isinstance(name, str) or not name.strip():
        problems.append(problem(at_name, "Input should be a non-empty string", "string_type"))
