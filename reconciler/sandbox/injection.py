"""Carrying out the fault that decides about a request's answer.

Promise: a fault that strikes after the effect breaks the connection only when the effect is
committed to the database.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from reconciler.sandbox.wire import Broken, Connection, Dripping, Truncated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from reconciler.sandbox.endpoints import Answer
    from reconciler.sandbox.faultbook import Fault, FaultBook

_GATE_SECONDS = 0.003


@dataclass(frozen=True, slots=True)
class Request:
    """What carrying out a fault needs: how to take effect, now or later, and the connection."""

    perform: Callable[[], Answer]
    perform_later: Callable[[float], None]
    connection: Connection | None
    faults: FaultBook
    log_id: int
    path: str
    now: float


async def respond(request: Request, fault: Fault | None) -> Response:
    """Give the response, having taken effect or not, as the fault has it."""
    if fault is None:
        return as_response(request.perform())
    own = fault.rule.own
    if own.get("when") == "after" and fault.rule.kind not in {"hang", "hold"}:
        request.perform()
    return await _CARRY_OUT[fault.rule.kind](request, own, fault.rule_id)


def as_response(answer: Answer) -> Response:
    """Turn an answer into an HTTP response."""
    return JSONResponse(answer.body, answer.status, headers=dict(answer.headers))


def canned(own: Mapping[str, Any], *, path: str, now: float) -> Response:
    """Build the response of a `status` fault."""
    code = own["code"]
    headers = dict(own.get("headers") or {})
    if own.get("retry_after") is not None:
        seconds = own["retry_after"]
        dated = own.get("retry_after_as_date")
        headers["Retry-After"] = formatdate(now + seconds, usegmt=True) if dated else f"{seconds:g}"
    if HTTPStatus.MULTIPLE_CHOICES <= code < HTTPStatus.BAD_REQUEST:
        headers.setdefault("Location", path)
    body = own.get("body")
    if isinstance(body, str):
        kind = own.get("content_type") or "text/html; charset=utf-8"
        return Response(body.encode(), code, headers=headers, media_type=kind)
    if body is None:
        known = code in HTTPStatus.__members__.values()
        body = {"detail": HTTPStatus(code).phrase if known else "Injected fault"}
    if own.get("content_type"):
        headers["Content-Type"] = own["content_type"]
    return Response(
        json.dumps(body).encode(),
        code,
        headers=headers,
        media_type=None if own.get("content_type") else "application/json",
    )


async def _status(request: Request, own: Mapping[str, Any], _: int) -> Response:
    return canned(own, path=request.path, now=request.now)


async def _storm(request: Request, own: Mapping[str, Any], _: int) -> Response:
    detail = {"detail": "Too Many Requests"}
    return canned({"code": 429, "body": detail, **own}, path=request.path, now=request.now)


async def _reset(request: Request, _own: Mapping[str, Any], _: int) -> Response:
    return Broken(request.connection, reset=True)


async def _close(request: Request, _own: Mapping[str, Any], _: int) -> Response:
    return Broken(request.connection, reset=False)


async def _truncated(request: Request, own: Mapping[str, Any], _: int) -> Response:
    return Truncated(as_response(request.perform()), request.connection, own["keep"])


async def _garbage(_request: Request, own: Mapping[str, Any], _: int) -> Response:
    return Response(own["body"].encode(), own["code"], media_type=own["content_type"])


async def _no_batch_id(request: Request, own: Mapping[str, Any], _: int) -> Response:
    answer = request.perform()
    body = {name: value for name, value in answer.body.items() if name != "batch_id"}
    if own["null"] or own["value"] is not None:
        body["batch_id"] = own["value"]
    return as_response(replace(answer, body=body))


async def _wrong_total(request: Request, own: Mapping[str, Any], _: int) -> Response:
    answer = request.perform()
    return as_response(replace(answer, body=answer.body | {"total_contacts": own["total"]}))


async def _hang(request: Request, own: Mapping[str, Any], _: int) -> Response:
    done = request.perform() if own["when"] == "after" else None
    await _silence(own["seconds"])
    if own["then"] == "answer":
        return as_response(done or request.perform())
    return Broken(request.connection, reset=own["then"] == "reset")


async def _slow(request: Request, own: Mapping[str, Any], _: int) -> Response:
    return Dripping(as_response(request.perform()), own["seconds"], own["pieces"])


async def _late(request: Request, own: Mapping[str, Any], _: int) -> Response:
    request.perform_later(own["seconds"])
    if own["then"] == "status":
        return canned({"code": own["code"]}, path=request.path, now=request.now)
    if own["then"] == "hang":
        await _silence(None)
    return Broken(request.connection, reset=own["then"] == "reset")


async def _hold(request: Request, own: Mapping[str, Any], rule_id: int) -> Response:
    done = request.perform() if own["when"] == "after" else None
    hold = request.faults.hold(rule_id, request.log_id)
    try:
        # The process that releases may be another one with the same database: no event reaches us.
        while not request.faults.is_released(hold):  # noqa: ASYNC110 - see above
            await asyncio.sleep(_GATE_SECONDS)
    finally:
        request.faults.let_go(hold)
    # A client that has gone meanwhile changes nothing: its request was sent.
    answer = done or request.perform()
    if own["then"] == "answer":
        return as_response(answer)
    return Broken(request.connection, reset=own["then"] == "reset")


async def _silence(seconds: float | None) -> None:
    """Wait; stopping the sandbox cancels it."""
    if seconds is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(seconds)


_CARRY_OUT: Mapping[str, Callable[[Request, Mapping[str, Any], int], Awaitable[Response]]] = {
    "status": _status,
    "storm": _storm,
    "reset": _reset,
    "close": _close,
    "truncated": _truncated,
    "garbage": _garbage,
    "no_batch_id": _no_batch_id,
    "wrong_total": _wrong_total,
    "hang": _hang,
    "slow": _slow,
    "late": _late,
    "hold": _hold,
}
