"""Each kind of fault strikes where and as often as its rule says."""

from __future__ import annotations

import json
import threading
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from reconciler.sandbox.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.sandbox import Sandbox

    Body = Callable[..., dict[str, Any]]
    Make = Callable[..., tuple[Sandbox, Any]]

EFFECT = [("before", 0), ("after", 1)]


@pytest.mark.parametrize(("when", "made"), EFFECT)
@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503, 504])
def test_status(sandbox: Sandbox, api: Any, body: Body, *, code: int, when: str, made: int) -> None:
    """Any status can be answered, before the batch exists or after, with a JSON detail."""
    sandbox.faults.add(operation="create", kind="status", code=code, when=when)
    answer = api.post("/batches/", body())
    assert answer.status_code == code
    assert isinstance(answer.json()["detail"], str)
    assert len(sandbox.batches()) == made
    assert api.post("/batches/", body()).status_code == 200, "a rule strikes once by default"
    entry = sandbox.log("create")[0]
    assert (entry.fault, entry.status) == ("status", code)


def test_status_with_bodies_and_headers(sandbox: Sandbox, api: Any) -> None:
    """The answer's body may be JSON or any text, its headers anything."""
    sandbox.faults.add(operation="list", kind="status", code=502, body="<html>Bad gateway</html>")
    answer = api.get("/batches/")
    assert (answer.status_code, answer.text) == (502, "<html>Bad gateway</html>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    detail = {"detail": [{"loc": ["body", "contacts", 17, "phone_number"], "msg": "no"}]}
    sandbox.faults.add(kind="status", code=422, body=detail, headers={"X-Request-Id": "r1"})
    answer = api.get("/batches/")
    assert (answer.json(), answer.headers["x-request-id"]) == (detail, "r1")


def test_retry_after(sandbox: Sandbox, api: Any) -> None:
    """Retry-After comes as seconds, or as an HTTP date by the server's clock."""
    sandbox.faults.add(kind="status", code=429, retry_after=7)
    assert api.get("/batches/").headers["retry-after"] == "7"
    sandbox.faults.add(kind="status", code=503, retry_after=90, retry_after_as_date=True)
    headers = api.get("/batches/").headers
    when, now = (parsedate_to_datetime(headers[name]) for name in ("retry-after", "date"))
    assert (when - now).total_seconds() == 90


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_redirects(sandbox: Sandbox, api: Any, body: Body, code: int) -> None:
    """A create can be redirected, also to another host, though the batch exists."""
    elsewhere = {"Location": "http://elsewhere.invalid/"}
    sandbox.faults.add(
        operation="create", kind="status", code=code, when="after", headers=elsewhere
    )
    answer = api.post("/batches/", body())
    assert (answer.status_code, answer.headers["location"]) == (code, elsewhere["Location"])
    assert len(sandbox.batches()) == 1
    sandbox.faults.add(kind="status", code=code)
    assert api.get("/batches/").headers["location"] == "/api/v1/batches/"


@pytest.mark.parametrize(("when", "made"), EFFECT)
def test_reset(sandbox: Sandbox, api: Any, body: Body, when: str, made: int) -> None:
    """The connection breaks with a real RST; after the effect the batch is durable by then."""
    sandbox.faults.add(operation="create", kind="reset", when=when)
    with pytest.raises(httpx.ReadError, match="reset by peer"):
        api.post("/batches/", body())
    assert len(sandbox.batches()) == made
    (entry,) = sandbox.log("create")
    assert (entry.fault, entry.status, entry.finished) == ("reset", None, True)
    assert (entry.batch_id is not None) == bool(made)


@pytest.mark.parametrize(("when", "made"), EFFECT)
def test_close(sandbox: Sandbox, api: Any, body: Body, when: str, made: int) -> None:
    """The connection is closed in order, without a response."""
    sandbox.faults.add(operation="create", kind="close", when=when)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        api.post("/batches/", body())
    assert len(sandbox.batches()) == made


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_truncated(sandbox: Sandbox, api: Any, body: Body, keep: float) -> None:
    """A response ends before the length it announced; the batch exists."""
    sandbox.faults.add(operation="create", kind="truncated", keep=keep)
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        api.post("/batches/", body())
    assert len(sandbox.batches()) == 1


@pytest.mark.parametrize(("when", "made"), EFFECT)
def test_garbage(sandbox: Sandbox, api: Any, body: Body, when: str, made: int) -> None:
    """A 2xx whose body is no JSON."""
    sandbox.faults.add(operation="create", kind="garbage", when=when, body='{"batch_id": ')
    answer = api.post("/batches/", body())
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert len(sandbox.batches()) == made


def test_no_batch_id(sandbox: Sandbox, api: Any, body: Body) -> None:
    """A 2xx without batch_id, with null, or with something that is no id."""
    sandbox.faults.add(operation="create", kind="no_batch_id")
    sandbox.faults.add(operation="create", kind="no_batch_id", null=True)
    sandbox.faults.add(operation="create", kind="no_batch_id", value=42)
    answers = [api.post("/batches/", body()).json() for _ in range(3)]
    assert "batch_id" not in answers[0]
    assert [answer["batch_id"] for answer in answers[1:]] == [None, 42]
    assert all("campaign_id" in answer for answer in answers)
    assert len(sandbox.batches()) == 3


def test_wrong_total(sandbox: Sandbox, api: Any, body: Body) -> None:
    """A 2xx whose total_contacts is not what was sent; the batch has them all."""
    sandbox.faults.add(operation="create", kind="wrong_total", total=2)
    assert api.post("/batches/", body(3)).json()["total_contacts"] == 2
    assert sandbox.batches()[0].total_contacts == 3


@pytest.mark.parametrize(("when", "made"), EFFECT)
@pytest.mark.parametrize("then", ["close", "reset"])
def test_hang(sandbox: Sandbox, api: Any, body: Body, *, when: str, made: int, then: str) -> None:
    """No answer for a while, then a broken connection."""
    sandbox.faults.add(operation="create", kind="hang", when=when, seconds=0.05, then=then)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        api.post("/batches/", body())
    assert len(sandbox.batches()) == made


def test_hang_outlasts_the_client(sandbox: Sandbox, api: Any, body: Body) -> None:
    """A client gives up on a hanging request; the batch exists nevertheless."""
    sandbox.faults.add(operation="create", kind="hang", when="after")
    with pytest.raises(httpx.ReadTimeout):
        api.post("/batches/", body(), timeout=0.2)
    assert len(sandbox.batches()) == 1


def test_hang_then_answer(sandbox: Sandbox, api: Any, body: Body) -> None:
    """A request may be answered after all, in order."""
    sandbox.faults.add(operation="create", kind="hang", seconds=0.05, then="answer")
    assert api.post("/batches/", body()).status_code == 200
    assert len(sandbox.batches()) == 1


def test_slow(sandbox: Sandbox, api: Any) -> None:
    """The body drips in pieces and is whole in the end."""
    batch_id = api.create()
    sandbox.faults.add(operation="get", kind="slow", seconds=0.2, pieces=4)
    begin = time.monotonic()
    with api.http.stream("GET", f"/batches/{batch_id}") as answer:
        pieces = [piece for piece in answer.iter_raw() if piece]
    assert time.monotonic() - begin >= 0.2
    assert len(pieces) == 4
    assert json.loads(b"".join(pieces))["batch_id"] == batch_id


@pytest.mark.parametrize("then", ["close", "reset", "status", "hang"])
def test_late(sandbox: Sandbox, api: Any, body: Body, then: str) -> None:
    """The batch comes into being, and calls, only so many seconds after the client gave up."""
    sandbox.faults.add(operation="create", kind="late", seconds=30, then=then)
    if then == "status":
        assert api.post("/batches/", body()).status_code == 504
    else:
        with pytest.raises(httpx.TransportError):
            api.post("/batches/", body(), timeout=0.3 if then == "hang" else 5)
    begin = sandbox.now()
    sandbox.advance(29)
    assert (sandbox.batches(), api.listed()) == ([], [])
    sandbox.advance(1)
    (batch,) = sandbox.batches()
    assert (batch.created_at - begin).total_seconds() == 30
    assert api.listed() == [batch.batch_id]
    sandbox.advance(60)
    assert {dial.at > batch.created_at for dial in sandbox.dials()} == {True}


def test_a_late_create_that_is_invalid_never_arrives(sandbox: Sandbox, api: Any) -> None:
    """What would have been refused makes no batch later either."""
    sandbox.faults.add(operation="create", kind="late", then="status")
    api.post("/batches/", {"campaign_id": "cmp_unknown"})
    sandbox.advance(3600)
    assert sandbox.batches() == []


def test_doubled(sandbox: Sandbox, api: Any) -> None:
    """One create makes two batches; the client hears of the second."""
    batch_id = api.create() if sandbox.faults.add(operation="create", kind="doubled") else ""
    assert [batch.batch_id for batch in sandbox.batches()][1:] == [batch_id]


@pytest.mark.parametrize(("when", "made"), EFFECT)
def test_hold(sandbox: Sandbox, api: Any, body: Body, when: str, made: int) -> None:
    """A held create waits at exactly the point its rule says, and goes on when released."""
    rule = sandbox.faults.add(operation="create", kind="hold", when=when)
    answers: list[httpx.Response] = []
    client = threading.Thread(target=lambda: answers.append(api.post("/batches/", body())))
    client.start()
    (held,) = sandbox.faults.wait_held(rule)
    assert len(sandbox.batches()) == made
    (entry,) = sandbox.log("create")
    assert (held["request"], entry.finished, answers) == (entry.id, False, [])
    assert sandbox.faults.release(rule) == 1
    client.join()
    assert answers[0].status_code == 200
    assert len(sandbox.batches()) == 1
    assert sandbox.faults.held() == []


def test_hold_outlives_the_client(sandbox: Sandbox, api: Any, body: Body) -> None:
    """A create held before its effect takes place when released, its client long gone."""
    rule = sandbox.faults.add(operation="create", kind="hold")
    with pytest.raises(httpx.ReadTimeout):
        api.post("/batches/", body(), timeout=0.1)
    sandbox.faults.wait_held(rule)
    assert sandbox.batches() == []
    sandbox.faults.release()
    _wait_until(lambda: sandbox.log("create")[0].finished)
    assert len(sandbox.batches()) == 1


@pytest.mark.parametrize("then", ["close", "reset"])
def test_hold_then_break(sandbox: Sandbox, api: Any, body: Body, then: str) -> None:
    """A held request may end in a broken connection when it is released."""
    rule = sandbox.faults.add(operation="create", kind="hold", when="after", then=then)

    def open_gate() -> None:
        sandbox.faults.wait_held(rule)
        sandbox.faults.release(rule)

    opener = threading.Thread(target=open_gate)
    opener.start()
    with pytest.raises(httpx.TransportError):
        api.post("/batches/", body())
    opener.join()
    assert len(sandbox.batches()) == 1


def test_waiting_for_a_hold_ends(sandbox: Sandbox) -> None:
    """Waiting for a request that never comes ends with an error."""
    with pytest.raises(TimeoutError):
        sandbox.faults.wait_held(timeout=0.01)


@pytest.mark.parametrize("gettable", [True, False])
def test_invisible(sandbox: Sandbox, api: Any, *, gettable: bool) -> None:
    """A created batch is absent from lists for a while, readable by its id or not."""
    sandbox.faults.add(operation="create", kind="invisible", seconds=60, gettable=gettable)
    batch_id = api.create()
    assert api.listed() == api.listed(campaign_id="cmp_abc123") == []
    assert api.get(f"/batches/{batch_id}").status_code == (200 if gettable else 404)
    assert api.post(f"/batches/{batch_id}/pause").status_code == (200 if gettable else 404)
    assert len(sandbox.batches()) == 1
    sandbox.advance(60)
    assert api.listed() == [batch_id]
    assert api.get(f"/batches/{batch_id}").status_code == 200


def test_invisible_for_ever(sandbox: Sandbox, api: Any) -> None:
    """A batch may never show up in lists."""
    sandbox.faults.add(operation="create", kind="invisible")
    api.create()
    sandbox.advance(20 * 365 * 86_400)
    assert api.listed() == []


def test_storm(sandbox: Sandbox, api: Any, body: Body) -> None:
    """In a storm everything is answered 429, until its time is over."""
    sandbox.faults.add(kind="storm", seconds=30, retry_after=5)
    answers = [api.post("/batches/", body()), api.get("/batches/"), api.get("/campaigns/cmp_x")]
    assert {answer.status_code for answer in answers} == {429}
    assert {answer.headers["retry-after"] for answer in answers} == {"5"}
    sandbox.advance(31)
    assert api.get("/batches/").status_code == 200
    assert sandbox.batches() == []


@pytest.mark.parametrize("verb", ["pause", "cancel"])
@pytest.mark.parametrize(("when", "done"), EFFECT)
def test_controls_have_effects(
    sandbox: Sandbox, api: Any, *, verb: str, when: str, done: int
) -> None:
    """A control whose answer is lost has taken effect, or not, as the rule says."""
    batch_id = api.create()
    sandbox.faults.add(operation=verb, kind="close", when=when)
    with pytest.raises(httpx.RemoteProtocolError):
        api.post(f"/batches/{batch_id}/{verb}")
    changed = {"pause": "paused", "cancel": "cancelled"}[verb]
    assert api.batch(batch_id)["status"] == (changed if done else "in_progress")


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("list", "/batches/"),
        ("get", "/batches/{id}"),
        ("contacts", "/batches/{id}/contacts"),
        ("campaign", "/campaigns/cmp_abc123"),
        ("campaign_stats", "/campaigns/cmp_abc123/stats"),
        ("campaign_batches", "/campaigns/cmp_abc123/batches"),
        ("validate_token", "/api-tokens/validate-token"),
    ],
)
def test_reads_fail_too(sandbox: Sandbox, api: Any, operation: str, path: str) -> None:
    """A rule for one operation strikes that one and leaves the others alone."""
    batch_id = api.create()
    sandbox.faults.add(operation=operation, kind="status", code=503)
    sandbox.faults.add(operation="pause", kind="status", code=500)
    assert api.get(path.format(id=batch_id)).status_code == 503
    assert api.get(path.format(id=batch_id)).status_code == 200


