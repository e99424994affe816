"""A server in a process of its own that takes a body of any length, keeps none of it, and says yes.

Made for measuring how fast a body is sent: it does next to nothing with what comes. One connection
after the other, each a thread; a request must say how long its body is.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from typing import TYPE_CHECKING

from bench.processes import answering

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_ROOM = 1 << 20


def serve() -> None:
    """Serve on an ephemeral port of loopback, print the port, and go on until killed."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_connection, args=(connection,), daemon=True).start()


def _connection(connection: socket.socket) -> None:
    buffer = bytearray(_ROOM)
    with connection, contextlib.suppress(ConnectionError):
        while head := _head(connection):
            start, _, begun = head.partition(b"\r\n\r\n")
            found = _LENGTH.search(start)
            left = int(found[1]) - len(begun) if found else 0
            while left > 0 and (taken := connection.recv_into(buffer, min(left, _ROOM))):
                left -= taken
            content = json.dumps({"batch_id": "bat_1", "status": "pending"}).encode()
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(content), content)
            )


def _head(connection: socket.socket) -> bytes:
    """Read up to the end of a request's headers, or somewhat further; empty at the end."""
    head = b""
    while b"\r\n\r\n" not in head:
        some = connection.recv(65_536)
        if not some:
            return b""
        head += some
    return head


def draining() -> AbstractContextManager[str]:
    """Run the server in a process of its own, and give the API's address."""
    return answering("bench.sink")


if __name__ == "__main__":
    serve()
