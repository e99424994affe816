from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.models import as_id
from reconciler.api.outcome import classify_response
from reconciler.api.privacy import Scrubber
from reconciler.observed import Created, FieldProblem, Outcome, Rejected, Unknown

NOW = datetime(2026, 5, 12, 9, 0, tzinfo=UTC)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text() | st.floats(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
BODIES = st.one_of(
    st.binary(),
    JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({}, optional={"batch_id": JSON_VALUES, "detail": JSON_VALUES}).map(
        lambda value: json.dumps(value).encode()
    ),
)
HEADERS = st.dictionaries(st.sampled_from(["Retry-After", "retry-after", "X"]), st.text())


def classify(status: int, body: Any = None, headers: dict[str, str] | None = None) -> Outcome:
    """Classify an answer given as JSON value or bytes."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return classify_response(status, headers or {}, raw, now=NOW)


@given(status=st.integers(-10, 1100), headers=HEADERS, body=BODIES)
def test_any_answer_has_an_outcome_and_created_needs_a_2xx_with_an_id(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    """Whatever comes back, there is an outcome, and only a 2xx that names a batch is created."""
    outcome = classify_response(status, headers, body, now=NOW)
    match outcome:
        case Created():
            assert 200 <= status < 300
            sent_id = json.loads(body)["batch_id"]
            assert as_id(sent_id) == outcome.batch_id == str(sent_id)
        case Rejected():
            assert 400 <= status < 500
            assert status not in {408, 499}
            assert outcome.retry_after is None or outcome.retry_after >= 0
            assert outcome.reason.isprintable()
        case Unknown():
            assert not (400 <= status < 500) or status in {408, 499}
            assert outcome.reason.isprintable()


def test_a_documented_answer_is_created() -> None:
    """The vendor's own example."""
    body = {"batch_id": "bat_1", "status": "in_progress", "total_contacts": 2, "more": [1]}
    assert classify(200, body) == Created("bat_1", "in_progress", 2)


def test_a_number_is_an_id_and_odd_extras_do_not_matter() -> None:
    """Only the id decides: what else is odd becomes None."""
    body = {"batch_id": 17, "status": ["x"], "total_contacts": "many"}
    assert classify(201, body) == Created("17")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"batch_id": "bat', id="cut short"),
        pytest.param(b"<html>ok</html>", id="a web page"),
        pytest.param(b'["bat_1"]', id="not an object"),
        pytest.param({"id": "bat_1"}, id="another field"),
        pytest.param({"batch_id": None}, id="null"),
        pytest.param({"batch_id": ""}, id="empty"),
        pytest.param({"batch_id": True}, id="a boolean is no number"),
        pytest.param({"batch_id": 0}, id="zero"),
        pytest.param({"batch_id": -4}, id="negative"),
        pytest.param({"batch_id": ".."}, id="would walk up the path"),
        pytest.param({"batch_id": "a b"}, id="a space"),
        pytest.param({"batch_id": "a/b"}, id="a slash"),
        pytest.param({"batch_id": "bat_1\n"}, id="a line break"),
        pytest.param({"batch_id": "x" * 201}, id="too long"),
    ],
)
def test_a_2xx_without_a_valid_id_is_unknown(body: Any) -> None:
    """The API said yes, but not to what: the batch may exist."""
    assert isinstance(classify(200, body), Unknown)


@pytest.mark.parametrize("status", [100, 101, 199, 300, 307, 408, 499, 500, 502, 503, 504, 600])
def test_statuses_that_leave_it_open_are_unknown(status: int) -> None:
    """A server that failed, redirected or stopped waiting may have worked."""
    outcome = classify(status, {"detail": "upstream"})
    assert isinstance(outcome, Unknown)
    assert outcome.status == status
    assert str(status) in outcome.reason


def test_a_redirect_tells_where_to_look() -> None:
    """A redirect usually means a wrong base URL."""
    outcome = classify(307)
    assert isinstance(outcome, Unknown)
    assert "GRAINE_API_URL" in outcome.reason


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 418, 422])
def test_a_4xx_is_a_rejection_for_good(status: int) -> None:
    """The API looked and said no; asking again changes nothing."""
    outcome = classify(status, {"detail": "no"}, {"Retry-After": "5"})
    assert isinstance(outcome, Rejected)
    assert (outcome.status, outcome.retry, outcome.retry_after) == (status, False, None)
    assert outcome.reason == f"HTTP {status}: no"


@pytest.mark.parametrize("status", [401, 403, 404, 413, 422])
def test_common_rejections_say_what_to_do(status: int) -> None:
    """A person learns what to type or check next."""
    outcome = classify(status, {})
    assert isinstance(outcome, Rejected)
    assert outcome.hint