def test_after_and_times(sandbox: Sandbox, api: Any) -> None:
    """A rule skips the first matches and strikes so many times, or always."""
    sandbox.faults.add(operation="list", kind="status", code=500, after=2, times=2)
    codes = [api.get("/batches/").status_code for _ in range(6)]
    assert codes == [200, 200, 500, 500, 200, 200]
    sandbox.faults.clear()
    sandbox.faults.add(operation="list", kind="status", code=500, times=None)
    assert {api.get("/batches/").status_code for _ in range(5)} == {500}


def test_rules_in_sequence(sandbox: Sandbox, api: Any) -> None:
    """Rules that decide about the answer take turns in the order they were added."""
    for code in (500, 429, 503):
        sandbox.faults.add(operation="list", kind="status", code=code)
    codes = [api.get("/batches/").status_code for _ in range(4)]
    assert codes == [500, 429, 503, 200]


def test_match(sandbox: Sandbox, api: Any) -> None:
    """A rule narrows by campaign, and by key and name out of the batch's metadata."""
    marked = {"reconciler": {"key": "rk1_a", "name": "renewals/2026-05"}}
    one, other = api.create(metadata=marked), api.create()
    for match in ({"key": "rk1_a"}, {"name": "renewals/2026-05"}, {"batch_id": one}):
        sandbox.faults.add(operation="get", kind="status", code=500, match=match)
        assert api.get(f"/batches/{other}").status_code == 200
        assert api.get(f"/batches/{one}").status_code == 500
    sandbox.faults.add(kind="status", code=500, match={"campaign_id": "cmp_london"})
    assert api.get("/batches/", campaign_id="cmp_abc123").status_code == 200
    assert api.get("/batches/", campaign_id="cmp_london").status_code == 500


