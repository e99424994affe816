"""The API's clock, as the client learns it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from reconciler.api.client import HttpBatchApi
from reconciler.api.config import ApiConfig
from reconciler.sandbox import Sandbox
from reconciler.system import ServerClock, SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Run an embedded API."""
    with Sandbox() as running:
        yield running


def opened(sandbox: Sandbox) -> HttpBatchApi:
    """Give a client of it."""
    return HttpBatchApi(ApiConfig(sandbox.url, "gat_test"), clock=SystemClock())


def test_clocks_that_agree_have_no_skew(sandbox: Sandbox) -> None:
    """A difference within the resolution of the Date header is none."""
    with opened(sandbox) as api:
        api.campaign("cmp_abc123")
        assert api.skew == timedelta(0)


def test_a_server_that_is_ahead_is_believed(sandbox: Sandbox) -> None:
    """The time of records is the API's, so that machines whose clocks differ can judge them."""
    sandbox.advance(3600)
    with opened(sandbox) as api:
        api.campaign("cmp_abc123")
        assert timedelta(minutes=59) < api.skew < timedelta(minutes=61)
        ahead = ServerClock(SystemClock(), lambda: api.skew).now() - SystemClock().now()
        assert timedelta(minutes=59) < ahead < timedelta(minutes=61)


def test_before_any_answer_nothing_is_known(sandbox: Sandbox) -> None:
    """Without an answer the machine's own clock counts."""
    with opened(sandbox) as api:
        assert api.skew == timedelta(0)
