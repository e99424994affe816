"""Bodies of creates are checked as the documentation and its framework suggest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.sandbox import bodies

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.sandbox import Sandbox

PERSON = {"phone_number": "+15550000001", "call_variables": {"callee_name": "A"}}


def _with(**changes: Any) -> dict[str, Any]:
    return {"campaign_id": "cmp_abc123", "contacts": [PERSON], **changes}


@pytest.mark.parametrize("campaign_id", [None, ""])
def test_no_campaign(api: Any, campaign_id: str | None) -> None:
    """Without a campaign the vendor's own 400 comes, whatever else is wrong."""
    answer = api.post("/batches/", {"campaign_id": campaign_id})
    assert (answer.status_code, answer.json()) == (400, {"detail": "campaign_id is required"})


def test_unknown_campaign(api: Any) -> None:
    """An unknown campaign is the vendor's own 404."""
    answer = api.post("/batches/", _with(campaign_id="cmp_unknown"))
    detail = "Campaign not found or does not belong to this org"
    assert (answer.status_code, answer.json()) == (404, {"detail": detail})


def test_campaign_that_is_not_active(api: Any) -> None:
    """A draft campaign takes no batches."""
    assert api.post("/batches/", _with(campaign_id="cmp_draft")).status_code == 400


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"contacts": []}, ["contacts"]),
        ({"contacts": "all"}, ["contacts"]),
        ({"contacts": ["+15550000001"]}, ["contacts", 0]),
        ({"contacts": [{"call_variables": {"callee_name": "A"}}]}, ["contacts", 0, "phone_number"]),
        ({"contacts": [PERSON | {"phone_number": 15550000001}]}, ["contacts", 0, "phone_number"]),
        ({"contacts": [PERSON | {"phone_number": "5550000001"}]}, ["contacts", 0, "phone_number"]),
        ({"contacts": [PERSON | {"phone_number": "+0555000001"}]}, ["contacts", 0, "phone_number"]),
        ({"contacts": [PERSON | {"phone_number": "+123456"}]}, ["contacts", 0, "phone_number"]),
        (
            {"contacts": [PERSON | {"phone_number": "+1234567890123456"}]},
            ["contacts", 0, "phone_number"],
        ),
        ({"contacts": [PERSON, PERSON]}, ["contacts", 1, "phone_number"]),
        ({"contacts": [PERSON | {"call_variables": []}]}, ["contacts", 0, "call_variables"]),
        (
            {"contacts": [{"phone_number": "+15550000001"}]},
            ["contacts", 0, "call_variables", "callee_name"],
        ),
        (
            {"contacts": [PERSON | {"call_variables": {"callee_name": " "}}]},
            ["contacts", 0, "call_variables", "callee_name"],
        ),
        ({"scheduled_start": "tomorrow"}, ["scheduled_start"]),
        ({"scheduled_start": "2026-05-12"}, ["scheduled_start"]),
        ({"scheduled_start": "2026-13-12T09:00:00"}, ["scheduled_start"]),
        ({"scheduled_start": 1778000000}, ["scheduled_start"]),
        ({"concurrency_limit": 0}, ["concurrency_limit"]),
        ({"concurrency_limit": "10"}, ["concurrency_limit"]),
        ({"concurrency_limit": True}, ["concurrency_limit"]),
        ({"max_retries_override": -1}, ["max_retries_override"]),
        ({"metadata": [1]}, ["metadata"]),
        ({"call_context": "x"}, ["call_context"]),
        ({"organization_id": 7}, ["organization_id"]),
    ],
)
def test_wrong_bodies(
    sandbox: Sandbox, api: Any, changes: dict[str, Any], place: list[str | int]
) -> None:
    """A body that is not in order is a 422 whose loc leads to the place, and makes no batch."""
    answer = api.post("/batches/", _with(**changes))
    assert answer.status_code == 422
    assert [problem["loc"] for problem in answer.json()["detail"]] == [["body", *place]]
    assert sandbox.batches() == []


def test_all_problems_come_at_once(api: Any, body: Callable[..., dict[str, Any]]) -> None:
    """Every wrong contact is reported, in one answer, with the offending value as input."""
    sent = body(20, concurrency_limit=-1)
    sent["contacts"][3]["phone_number"] = "nope"
    sent["contacts"][17]["phone_number"] = "+12"
    problems = api.post("/batches/", sent).json()["detail"]
    assert [problem["loc"] for problem in problems] == [
        ["body", "concurrency_limit"],
        ["body", "contacts", 3, "phone_number"],
        ["body", "contacts", 17, "phone_number"],
    ]
    assert problems[2]["input"] == "+12"
    assert {"type", "loc", "msg", "input"} == set(problems[0])


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'"x"', b"\xff", b"[" * 100_000])
def test_bodies_that_are_no_json_object(api: Any, text: bytes) -> None:
    """What cannot be parsed, or is no object, is a 422 and not a crash."""
    answer = api.http.post("/batches/", content=text)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] == "body"


def test_too_many_contacts(api: Any) -> None:
    """More contacts than one batch takes are refused as too long."""
    contacts = [PERSON] * 50_001
    answer = api.http.post("/batches/", content=json.dumps(_with(contacts=contacts)))
    (problem,) = answer.json()["detail"]
    assert (answer.status_code, problem["type"]) == (422, "too_long")


def test_a_body_beyond_all_measure(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that is too large altogether is a 413."""
    monkeypatch.setattr(bodies, "MAX_BODY_BYTES", 10)
    answer = api.post("/batches/", _with())
    assert (answer.status_code, bool(answer.json()["detail"])) == (413, True)


def test_unknown_fields_are_ignored(api: Any) -> None:
    """Fields that the documentation does not know do no harm."""
    assert api.post("/batches/", _with(reconcile={"name": "x"})).status_code == 200


@pytest.mark.parametrize(
    ("campaign_id", "sent", "utc"),
    [
        # 09:00 in India, five and a half hours east.
        ("cmp_abc123", "2027-05-12T09:00:00", "2027-05-12T03:30:00.000000Z"),
        ("cmp_abc123", "2027-05-12T09:00:00Z", "2027-05-12T09:00:00.000000Z"),
        ("cmp_abc123", "2027-05-12T09:00:00+02:00", "2027-05-12T07:00:00.000000Z"),
        # Summer and winter in London.
        ("cmp_london", "2027-07-01T09:00:00", "2027-07-01T08:00:00.000000Z"),
        ("cmp_london", "2027-12-01T09:00", "2027-12-01T09:00:00.000000Z"),
        # Lord Howe moves its clocks by half an hour: +10:30 in July, +11 in January.
        ("cmp_lord_howe", "2027-07-01T09:00:00", "2027-06-30T22:30:00.000000Z"),
        ("cmp_lord_howe", "2027-01-10T09:00:00", "2027-01-09T22:00:00.000000Z"),
    ],
)
def test_scheduled_start(api: Any, campaign_id: str, sent: str, utc: str) -> None:
    """A naive start is read in the campaign's timezone, Z and offsets as they say."""
    batch = api.batch(api.create(campaign_id=campaign_id, scheduled_start=sent))
    assert batch["scheduled_start"] == utc
