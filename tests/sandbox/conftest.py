"""A running sandbox and a small HTTP client for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from reconciler.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT = 5.0


def create_body(people: int = 3, **fields: Any) -> dict[str, Any]:
    """Build a create's body for so many people; `variables` go into each one's call_variables."""
    variables = fields.pop("variables", {})
    contacts = [
        {
            "phone_number": f"+1555{position:07d}",
            "call_variables": {"callee_name": f"Person {position}", **variables},
        }
        for position in range(people)
    ]
    return {"campaign_id": "cmp_abc123", "contacts": contacts, **fields}


class Api:
    """An HTTP client of one sandbox that follows nothing and retries nothing."""

    def __init__(self, sandbox: Sandbox, bearer: str = "gat_test") -> None:
        self.http = httpx.Client(
            base_url=sandbox.url,
            headers={"Authorization": f"Bearer {bearer}"},
            timeout=TIMEOUT,
            trust_env=False,
            verify=False,  # noqa: S501 - plain HTTP on loopback; saves loading certificates
        )
        self.control = f"{sandbox.origin}/_sandbox"

    def get(self, path: str, **query: Any) -> httpx.Response:
        """GET below the API's base URL."""
        return self.http.get(path, params=query)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """POST JSON below the API's base URL."""
        return self.http.post(path, json=body, **options)

    def create(self, people: int = 3, **fields: Any) -> str:
        """Create a batch that must succeed, and give its id."""
        answer = self.post("/batches/", create_body(people, **fields))
        assert answer.status_code == 200, answer.status_code
        return str(answer.json()["batch_id"])

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Read a batch that must exist."""
        answer = self.get(f"/batches/{batch_id}")
        assert answer.status_code == 200, answer.status_code
        found: dict[str, Any] = answer.json()
        return found

    def listed(self, **query: Any) -> list[str]:
        """List batches and give their ids in the order of the answer."""
        return [row["batch_id"] for row in self.get("/batches/", **query).json()]


@pytest.fixture
def body() -> Callable[..., dict[str, Any]]:
    """Give the builder of create bodies."""
    return create_body


@pytest.fixture
def make() -> Iterator[Callable[..., tuple[Sandbox, Api]]]:
    """Give a maker of running sandboxes, each with a client; all stop with the test."""
    made: list[tuple[Sandbox, Api]] = []

    def maker(*arguments: Any, bearer: str = "gat_test", **settings: Any) -> tuple[Sandbox, Api]:
        sandbox = Sandbox(*arguments, **settings).start()
        made.append((sandbox, Api(sandbox, bearer)))
        return made[-1]

    yield maker
    for sandbox, api in made:
        api.http.close()
        sandbox.stop()


@pytest.fixture
def running(make: Callable[..., tuple[Sandbox, Api]]) -> tuple[Sandbox, Api]:
    """Give one sandbox in memory, its clock standing still until advanced."""
    return make(speed=0.0)


@pytest.fixture
def sandbox(running: tuple[Sandbox, Api]) -> Sandbox:
    """Give the sandbox of this test."""
    return running[0]


@pytest.fixture
def api(running: tuple[Sandbox, Api]) -> Api:
    """Give the client of this test's sandbox."""
    return running[1]
