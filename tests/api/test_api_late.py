"""A process that was suspended on the way to sending: what its time is over for stays here."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.api import client as client_module
from reconciler.errors import TooLate
from reconciler.model import LongBody
from reconciler.observed import Created, Rejected, Unknown
from reconciler.spec.lists.spool import Spooling, as_lines
from tests.api.test_api_create import BODY, KEY, OK, hang, sending

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.model import Contact
    from tests.api.conftest import MakeApi, MakeServer, RawServer, StillClock

NOW = 100.0  # what the clock that stands still says
SUSPENDED = 1000.0


def whole(request: bytes) -> bool:
    """Whether a request arrived to its end."""
    head, _, body = request.partition(b"\r\n\r\n")
    return f"content-length: {len(body)}\r\n".encode() in head.lower() + b"\r\n"


@pytest.fixture(params=[False, True], ids=["a new connection", "a kept connection"])
def kept(request: pytest.FixtureRequest) -> bool:
    """Say whether there is a connection already."""
    return bool(request.param)


def test_a_create_that_comes_too_late_is_not_sent(
    raw_server: MakeServer, make_api: MakeApi, *, kept: bool
) -> None:
    """It certainly does not exist, and so may be tried again."""
    server = raw_server(sending(OK), keep=True)
    api = make_api(server.url)
    if kept:
        assert isinstance(api.create(BODY, KEY, send_by=NOW), Created)
    outcome = api.create(BODY, KEY, send_by=NOW - 1)
    assert isinstance(outcome, Rejected)
    assert (outcome.too_late, outcome.retry, outcome.status) == (True, True, None)
    assert outcome.reason == "its time was over before all of it was sent"
    server.close()
    assert len(server.requests) == kept


def test_a_create_that_was_suspended_while_connecting_is_not_sent(
    raw_server: MakeServer,
    make_api: MakeApi,
    still_clock: StillClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The clock is looked at after the connection is there, and not only before."""
    server = raw_server(sending(OK))
    resolve, passed = socket.getaddrinfo, [0.0]

    def suspended(*args: Any, **kwargs: Any) -> Any:
        passed.append(SUSPENDED)
        return resolve(*args, **kwargs)

    monkeypatch.setattr(type(still_clock), "elapsed", lambda _: NOW + sum(passed))
    monkeypatch.setattr(socket, "getaddrinfo", suspended)
    outcome = make_api(server.url).create(BODY, KEY)
    assert isinstance(outcome, Rejected)
    assert outcome.too_late
    server.close()
    assert server.requests == []


def suspended_at(
    look: int, monkeypatch: pytest.MonkeyPatch, still_clock: StillClock
) -> Callable[[], int]:
    """Let the clock jump before it is looked at for that time; give how often it was asked."""
    looks = 0

    def elapsed(_: StillClock) -> float:
        nonlocal looks
        looks += 1
        return NOW + (SUSPENDED if looks >= look else 0.0)

    monkeypatch.setattr(type(still_clock), "elapsed", elapsed)
    return lambda: looks


def judged(outcome: object, server: RawServer) -> None:
    """Require that what is said of a create is true of what arrived."""
    server.close()
    arrived = [request for request in server.requests if whole(request)]
    match outcome:
        case Created():
            assert len(arrived) == 1
        case Rejected():
            assert outcome.too_late
            assert server.requests == []
        case _:
            assert isinstance(outcome, Unknown)
            assert arrived == [], "half a request creates nothing"


@pytest.mark.parametrize("long", [False, True], ids=["held", "not held"])
def test_wherever_a_create_is_suspended_the_outcome_is_true(
    raw_server: MakeServer,
    make_api: MakeApi,
    still_clock: StillClock,
    monkeypatch: pytest.MonkeyPatch,
    *,
    long: bool,
) -> None:
    """The clock jumps before the first look, the second, and so on: all ends are met on the way."""
    people: list[Contact] = [
        {"phone_number": f"+14155550{index:03}", "call_variables": {"callee_name": "Asha"}}
        for index in range(300)
    ]
    monkeypatch.setattr(client_module, "_PIECE", 5_000)
    spooling = Spooling()
    spooling.add(as_lines(people))
    contacts = spooling.sorted()
    body = (
        LongBody(b'{"campaign_id":"c","contacts":[', contacts)
        if long
        else json.dumps({"campaign_id": "c", "contacts": people}).encode()
    )
    met: list[type] = []
    look, looks = 0, 0
    while look <= looks:
        look += 1
        server = raw_server(answer)
        asked = suspended_at(look, monkeypatch, still_clock)
        outcome = make_api(server.url).create(body, KEY, send_by=NOW)
        looks = asked()
        judged(outcome, server)
        met.append(type(outcome))
    assert set(met) == {Rejected, Unknown, Created}
    assert met.count(Unknown) > 3, "each piece is sent only if it is still in time"


@pytest.mark.parametrize("call", ["batch", "resume"])
def test_what_has_no_body_is_sent_or_not(
    raw_server: MakeServer,
    make_api: MakeApi,
    still_clock: StillClock,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
) -> None:
    """Once its headers are out all of it is, and its answer counts, however late that is."""
    row = b'{"batch_id": "b1", "status": "paused"}'
    yes = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(row), row)
    kept_back, look, looks = 0, 0, 0
    hints: set[str] = set()
    while look <= looks:
        look += 1
        server = raw_server(sending(yes))
        asked = suspended_at(look, monkeypatch, still_clock)
        api = make_api(server.url, tries=1)
        try:
            api.batch("b1") if call == "batch" else api.resume("b1")
            was_sent = True
        except TooLate as error:
            hints.add(error.hint)
            was_sent = False
        looks = asked()
        server.close()
        wanted = b"GET" if call == "batch" else b"POST"
        assert was_sent is any(request.startswith(wanted) for request in server.requests)
        kept_back += not was_sent
    assert 0 < kept_back < look
    assert hints == {"was this machine suspended? run the same command again"}


def answer(connection: socket.socket, request: bytes) -> None:
    """Say yes to what is whole."""
    (sending(OK) if whole(request) else hang)(connection, request)
