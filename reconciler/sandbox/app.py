"""The HTTP application: routes, tokens, the log, and the control routes below `/_sandbox`."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from reconciler.sandbox import bodies, injection
from reconciler.sandbox.control import control_routes
from reconciler.sandbox.endpoints import Answer, Endpoints, Incoming
from reconciler.sandbox.faults import Call
from reconciler.sandbox.wire import Broken

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from reconciler.sandbox.database import Database
    from reconciler.sandbox.faultbook import FaultBook
    from reconciler.sandbox.journal import Entry, Journal
    from reconciler.sandbox.oracle import Oracle
    from reconciler.sandbox.store import Store
    from reconciler.sandbox.wire import Connection

    Handler = Callable[[Request], Coroutine[Any, Any, Response]]

PREFIX = "/api/v1"
CONTROL_PREFIX = "/_sandbox"
_ENTRY = "sandbox.entry"
# As FastAPI declares them; a path that differs in the last slash is redirected with 307.
_ROUTES = (
    ("/batches/", "POST", "create"),
    ("/batches/upload", "POST", "create"),
    ("/batches/", "GET", "list"),
    ("/batches/{batch_id}", "GET", "get"),
    ("/batches/{batch_id}/contacts", "GET", "contacts"),
    ("/batches/{batch_id}/pause", "POST", "pause"),
    ("/batches/{batch_id}/resume", "POST", "resume"),
    ("/batches/{batch_id}/cancel", "POST", "cancel"),
    ("/campaigns/{campaign_id}", "GET", "campaign"),
    ("/campaigns/{campaign_id}/stats", "GET", "campaign_stats"),
    ("/campaigns/{campaign_id}/batches", "GET", "campaign_batches"),
    ("/api-tokens/validate-token", "GET", "validate_token"),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """How this server differs from the next one on the same database. `latency` in seconds."""

    token: str | None = None
    latency: float = 0.0


class App:
    """Everything one server needs to answer a request."""

    def __init__(
        self,
        *,
        settings: Settings,
        database: Database,
        store: Store,
        endpoints: Endpoints,
        faults: FaultBook,
        journal: Journal,
        oracle: Oracle,
    ) -> None:
        self._settings = settings
        self._database = database
        self._store = store
        self._endpoints = endpoints
        self._faults = faults
        self._journal = journal
        self.connection: Callable[[Scope], Connection | None] = lambda _: None
        routes = [
            Route(path, self._handler(operation), methods=[method])
            for path, method, operation in _ROUTES
        ]
        starlette = Starlette(
            routes=[
                Mount(CONTROL_PREFIX, routes=control_routes(faults, journal, oracle)),
                Mount(PREFIX, routes=routes),
            ],
            exception_handlers={HTTPException: _http_error},
        )
        self.asgi: ASGIApp = self._logged(starlette)

    def _logged(self, app: ASGIApp) -> ASGIApp:
        """Log each request at arrival and again when it is over, and date each response."""

        async def logged(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"].startswith(CONTROL_PREFIX):
                await app(scope, receive, send)
                return
            query = scope["query_string"].decode("latin-1")
            entry = self._journal.begin(scope["method"], scope["path"], query)
            scope[_ENTRY] = entry

            async def send_dated(message: Message) -> None:
                if message["type"] == "http.response.start":
                    # Before anything is sent: who has the answer finds it in the log.
                    self._close_entry(entry, message["status"])
                    # The simulated time: one server has one clock.
                    date = formatdate(self._database.now(), usegmt=True).encode()
                    message["headers"] = [*message["headers"], (b"date", date)]
                await send(message)

            try:
                await app(scope, receive, send_dated)
            except asyncio.CancelledError:
                # The sandbox stops while this request hangs or is held; its connection is gone.
                return

        return logged

    def _close_entry(self, entry: Entry, status: int | None) -> None:
        entry.status, entry.finished = status, True
        self._journal.update(entry)

    def _handler(self, operation: str) -> Handler:
        async def handle(request: Request) -> Response:
            entry: Entry = request.scope[_ENTRY]
            entry.operation = operation
            body = await request.body()
            if self._settings.latency:
                await asyncio.sleep(self._settings.latency)
            refusal = self._refusal(request, body)
            if refusal is not None:
                return refusal
            incoming = Incoming(
                query=request.query_params,
                body=body,
                batch_id=request.path_params.get("batch_id", ""),
                campaign_id=request.path_params.get("campaign_id", ""),
                idempotency_key=request.headers.get("idempotency-key"),
                log_id=entry.id,
            )
            return await self._answer(request, operation, incoming, entry)

        return handle

    def _refusal(self, request: Request, body: bytes) -> Response | None:
        """Refuse what no endpoint should see: a wrong token, a body beyond all measure."""
        header = request.headers.get("authorization", "")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return JSONResponse(
                {"detail": "Not authenticated"}, 401, headers={"WWW-Authenticate": "Bearer"}
            )
        wanted = self._settings.token
        good = token.startswith("gat_") if wanted is None else secrets.compare_digest(token, wanted)
        if not good:
            return JSONResponse({"detail": "Invalid API token"}, 401)
        if len(body) > bodies.MAX_BODY_BYTES:
            return JSONResponse({"detail": "Request body too large"}, 413)
        return None

    async def _answer(
        self, request: Request, operation: str, incoming: Incoming, entry: Entry
    ) -> Response:
        call = self._describe(operation, incoming, entry)
        met = self._faults.take(call)
        entry.fault = met.deciding.rule.kind if met.deciding else None
        self._journal.update(entry)
        shaped = replace(incoming, shaping=met.shaping)

        def perform() -> Answer:
            answer = self._endpoints.perform(operation, shaped)
            entry.batch_id = answer.batch_id or entry.batch_id
            self._journal.update(entry)
            return answer

        response = await injection.respond(
            injection.Request(
                perform=perform,
                perform_later=lambda seconds: self._endpoints.create_later(shaped, seconds),
                connection=self.connection(request.scope),
                faults=self._faults,
                log_id=entry.id,
                path=request.url.path,
                now=self._database.now(),
            ),
            met.deciding,
        )
        if isinstance(response, Broken):
            self._close_entry(entry, None)
        return response

    def _describe(self, operation: str, incoming: Incoming, entry: Entry) -> Call:
        """Find out what the request is about, for the log and for fault rules."""
        entry.batch_id = incoming.batch_id or None
        entry.idempotency_key = incoming.idempotency_key
        entry.campaign_id = incoming.campaign_id or incoming.query.get("campaign_id")
        metadata: Any = None
        if operation == "create":
            body = _object(incoming.body)
            entry.campaign_id = _text(body.get("campaign_id"))
            contacts = body.get("contacts")
            entry.contacts = len(contacts) if isinstance(contacts, list) else None
            metadata = body.get("metadata")
        elif incoming.batch_id and (row := self._store.batch(incoming.batch_id)) is not None:
            entry.campaign_id = row.campaign_id
            metadata = row.request["metadata"]
        marker = metadata.get("reconciler") if isinstance(metadata, dict) else None
        if isinstance(marker, dict):
            entry.key, entry.name = _text(marker.get("key")), _text(marker.get("name"))
        return Call(operation, entry.campaign_id, entry.batch_id, entry.key, entry.name)


async def _http_error(_request: Request, error: Exception) -> Response:
    """Answer as FastAPI does where no endpoint is."""
    status, detail = getattr(error, "status_code", 500), getattr(error, "detail", "")
    return JSONResponse({"detail": detail}, status, headers=getattr(error, "headers", None))


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
