"""The server below HTTP: an event loop that stops at once, and connections that can be broken.

uvicorn does HTTP. What it has no door for is done here with two small subclasses of its public
classes: a protocol that remembers its transport by the client's address (so that a request can be
answered with a TCP RST or with nothing), and a server whose loop ends on an event instead of
looking at a flag ten times a second.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

_BACKLOG = 256
_START_SECONDS = 10.0
_TICK_SECONDS = 0.02
_ACCEPT_TICKS = 3
# Longer than any test: a server that drops idle connections makes a client's next request fail now
# and then, which would be a fault that nobody asked for.
_KEEP_ALIVE_SECONDS = 600


class Connection:
    """One client's connection, as far as breaking it needs."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.lost = asyncio.Event()

    async def close(self) -> None:
        """Send what is buffered, then FIN, and wait until it is done."""
        self._transport.close()
        await self.lost.wait()

    async def reset(self) -> None:
        """Break the connection with an RST and wait until it is done."""
        self.abort(reset=True)
        await self.lost.wait()

    def abort(self, *, reset: bool = False) -> None:
        """Drop the connection and everything buffered."""
        raw = self._transport.get_extra_info("socket")
        if reset and raw is not None and not self._transport.is_closing():
            # Lingering for zero seconds makes the kernel answer close() with RST.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


class Server(uvicorn.Server):
    """uvicorn's server, ended by an event, with a register of its connections."""

    def __init__(self, app: ASGIApp) -> None:
        # By the client's address; by the protocol's id where the client went before it was asked.
        self.connections: dict[tuple[str, int] | int, Connection] = {}
        register = self.connections

        class Protocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the parent has it
                super().connection_made(transport)
                register[self.client or id(self)] = Connection(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                register.pop(self.client or id(self)).lost.set()

        super().__init__(
            uvicorn.Config(
                app,
                http=Protocol,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            )
        )
        self.up = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.stopping: asyncio.Event | None = None

    async def main_loop(self) -> None:
        """Serve until `stopping` is set."""
        self.loop, self.stopping = asyncio.get_running_loop(), asyncio.Event()
        self.up.set()
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drop everything at once: whoever hangs or is held is cut off."""
        # asyncio trips over a server that closes between accepting a connection and serving it:
        # accept no more, let those under way become connections, and only then close.
        for listener in [sock for server in self.servers for sock in server.sockets]:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        for _ in range(_ACCEPT_TICKS):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for sock in sockets or []:
            sock.close()
        # Again and again, because a connection that is just being accepted shows up only later.
        while (others := asyncio.all_tasks() - {asyncio.current_task()}) or self.connections:
            # First all connections and then the requests: uvicorn complains of a request that ends
            # without a response, but not when nobody is there to have one.
            while self.connections:
                connection = next(iter(self.connections.values()))
                connection.abort()
                await connection.lost.wait()
            for task in list(self.server_state.tasks):
                task.cancel()
            if others:
                await asyncio.wait(others, timeout=_TICK_SECONDS)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the program around us."""
        yield

    def connection(self, scope: Scope) -> Connection | None:
        """Give the connection a request came on; None when it is gone already."""
        client = scope.get("client")
        return None if client is None else self.connections.get(tuple(client))


class Background:
    """A server in a daemon thread of this process, on 127.0.0.1."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.server = Server(app)
        # Bound here, so that the port is known and clients may connect before the loop is up.
        # The protocol is named because asyncio sets TCP_NODELAY only then: 40 ms a request.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(("127.0.0.1", port))
            self._socket.listen(_BACKLOG)
        except OSError:
            self._socket.close()
            raise
        self.port = int(self._socket.getsockname()[1])
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)

    def start(self) -> None:
        """Start the thread and wait until it serves; raises what kept it from doing so."""
        self._thread.start()
        if not self.server.up.wait(_START_SECONDS) or self._error is not None:
            raise RuntimeError("the sandbox server did not start") from self._error

    def stop(self) -> None:
        """Stop and wait until the thread has ended and the port is free."""
        loop, stopping = self.server.loop, self.server.stopping
        if loop is not None and stopping is not None and not loop.is_closed():
            loop.call_soon_threadsafe(stopping.set)
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        try:
            asyncio.run(self.server.serve(sockets=[self._socket]))
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits in start()
            self._error = error
        finally:
            self.server.up.set()


class Broken(Response):
    """A response that never is: the connection ends instead, closed or reset."""

    def __init__(self, connection: Connection | None, *, reset: bool) -> None:
        super().__init__()
        self._connection = connection
        self._reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Break the connection."""
        if self._connection is not None:
            await (self._connection.reset() if self._reset else self._connection.close())


class Truncated(Response):
    """Announces the whole body and closes after a part of it."""

    def __init__(self, whole: Response, connection: Connection | None, keep: float) -> None:
        super().__init__()
        self._whole = whole
        self._connection = connection
        self._part = bytes(whole.body)[: int(len(whole.body) * keep)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send the part, then close."""
        await send(_head(self._whole))
        await send({"type": "http.response.body", "body": self._part, "more_body": True})
        if self._connection is not None:
            await self._connection.close()


class Dripping(Response):
    """Sends the body in so many pieces over so many seconds."""

    def __init__(self, whole: Response, seconds: float, pieces: int) -> None:
        super().__init__()
        self._whole = whole
        self._seconds = seconds
        self._pieces = max(1, pieces)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send the body bit by bit."""
        body = bytes(self._whole.body)
        size = max(1, -(-len(body) // self._pieces))
        await send(_head(self._whole))
        for start in range(0, len(body), size):
            await asyncio.sleep(self._seconds / self._pieces)
            piece = body[start : start + size]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _head(whole: Response) -> dict[str, Any]:
    return {
        "type": "http.response.start",
        "status": whole.status_code,
        "headers": whole.raw_headers,
    }
