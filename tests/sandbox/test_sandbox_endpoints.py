"""Each endpoint answers as the vendor documents it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.sandbox import Sandbox

    Make = Callable[..., tuple[Sandbox, Any]]

BATCH_FIELDS = {
    "batch_id",
    "campaign_id",
    "organization_id",
    "status",
    "scheduled_start",
    "concurrency_limit",
    "total_contacts",
    "created_at",
    "counters",
}


@pytest.mark.parametrize("path", ["/batches/", "/batches/upload"])
def test_create_answers_the_documented_fields(
    api: Any, body: Callable[..., dict[str, Any]], path: str
) -> None:
    """A create answers 200 with exactly the documented fields, on both paths."""
    answer = api.post(path, body(2))
    assert answer.status_code == 200
    shown = answer.json()
    assert set(shown) == {
        "batch_id",
        "campaign_id",
        "organization_id",
        "status",
        "total_contacts",
        "created_at",
    }
    assert (shown["campaign_id"], shown["total_contacts"]) == ("cmp_abc123", 2)
    assert shown["status"] == "in_progress"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", shown["created_at"])


def test_create_has_no_idempotency(sandbox: Sandbox, api: Any) -> None:
    """The same body and Idempotency-Key twice make two batches; the header is only logged."""
    from_header = {"headers": {"Idempotency-Key": "rk1_same"}}
    body = {
        "campaign_id": "cmp_abc123",
        "contacts": [{"phone_number": "+15550000000", "call_variables": {"callee_name": "A"}}],
        "metadata": {"reconciler": {"key": "rk1_same", "name": "welcome"}},
    }
    first, second = (api.post("/batches/", body, **from_header).json() for _ in range(2))
    assert first["batch_id"] != second["batch_id"]
    assert [batch.key for batch in sandbox.batches()] == ["rk1_same", "rk1_same"]
    entry = sandbox.log("create")[0]
    assert (entry.idempotency_key, entry.key, entry.name) == ("rk1_same", "rk1_same", "welcome")
    assert (entry.contacts, entry.status, entry.batch_id) == (1, 200, first["batch_id"])


def test_list_rows_carry_no_metadata_and_get_does(api: Any) -> None:
    """Rows of the list have the documented fields without metadata; reading by id adds it."""
    metadata = {"reconciler": {"key": "rk1_x"}, "team": "renewals"}
    batch_id = api.create(metadata=metadata, call_context={"a": 1}, max_retries_override=1)
    (row,) = api.get("/batches/").json()
    assert set(row) == BATCH_FIELDS
    shown = api.batch(batch_id)
    assert set(shown) == BATCH_FIELDS | {"metadata", "call_context", "max_retries_override"}
    assert (shown["metadata"], shown["call_context"]) == (metadata, {"a": 1})
    assert shown["max_retries_override"] == 1
    assert shown["counters"]["total"] == 3


def test_list_filters_and_pages(api: Any) -> None:
    """The list filters by campaign and status, and pages with skip and limit, 50 by default."""
    here = [api.create(1) for _ in range(52)]
    there = api.create(1, campaign_id="cmp_lord_howe")
    api.post(f"/batches/{here[0]}/cancel")
    assert len(api.listed()) == 50
    both = api.listed(limit=30) + api.listed(limit=30, skip=30)
    assert sorted(both) == sorted([*here, there])
    assert api.listed(campaign_id="cmp_lord_howe") == [there]
    assert api.listed(campaign_id="cmp_abc123", status="cancelled") == [here[0]]
    assert api.listed(campaign_id="cmp_nobody_knows") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"skip": -1}, "skip"),
        ({"skip": "x"}, "skip"),
        ({"status": "running"}, "status"),
    ],
)
def test_list_refuses_a_wrong_query(api: Any, query: dict[str, Any], field: str) -> None:
    """A query that makes no sense is a 422 that names the parameter."""
    answer = api.get("/batches/", **query)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", field]


def test_contacts_page_and_filter(api: Any) -> None:
    """Contacts come in the order sent, 100 a page by default, filtered by live status."""
    batch_id = api.create(120, concurrency_limit=5)
    path = f"/batches/{batch_id}/contacts"
    first = api.get(path).json()
    assert len(first) == 100
    assert set(first[0]) == {
        "contact_id",
        "phone_number",
        "call_variables",
        "status",
        "retry_count",
        "follow_up_count",
        "last_attempted_at",
        "next_retry_at",
        "latest_retry_count",
    }
    rest = api.get(path, skip=100).json()
    numbers = [contact["phone_number"] for contact in first + rest]
    assert numbers == [f"+1555{position:07d}" for position in range(120)]
    assert len({contact["contact_id"] for contact in first + rest}) == 120
    assert len(api.get(path, status="dispatched").json()) == 5
    assert len(api.get(path, status="pending", limit=1000).json()) == 115


def test_contacts_with_calls(sandbox: Sandbox, api: Any) -> None:
    """With include_calls each contact carries its call records, a running call as in_progress."""
    batch_id = api.create(1, variables={"sandbox_outcome": ["no_answer", "completed"]})
    path = f"/batches/{batch_id}/contacts"
    sandbox.advance(5)
    (contact,) = api.get(path, include_calls="true").json()
    assert [call["call_status"] for call in contact["calls"]] == ["in_progress"]
    sandbox.advance(7200)
    (contact,) = api.get(path, include_calls="true").json()
    assert [call["call_status"] for call in contact["calls"]] == ["no_answer", "completed"]
    assert contact["calls"][0]["duration_seconds"] == 0
    assert contact["calls"][1]["duration_seconds"] > 0
    assert "calls" not in api.get(path).json()[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/batches/batch_nope"),
        ("GET", "/batches/batch_nope/contacts"),
        ("POST", "/batches/batch_nope/pause"),
        ("POST", "/batches/batch_nope/resume"),
        ("POST", "/batches/batch_nope/cancel"),
    ],
)
def test_unknown_batch(api: Any, method: str, path: str) -> None:
    """A batch that does not exist is the documented 404 everywhere."""
    answer = api.http.request(method, path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Batch not found"})


def test_campaigns(api: Any) -> None:
    """A seeded campaign has the documented fields; an unknown one is the documented 404."""
    shown = api.get("/campaigns/cmp_abc123").json()
    assert (shown["timezone"], shown["status"]) == ("Asia/Kolkata", "active")
    assert shown["retry_policy"] == {
        "max_retries": 2,
        "strategy": "fixed",
        "cooldown_minutes": 30,
    }
    assert shown["metadata"]["concurrency_limit"] == 10
    assert set(shown["working_hours"]) >= {"monday", "sunday"}
    for path in ("", "/stats", "/batches"):
        answer = api.get(f"/campaigns/cmp_unknown{path}")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Campaign not found"})


@pytest.mark.parametrize(
    ("campaign_id", "zone"),
    [
        ("cmp_london", "Europe/London"),
        ("cmp_new_york", "America/New_York"),
        ("cmp_lord_howe", "Australia/Lord_Howe"),
    ],
)
def test_campaigns_in_other_timezones(api: Any, campaign_id: str, zone: str) -> None:
    """The seeded campaigns cover zones with and without half hours and daylight saving."""
    assert api.get(f"/campaigns/{campaign_id}").json()["timezone"] == zone


def test_campaign_stats_and_batches(api: Any) -> None:
    """A campaign's stats add up its batches, and its own list shows only them."""
    first, second = api.create(3), api.create(4)
    api.create(5, campaign_id="cmp_lord_howe")
    api.post(f"/batches/{first}/cancel")
    stats = api.get("/campaigns/cmp_abc123/stats").json()
    assert (stats["total_batches"], stats["total_contacts"]) == (2, 7)
    assert stats["batches"] == {"cancelled": 1, "in_progress": 1}
    assert sum(stats["counters"].values()) == 7
    rows = api.get("/campaigns/cmp_abc123/batches").json()
    assert {row["batch_id"] for row in rows} == {first, second}
    assert len(api.get("/campaigns/cmp_abc123/batches", limit=1, skip=1).json()) == 1


