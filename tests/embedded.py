"""An embedded API that commands of this process reach."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from reconciler.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


@contextmanager
def embedded(
    monkeypatch: pytest.MonkeyPatch, *, token: str | None = None, **how: Any
) -> Iterator[Sandbox]:
    """Serve an API, in which nothing of the user's environment plays a part.

    Without a token it takes any. `how` are further words for `Sandbox`.
    """
    for name in ("GRAINE_ORG_ID", "GRAINE_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    with Sandbox(token=token, **how) as sandbox:
        monkeypatch.setenv("GRAINE_API_URL", sandbox.url)
        monkeypatch.setenv("GRAINE_API_KEY", token or "gat_test")
        yield sandbox
