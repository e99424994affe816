"""The routes below `/_sandbox`: faults, gates, logs and time over HTTP, with no token.

For people with curl and for tests whose server runs in another process. Contacts' numbers are
shown in full, as everything in a sandbox is made up.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from reconciler.sandbox.faultbook import FaultBook
    from reconciler.sandbox.journal import Journal
    from reconciler.sandbox.oracle import Oracle

_POLL_SECONDS = 0.003


def control_routes(faults: FaultBook, journal: Journal, oracle: Oracle) -> list[Route]:
    """Build the routes over one sandbox's parts."""
    handlers = _Control(faults, journal, oracle)
    return [
        Route("/health", handlers.health, methods=["GET"]),
        Route("/faults", handlers.list_faults, methods=["GET"]),
        Route("/faults", handlers.add_faults, methods=["POST"]),
        Route("/faults", handlers.clear_faults, methods=["DELETE"]),
        Route("/faults/{rule_id:int}", handlers.remove_fault, methods=["DELETE"]),
        Route("/holds", handlers.holds, methods=["GET"]),
        Route("/release", handlers.release, methods=["POST"]),
        Route("/log", handlers.log, methods=["GET"]),
        Route("/batches", handlers.batches, methods=["GET"]),
        Route("/dials", handlers.dials, methods=["GET"]),
        Route("/advance", handlers.advance, methods=["POST"]),
        Route("/skip", handlers.skip, methods=["POST"]),
    ]


class _Control:
    def __init__(self, faults: FaultBook, journal: Journal, oracle: Oracle) -> None:
        self._faults = faults
        self._journal = journal
        self._oracle = oracle

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "now": self._oracle.now().isoformat()})

    async def list_faults(self, _: Request) -> Response:
        return JSONResponse(self._faults.rules())

    async def add_faults(self, request: Request) -> Response:
        """Install one rule, or a list of rules in their order; gives the ids."""
        try:
            data = json.loads(await request.body())
            rules = data if isinstance(data, list) else [data]
            if not all(isinstance(rule, dict) for rule in rules):
                return _refused("a rule is an object")
            ids = self._faults.add_all(rules)
        except (ValueError, TypeError) as error:
            return _refused(str(error))
        return JSONResponse({"ids": ids})

    async def clear_faults(self, _: Request) -> Response:
        self._faults.clear()
        return JSONResponse({"cleared": True})

    async def remove_fault(self, request: Request) -> Response:
        removed = self._faults.remove(request.path_params["rule_id"])
        return JSONResponse({"removed": removed}, 200 if removed else 404)

    async def holds(self, request: Request) -> Response:
        """Give who is at the gate; `count` and `timeout` (seconds) wait until so many are."""
        try:
            rule = request.query_params.get("rule")
            rule_id = None if rule is None else int(rule)
            count = int(request.query_params.get("count", "0"))
            deadline = time.monotonic() + float(request.query_params.get("timeout", "10"))
        except ValueError as error:
            return _refused(str(error))
        while len(found := self._faults.held(rule_id)) < count:
            if time.monotonic() > deadline:
                return JSONResponse({"detail": f"{len(found)} of {count} are held"}, 408)
            await asyncio.sleep(_POLL_SECONDS)
        return JSONResponse(found)

    async def release(self, request: Request) -> Response:
        data = await _object(request)
        rule_id = data.get("rule")
        if rule_id is not None and not isinstance(rule_id, int):
            return _refused("rule must be the id of a rule")
        return JSONResponse({"released": self._faults.release(rule_id)})

    async def log(self, _: Request) -> Response:
        return JSONResponse([asdict(entry) for entry in self._journal.entries()])

    async def batches(self, _: Request) -> Response:
        found = []
        for batch in self._oracle.batches():
            fields = asdict(batch)
            fields["created_at"] = batch.created_at.isoformat()
            found.append(fields)
        return JSONResponse(found)

    async def dials(self, _: Request) -> Response:
        return JSONResponse(
            [asdict(dial) | {"at": dial.at.isoformat()} for dial in self._oracle.dials()]
        )

    async def advance(self, request: Request) -> Response:
        seconds = (await _object(request)).get("seconds")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds < 0:
            return _refused("seconds must be a number, not negative")
        return JSONResponse({"now": self._oracle.advance(seconds).isoformat()})

    async def skip(self, request: Request) -> Response:
        data = await _object(request)
        batch_id, number = data.get("batch_id"), data.get("phone_number")
        if not (isinstance(batch_id, str) and isinstance(number, str)):
            return _refused("batch_id and phone_number must be texts")
        skipped = self._oracle.skip(batch_id, number)
        return JSONResponse({"skipped": skipped}, 200 if skipped else 404)


async def _object(request: Request) -> dict[str, Any]:
    try:
        data = json.loads(await request.body() or b"{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _refused(detail: str) -> Response:
    return JSONResponse({"detail": detail}, 422)