def test_any_campaign_can_be_accepted(make: Make) -> None:
    """With accept_any_campaign unknown ids appear in Asia/Kolkata, but for cmp_missing ones."""
    _, api = make(accept_any_campaign=True)
    assert api.get("/campaigns/cmp_whatever").json()["timezone"] == "Asia/Kolkata"
    assert api.create(campaign_id="cmp_something_else")
    assert api.get("/campaigns/cmp_missing_one").status_code == 404


def test_control_answers(api: Any) -> None:
    """Pause, resume and cancel answer batch_id, status and message; repeating one is no error."""
    batch_id = api.create()
    for verb, status in (
        ("pause", "paused"),
        ("pause", "paused"),
        ("resume", "in_progress"),
        ("resume", "in_progress"),
        ("cancel", "cancelled"),
    ):
        answer = api.post(f"/batches/{batch_id}/{verb}")
        assert answer.status_code == 200
        assert set(answer.json()) == {"batch_id", "status", "message"}
        assert answer.json()["status"] == status == api.batch(batch_id)["status"]


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_an_ended_batch_takes_no_order(api: Any, verb: str) -> None:
    """Pausing, resuming or cancelling what has ended is a 400 that says so."""
    batch_id = api.create()
    api.post(f"/batches/{batch_id}/cancel")
    answer = api.post(f"/batches/{batch_id}/{verb}")
    assert answer.status_code == 400
    assert answer.json() == {"detail": f"Cannot {verb} a batch that is cancelled"}


