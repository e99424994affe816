"""An API in a process of its own that answers every request after a fixed time, and keeps the time.

Made for measuring, not for truth (that is the sandbox): the routes a plan and an apply use, on bare
asyncio, because a framework would use up the processor that the client is measured on. It notes
when the first POST came in and when the last was answered: `GET /bench` says so, and begins anew.
On request it also keeps a digest of what arrived, for comparing what two programs sent; that costs
time, so no server that is measured with does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from bench.processes import answering

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

Row = dict[str, Any]


@dataclass(slots=True)
class Api:
    """What the server knows. `latency` is in seconds and holds for every answer but its own.

    `digests`, unless None, collects one for each batch that arrived.
    """

    latency: float
    digests: list[str] | None = None
    batches: dict[str, Row] = field(default_factory=dict)
    first_post: float = 0
    last_answer: float = 0
    most_at_once: int = 0
    under_way: int = 0

    async def answer(self, method: str, target: str, body: bytes) -> tuple[int, object]:
        """Give the status and the JSON value of an answer, when its time has come."""
        url = urlsplit(target)
        path = url.path.removeprefix("/api/v1")
        if path == "/bench":
            return 200, self._summary()
        if method == "POST" and path == "/batches/":
            return 200, await self._create(json.loads(body))
        await asyncio.sleep(self.latency)
        if path == "/batches/":
            return 200, self._listed(parse_qs(url.query))
        kind, _, rest = path.removeprefix("/").partition("/")
        if kind == "batches" and rest in self.batches:
            return 200, self.batches[rest]
        if kind == "campaigns":
            return 200, {"id": rest, "name": rest, "status": "active", "timezone": "Asia/Kolkata"}
        return 404, {"detail": "Not found"}

    async def _create(self, request: Row) -> Row:
        self.first_post = self.first_post or time.perf_counter()
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        await asyncio.sleep(self.latency)
        row = {  # an id that no state has which was made for a benchmark
            "batch_id": f"sent_{len(self.batches):08d}",
            "campaign_id": request["campaign_id"],
            "organization_id": "org_bench",
            "status": "pending",
            "total_contacts": len(request["contacts"]),
            "created_at": datetime.now(UTC).isoformat(),
        }
        if self.digests is not None:
            self.digests.append(_digest(request))
        self.batches[row["batch_id"]] = {**row, "metadata": request.get("metadata"), "counters": {}}
        self.under_way -= 1
        self.last_answer = time.perf_counter()
        return row

    def _listed(self, query: dict[str, list[str]]) -> list[Row]:
        skip, limit = (
            int(query.get(name, [text])[0]) for name, text in (("skip", "0"), ("limit", "50"))
        )
        campaigns = query.get("campaign_id")
        rows = [
            {name: value for name, value in row.items() if name != "metadata"}
            for row in self.batches.values()
            if campaigns is None or row["campaign_id"] in campaigns
        ]
        return rows[skip : skip + limit]

    def _summary(self) -> Row:
        summary = {
            "created": len(self.batches),
            "contacts": sum(row["total_contacts"] for row in self.batches.values()),
            "digests": None if self.digests is None else sorted(self.digests),
            "seconds": self.last_answer - self.first_post,
            "most_at_once": self.most_at_once,
        }
        self.batches.clear()
        self.digests = None if self.digests is None else []
        self.first_post = self.last_answer = 0
        self.most_at_once = 0
        return summary


def _digest(request: Row) -> str:
    """Stand for whom a request calls and with what, in whichever order it says so.

    Its metadata is not part of that.
    """
    rest = {name: value for name, value in request.items() if name not in {"contacts", "metadata"}}
    contacts = sorted(json.dumps(contact, sort_keys=True) for contact in request["contacts"])
    return hashlib.sha256(json.dumps([rest, contacts], sort_keys=True).encode()).hexdigest()


async def serve(latency: float, *, digests: bool = False) -> None:
    """Serve on an ephemeral port of loopback, print the port, and go on until killed."""
    api = Api(latency, [] if digests else None)

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with (
            contextlib.suppress(asyncio.IncompleteReadError, ConnectionError),
            contextlib.closing(writer),
        ):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.split("\r\n")
                method, target, _ = first.split(" ")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in lines)
                }
                body = await _body(reader, headers)
                status, value = await api.answer(method, target, body)
                content = json.dumps(value).encode()
                writer.write(
                    f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(content)}\r\n\r\n".encode()
                    + content
                )
                await writer.drain()

    server = await asyncio.start_server(connection, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((await reader.readline()).strip(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return body
    return await reader.readexactly(int(headers.get("content-length", 0)))


def serving(latency: float, *, digests: bool = False) -> AbstractContextManager[str]:
    """Run the server in a process of its own, and give the API's address."""
    return answering("bench.server", str(latency), *["digests"] * digests)


def summary(url: str) -> Row:
    """Ask a running server what it saw since the last time, and let it forget."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/bench") as answer:
        found: Row = json.load(answer)
    return found


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), digests="digests" in sys.argv))
