"""The embedded API: a real HTTP server that plays the vendor's batches API on this machine.

For `reconciler sandbox`, for `--sandbox`, and for tests that need an API which fails on command.
It imports nothing from the rest of the package, so that no misreading of the vendor's documentation
is shared by both sides of the wire.

Importing this package is cheap and needs nothing; touching `Sandbox` or `serve` imports Starlette
and uvicorn (the `sandbox` extra) and raises `ImportError`, naming the missing module, without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconciler.sandbox.server import Sandbox, serve

__all__ = ["Sandbox", "serve"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from reconciler.sandbox import server  # noqa: PLC0415 - the extra is only needed from here on

    return getattr(server, name)