def test_a_paused_campaign_pauses_its_batches(sandbox: Sandbox, api: Any) -> None:
    """A batch of a paused campaign is born paused, calls nobody and cannot be resumed."""
    batch_id = api.create(campaign_id="cmp_paused")
    sandbox.advance(86_400)
    assert api.batch(batch_id)["status"] == "paused"
    assert sandbox.dials() == []
    assert api.post(f"/batches/{batch_id}/resume").status_code == 400


def test_token_validation(api: Any) -> None:
    """The token endpoint that a public client uses exists."""
    answer = api.get("/api-tokens/validate-token")
    assert (answer.status_code, answer.json()["valid"]) == (200, True)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer nope", "Basic gat_test", "gat_test"]
)
def test_wrong_tokens_are_refused(sandbox: Sandbox, api: Any, header: str | None) -> None:
    """Without a bearer token that begins with gat_ every endpoint answers 401 with a detail."""
    del api.http.headers["Authorization"]
    headers = {} if header is None else {"Authorization": header}
    answer = api.http.post("/batches/", json={}, headers=headers)
    assert answer.status_code == 401
    assert isinstance(answer.json()["detail"], str)
    assert sandbox.batches() == []


def test_one_token_can_be_demanded(make: Make) -> None:
    """A sandbox with a token accepts that one only."""
    only = "gat_the_one"
    _, good = make(token=only, bearer=only)
    _, bad = make(token=only)
    assert good.get("/batches/").status_code == 200
    assert bad.get("/batches/").status_code == 401


def test_organizations(make: Make, api: Any) -> None:
    """Any organisation goes unless one is set; then requests that name another are refused."""
    assert api.get("/batches/", organization_id="org_any").status_code == 200
    assert api.batch(api.create(organization_id="org_any"))["organization_id"] == "org_any"
    _, strict = make(organization="org_mine")
    assert strict.batch(strict.create())["organization_id"] == "org_mine"
    assert strict.get("/batches/", organization_id="org_mine").status_code == 200
    assert strict.get("/batches/", organization_id="org_other").status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "location"),
    [
        ("POST", "/batches", "/batches/"),
        ("GET", "/batches?limit=7", "/batches/?limit=7"),
        ("GET", "/campaigns/cmp_abc123/", "/campaigns/cmp_abc123"),
    ],
)
def test_slash_mismatch_redirects(
    sandbox: Sandbox, api: Any, method: str, path: str, location: str
) -> None:
    """A path that differs in its last slash is redirected with 307, as FastAPI does."""
    answer = api.http.request(method, path)
    assert answer.status_code == 307
    assert answer.headers["location"] == sandbox.url + location
    assert sandbox.log()[-1].status == 307


def test_unknown_paths_and_methods(api: Any) -> None:
    """What is no endpoint is a 404 or 405 with a detail."""
    assert api.get("/nope").json() == {"detail": "Not Found"}
    answer = api.http.patch("/batches/batch_x")
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})


def test_the_server_has_one_clock(make: Make) -> None:
    """The Date header and created_at both show simulated time."""
    sandbox, api = make(speed=0.0)
    sandbox.advance(10 * 365 * 86_400)
    answer = api.get("/batches/")
    assert str(sandbox.now().year) in answer.headers["date"]
    assert api.batch(api.create())["created_at"].startswith(f"{sandbox.now():%Y-%m-%dT%H:%M}")


def test_the_log_holds_neither_token_nor_numbers(sandbox: Sandbox, api: Any) -> None:
    """Log entries tell what happened without the token and without whom it concerned."""
    api.create()
    text = repr(sandbox.log())
    assert "gat_test" not in text
    assert "+1555" not in text


def test_oracles_do_not_print_numbers(sandbox: Sandbox, api: Any) -> None:
    """A failing assertion about batches or dials shows no phone number."""
    api.create()
    sandbox.advance(60)
    assert sandbox.dials()
    assert "+1555" not in repr(sandbox.dials()) + repr(sandbox.batches())