@pytest.mark.parametrize(
    ("status", "place", "message", "cut"),
    [
        (413, None, "Request body too large", True),
        (422, ["body", "contacts"], "List should have at most 50000 items, not 60000", True),
        (422, ["contacts"], "too many contacts", True),
        (422, ["body", "contacts"], "List should have at least 1 item", False),
        (422, ["body", "contacts", 3, "phone_number"], "String is too long", False),
        (422, ["body", "metadata"], "List should have at most 50 items", False),
        (403, ["body", "contacts"], "too many contacts", False),
    ],
)
def test_a_list_that_is_too_long_is_cut_by_a_setting(
    status: int, place: list[str | int] | None, message: str, *, cut: bool
) -> None:
    """Whoever has too many people in one batch learns which field cuts the list."""
    detail = message if place is None else [{"loc": place, "msg": message}]
    outcome = classify(status, {"detail": detail})
    assert isinstance(outcome, Rejected)
    assert ("`reconcile: {split: {max_contacts: N}}`" in outcome.hint) == cut


def test_an_unknown_campaign_points_at_the_spec_and_the_organisation() -> None:
    """The vendor's 404 means either of the two."""
    outcome = classify(404, {"detail": "Campaign not found or does not belong to this org"})
    assert isinstance(outcome, Rejected)
    assert "campaign_id" in outcome.hint
    assert "GRAINE_ORG_ID" in outcome.hint


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param("7", 7.0, id="seconds"),
        pytest.param("0.5", 0.5, id="a fraction some servers send"),
        pytest.param("-3", 0.0, id="negative"),
        pytest.param("Tue, 12 May 2026 09:00:30 GMT", 30.0, id="a date"),
        pytest.param("Tue, 12 May 2026 08:00:00 GMT", 0.0, id="a date gone by"),
        pytest.param("soon", None, id="words"),
        pytest.param("9" * 40, None, id="absurd"),
        pytest.param("", None, id="empty"),
    ],
)
def test_429_may_be_asked_again_after_a_while(header: str, seconds: float | None) -> None:
    """`Retry-After` is seconds or a date, and never negative."""
    outcome = classify(429, {"detail": "slow down"}, {"retry-AFTER": header})
    assert isinstance(outcome, Rejected)
    assert outcome.retry
    assert outcome.retry_after == seconds


def test_a_422_names_the_fields_and_never_echoes_the_input() -> None:
    """FastAPI repeats what it was sent in `input` and `ctx`; nobody needs to see that."""
    body = {
        "detail": [
            {
                "loc": ["body", "contacts", 17, "phone_number"],
                "msg": "not a number: +919876543210",
                "type": "value_error",
                "input": "Asha Rao",
                "ctx": {"who": "Asha Rao"},
            },
            {"loc": ["query", "x"], "msg": "Field required"},
            {"loc": "odd"},
            "text",
            7,
        ]
    }
    outcome = classify(422, body)
    assert isinstance(outcome, Rejected)
    assert outcome.problems == (
        FieldProblem(("contacts", 17, "phone_number"), "not a number: +91********10"),
        FieldProblem(("query", "x"), "Field required"),
        FieldProblem((), "no reason given"),
        FieldProblem((), "text"),
        FieldProblem((), "no reason given"),
    )
    assert outcome.reason == (
        "HTTP 422: contacts[17].phone_number: not a number: +91********10; "
        "query.x: Field required; no reason given; and 2 more"
    )
    assert "Asha" not in repr(outcome)


def test_ten_thousand_complaints_stay_readable() -> None:
    """A broken contact list draws a complaint a row; a message holds a few."""
    body = {"detail": [{"loc": ["body", "contacts", n], "msg": "bad"} for n in range(10_000)]}
    outcome = classify(422, body)
    assert isinstance(outcome, Rejected)
    assert outcome.reason.endswith("and 9997 more")
    assert len(outcome.problems) == 50


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param({"detail": {"message": "no", "input": "Asha"}}, "HTTP 400: no", id="object"),
        pytest.param({"detail": {"input": "Asha"}}, "HTTP 400", id="only an echo"),
        pytest.param({"error": "no"}, "HTTP 400: no", id="another style"),
        pytest.param(b"no\n\x1b[31mway", "HTTP 400: no [31mway", id="text with a terminal code"),
        pytest.param(b'{"detail": [{"input": "Asha', "HTTP 400", id="JSON cut short"),
        pytest.param(b'"Asha"', "HTTP 400", id="a bare JSON text"),
        pytest.param(
            b"<html><title>Bad\n Gateway</title><p>Asha",
            "HTTP 400: a web page, \u201cBad Gateway\u201d",
            id="a web page",
        ),
        pytest.param(b"<p>Asha", "HTTP 400: a web page", id="a web page without a title"),
    ],
)
def test_other_explanations_become_one_short_line(body: Any, reason: str) -> None:
    """Whatever a gateway says, a message stays one line without an echo of the request."""
    outcome = classify(400, body)
    assert isinstance(outcome, Rejected)
    assert outcome.reason == reason


def test_what_the_request_held_is_blotted_out_of_the_explanation() -> None:
    """An API that quotes a call variable does not make it public."""
    variables = {"callee_name": "Asha Rao", "plan": {"kind": "Gold"}, "policy": 55443322}
    sent = {"contacts": [{"phone_number": "+919876543210", "call_variables": variables}]}
    scrub = Scrubber("gat_token", json.dumps(sent).encode())
    said = {"detail": "Asha  Rao (+919876543210), Gold, 55443322 came with gat_token"}
    outcome = classify_response(400, {}, json.dumps(said).encode(), now=NOW, scrub=scrub)
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "HTTP 400: *** (+91********10), ***, *** came with ***"