def test_probability_is_seeded(make: Make) -> None:
    """A rule with a probability strikes about so often, the same way for the same seed."""

    def codes(seed: int) -> list[int]:
        sandbox, api = make(seed=seed)
        sandbox.faults.add(kind="status", code=500, probability=0.5, times=None)
        return [api.get("/campaigns/cmp_abc123").status_code for _ in range(40)]

    first = codes(1)
    assert first == codes(1) != codes(2)
    assert 8 < first.count(500) < 32


def test_rules_are_listed_and_removed(sandbox: Sandbox, api: Any) -> None:
    """The rules in force show how often they met and struck a request."""
    rule = sandbox.faults.add({"operation": "list", "kind": "status", "after": 1})
    api.get("/batches/")
    api.get("/batches/")
    (shown,) = sandbox.faults.rules()
    assert (shown["id"], shown["kind"], shown["code"]) == (rule, "status", 500)
    assert (shown["seen"], shown["applied"]) == (2, 1)
    assert sandbox.faults.remove(rule)
    assert not sandbox.faults.remove(rule)
    assert sandbox.faults.rules() == []


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"kind": "explode"},
        {"kind": ["status"]},
        {"kind": "status", "operation": "create everything"},
        {"kind": "wrong_total", "operation": "list"},
        {"kind": "status", "when": "during"},
        {"kind": "status", "code": "500"},
        {"kind": "status", "code": True},
        {"kind": "status", "colour": "red"},
        {"kind": "status", "times": 1.5},
        {"kind": "status", "after": None},
        {"kind": "status", "probability": 2},
        {"kind": "status", "match": {"phone": "x"}},
        {"kind": "hang", "then": "explode"},
    ],
)
def test_wrong_rules_are_refused(sandbox: Sandbox, rule: dict[str, Any]) -> None:
    """A rule that is not in order is refused when it is added, not when it should strike."""
    with pytest.raises(ValueError, match=r"\w"):
        sandbox.faults.add(rule)
    assert sandbox.faults.rules() == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_defaults(sandbox: Sandbox, kind: str) -> None:
    """Every kind can be added with nothing but its name."""
    assert sandbox.faults.add(kind=kind)


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)
