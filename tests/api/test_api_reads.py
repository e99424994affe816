"""Reads and lifecycle calls over real sockets: what is asked again, what is not, and what is told.

Each scripted server answers one request a connection, with the next answer of its script.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.api import client as client_module
from reconciler.errors import ApiError
from reconciler.observed import Batch, Campaign

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from reconciler.api.client import HttpBatchApi
    from tests.api.conftest import MakeApi, MakeServer, RawServer, StillClock

GONE = 0
"""A scripted status: close the connection without a word."""

SILENT = -1
"""A scripted status: never answer."""

Answers = tuple[int, Any] | tuple[int, Any, str]


@pytest.fixture
def scripted(raw_server: MakeServer) -> Callable[..., RawServer]:
    """Start a server that gives these answers in turn, and then closes without a word."""

    def start(*answers: Answers) -> RawServer:
        script = iter(answers)

        def handle(connection: socket.socket, _: bytes) -> None:
            status, body, *headers = next(script, (GONE, None))
            if status == SILENT:
                connection.recv(1)
            if status <= GONE:
                return
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(raw)}", "Connection: close"]
            connection.sendall("\r\n".join([*lines, *headers, "", ""]).encode() + raw)

        return raw_server(handle)

    return start


def asked(server: RawServer) -> list[str]:
    """Give the method and path of each request."""
    return [request.split(b" HTTP/")[0].decode() for request in server.requests]


class Patient(threading.Event):
    """A stop event that notes how long it was waited for, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Return at once."""
        self.waits.append(timeout)
        return self.is_set()


BATCH = {"batch_id": "b1", "status": "completed", "metadata": {"reconciler": {"key": "k"}}}


def test_a_batch_is_read_with_its_metadata(
    scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """The key comes from `GET /batches/{id}`."""
    server = scripted((200, BATCH))
    batch = make_api(server.url).batch("b1")
    assert batch is not None
    assert batch.key == "k"
    assert asked(server) == ["GET /api/batches/b1"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((GONE, None), id="connection lost"),
        pytest.param((500, b"<html>"), id="500"),
        pytest.param((503, b""), id="503"),
        pytest.param((429, b"", "Retry-After: 0"), id="429"),
        pytest.param((408, b""), id="408"),
    ],
)
def test_a_read_is_asked_again_after_a_passing_failure(
    answer: Answers, scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """A read changes nothing, so it may be sent again."""
    server = scripted(answer, answer, (200, {"timezone": "Asia/Kolkata"}))
    campaign = make_api(server.url).campaign("c1")
    assert campaign == Campaign("c1", timezone="Asia/Kolkata")
    assert len(server.requests) == 3


def test_patience_ends_after_four_tries(
    scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """An API that stays down is told as such."""
    server = scripted(*[(502, b"<title>Bad Gateway</title>")] * 9)
    with pytest.raises(ApiError, match=r"HTTP 502: a web page, .Bad Gateway.") as caught:
        make_api(server.url).batch("b1")
    assert len(server.requests) == 4
    assert caught.value.hint


def test_retry_after_is_honoured(scripted: Callable[..., RawServer], make_api: MakeApi) -> None:
    """The API knows best when to come back."""
    stop = Patient()
    server = scripted((429, b"", "Retry-After: 7"), (200, BATCH))
    assert make_api(server.url, stop=stop).batch("b1")
    assert stop.waits == [7.0]


def test_a_wait_beyond_patience_is_not_begun(
    scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """Ten minutes of waiting is a failure that should be told now."""
    stop = Patient()
    server = scripted((429, b"", "Retry-After: 600"), (200, BATCH))
    with pytest.raises(ApiError, match="429"):
        make_api(server.url, stop=stop).batch("b1")
    assert stop.waits == []


@pytest.mark.parametrize(("status", "asked"), [(400, 2), (401, 1), (403, 1), (405, 1), (422, 2)])
def test_a_clear_no_is_told_at_once(
    status: int, asked: int, scripted: Callable[..., RawServer], make_api: MakeApi, token: str
) -> None:
    """What will not change is not asked again, but for a shorter page; no echo is shown."""
    server = scripted(*[(status, {"detail": f"no {token} +919876543210"})] * asked)
    with pytest.raises(ApiError, match=rf"HTTP {status}: no \*\*\*") as caught:
        make_api(server.url).listing("c1")
    assert len(server.requests) == asked
    assert caught.value.hint
    assert "9876543210" not in caught.value.message


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_says_what_to_check(
    status: int, scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """The next step is the environment, not the spec."""
    with pytest.raises(ApiError) as caught:
        make_api(scripted((status, {})).url).batch("b1")
    assert "GRAINE_API_KEY" in caught.value.hint


def test_an_absent_batch_or_campaign_is_none(
    scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """A 404 in the API's own words is an answer."""
    api = make_api(scripted((404, {"detail": "Batch not found"}), (404, {"detail": "x"})).url)
    assert api.batch("b1") is None
    assert api.campaign("c1") is None


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((404, b"<html>not here</html>"), id="a gateway's 404"),
        pytest.param((200, {"batch_id": "b2"}), id="another batch"),
        pytest.param((200, {"data": BATCH}), id="an envelope"),
        pytest.param((200, b"null"), id="null"),
        pytest.param((200, [BATCH]), id="a list"),
    ],
)
def test_an_answer_that_could_hide_a_batch_is_an_error(
    answer: Answers, scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """Taking such an answer for an absence could create a batch twice."""
    with pytest.raises(ApiError):
        make_api(scripted(answer).url).batch("b1")


def test_a_redirected_read_is_an_error_and_the_token_stays(
    scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """The token is for the configured server alone."""
    other = scripted((200, BATCH))
    server = scripted((301, b"", f"Location: {other.url}"))
    with pytest.raises(ApiError, match="the token stays here") as caught:
        make_api(server.url).batch("b1")
    assert "GRAINE_API_URL" in caught.value.hint
    assert other.requests == []


def test_ids_are_quoted_in_paths(scripted: Callable[..., RawServer], make_api: MakeApi) -> None:
    """An id from a command line or a state file leads nowhere else."""
    server = scripted((404, {}))
    assert make_api(server.url).batch("../c?x=1#é") is None
    assert asked(server) == ["GET /api/batches/..%2Fc%3Fx%3D1%23%C3%A9"]


@pytest.mark.parametrize("batch_id", ["", ".", ".."])
def test_dots_are_no_id(
    batch_id: str, scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """Quoting does not help against a path that walks up."""
    server = scripted((200, BATCH))
    with pytest.raises(ApiError, match="not an id"):
        make_api(server.url).cancel(batch_id)
    assert server.requests == []


def test_a_listing_asks_for_the_campaign_and_the_organisation(
    scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """The documented query, page by page, until a whole pass shows nothing new."""
    page = [{"batch_id": "b1", "campaign_id": "c 1"}]
    server = scripted((200, page), (200, []), (200, page), (200, []))
    listing = make_api(server.url, organization_id="org").listing("c 1")
    assert listing.complete
    assert listing.rows == (Batch("b1", None),)
    query = "campaign_id=c+1&organization_id=org"
    assert asked(server) == [
        f"GET /api/batches/?{query}&skip={skip}&limit=100" for skip in (0, 1, 0, 1)
    ]


def test_a_page_too_long_to_be_one_is_an_error(
    scripted: Callable[..., RawServer], make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a server sends is bounded, and asking again would bring the same."""
    monkeypatch.setattr(client_module, "_LONGEST_READ", 100)
    server = scripted(*[(200, [{"batch_id": "b" * 150}])] * 2)
    with pytest.raises(ApiError, match="too long"):
        make_api(server.url).listing("c1")
    assert len(server.requests) == 1


def test_a_silent_server_ends_at_the_timeout(
    scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """A read waits no longer than it may, each time."""
    server = scripted((SILENT, None), (200, BATCH))
    assert make_api(server.url, timeout=0.1).batch("b1")


def test_stop_ends_a_read_under_way(raw_server: MakeServer, make_api: MakeApi) -> None:
    """A signal does not wait for a server that hangs."""
    stop = threading.Event()

    def handle(connection: socket.socket, _: bytes) -> None:
        stop.set()
        connection.recv(1)

    api = make_api(raw_server(handle).url, timeout=30, stop=stop)
    began = time.monotonic()
    with pytest.raises(ApiError, match="stopped"):
        api.batch("b1")
    assert time.monotonic() - began < 5


def test_stop_keeps_reads_from_being_sent(
    scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """After a signal only what matters to people is still sent."""
    stop = threading.Event()
    stop.set()
    server = scripted((200, BATCH))
    with pytest.raises(ApiError, match="stopped"):
        make_api(server.url, stop=stop).listing("c1")
    assert server.requests == []


def test_a_duplicate_is_cancelled_even_while_stopping(
    scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """A cancel keeps people from being called twice, so a signal does not hold it back."""
    stop = threading.Event()
    stop.set()
    server = scripted((400, {"detail": "already"}), (200, BATCH))
    make_api(server.url, stop=stop).cancel("b1")
    assert asked(server) == ["POST /api/batches/b1/cancel", "GET /api/batches/b1"]


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume"])
def test_lifecycle_calls_are_documented_posts(
    verb: str, scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """One POST each, when all is well."""
    server = scripted((200, {"batch_id": "b1", "status": "x", "message": "y"}))
    getattr(make_api(server.url), verb)("b1")
    assert asked(server) == [f"POST /api/batches/b1/{verb}"]


def cancel(api: HttpBatchApi) -> None:
    """Cancel."""
    api.cancel("b1")


def pause(api: HttpBatchApi) -> None:
    """Pause."""
    api.pause("b1")


def resume(api: HttpBatchApi) -> None:
    """Resume."""
    api.resume("b1")


@pytest.mark.parametrize(
    ("call", "status", "fails"),
    [
        pytest.param(cancel, "cancelled", False, id="cancelled already"),
        pytest.param(cancel, "completed", False, id="it ended by itself"),
        pytest.param(cancel, "in_progress", True, id="still calling"),
        pytest.param(cancel, "paused", True, id="could be resumed"),
        pytest.param(pause, "paused", False, id="paused already"),
        pytest.param(pause, "expired", False, id="calls nobody any more"),
        pytest.param(pause, "in_progress", True, id="not paused"),
        pytest.param(resume, "in_progress", False, id="runs already"),
        pytest.param(resume, "paused", True, id="not resumed"),
    ],
)
def test_after_an_error_the_batch_itself_is_asked(
    *,
    call: Callable[[HttpBatchApi], None],
    status: str,
    fails: bool,
    scripted: Callable[..., RawServer],
    make_api: MakeApi,
) -> None:
    """What counts is where the batch is, not what the call answered."""
    server = scripted((409, {"detail": "no"}), (200, {"batch_id": "b1", "status": status}))
    if fails:
        with pytest.raises(ApiError, match="HTTP 409: no"):
            call(make_api(server.url))
    else:
        call(make_api(server.url))
    assert len(server.requests) == 2


def test_a_lost_cancel_is_sent_again_and_a_lost_resume_is_not(
    scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """Cancelling twice is cancelling; resuming twice could undo an operator's pause."""
    paused = {"batch_id": "b1", "status": "paused"}
    server = scripted((GONE, None), (200, {}), (GONE, None), (200, paused))
    api = make_api(server.url)
    api.cancel("b1")
    with pytest.raises(ApiError):
        api.resume("b1")
    assert [line.split("/")[-1] for line in asked(server)] == ["cancel", "cancel", "resume", "b1"]


def test_a_resume_that_comes_too_late_is_not_sent(
    scripted: Callable[..., RawServer], make_api: MakeApi, still_clock: StillClock
) -> None:
    """Whoever was suspended for long before it asks how the batch is now, and lets it be."""
    paused = {"batch_id": "b1", "status": "paused"}
    server = scripted((200, paused), (200, paused), (200, {}))
    api = make_api(server.url)
    assert api.batch("b1") is not None
    with pytest.raises(ApiError, match="its time was over before all of it was sent"):
        api.resume("b1", send_by=still_clock.elapsed() - 1)
    api.resume("b1", send_by=still_clock.elapsed())
    assert [line.split("/")[-1] for line in asked(server)] == ["b1", "b1", "resume"]


def test_cancelling_an_absent_batch_is_an_error(
    scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """Nothing was cancelled, and the caller should know."""
    server = scripted((404, {"detail": "Batch not found"}), (404, {"detail": "Batch not found"}))
    with pytest.raises(ApiError, match="Batch not found"):
        make_api(server.url).cancel("b1")


@pytest.mark.parametrize(
    ("status", "verdict"), [(200, True), (401, False), (403, False), (404, None)]
)
def test_the_token_is_good_bad_or_cannot_be_asked_about(
    *,
    status: int,
    verdict: bool | None,
    scripted: Callable[..., RawServer],
    make_api: MakeApi,
) -> None:
    """The question is not documented, so its absence is no verdict."""
    assert make_api(scripted((status, {})).url).validate_token() is verdict


def test_contacts_are_streamed_from_their_documented_path(
    scripted: Callable[..., RawServer], make_api: MakeApi
) -> None:
    """Rows are handed on as they come, with the query that was asked for."""
    server = scripted((200, [{"contact_id": "a"}]), (200, []))
    contacts = make_api(server.url).contacts("b1", include_calls=True, status="failed")
    assert next(contacts) == {"contact_id": "a"}
    assert len(server.requests) == 1
    assert list(contacts) == []
    query = "include_calls=true&status=failed&skip=0&limit=100"
    assert asked(server)[0] == f"GET /api/batches/b1/contacts?{query}"


def test_a_closed_client_opens_again(scripted: Callable[..., RawServer], make_api: MakeApi) -> None:
    """Closing is about connections, not about the client's usefulness."""
    server = scripted((200, BATCH), (200, BATCH))
    with make_api(server.url) as api:
        assert api.batch("b1")
    assert api.batch("b1")
