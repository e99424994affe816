"""The routes below /_sandbox do over HTTP what the Python handle does."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.sandbox.campaigns import seeded
from reconciler.sandbox.kinds import KINDS, OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.sandbox import Sandbox


def test_health(sandbox: Sandbox, api: Any) -> None:
    """Health tells the simulated time and needs no token."""
    del api.http.headers["Authorization"]
    shown = api.http.get(f"{api.control}/health").json()
    assert shown == {"status": "ok", "now": sandbox.now().isoformat()}


def test_faults_over_http(sandbox: Sandbox, api: Any) -> None:
    """Rules are added, one or several, listed, removed and cleared."""
    faults = f"{api.control}/faults"
    rule = {"operation": "list", "kind": "status", "code": 503}
    assert len(api.http.post(faults, json=rule).json()["ids"]) == 1
    ids = api.http.post(faults, json=[rule | {"code": 500}, rule | {"code": 429}]).json()["ids"]
    assert api.get("/batches/").status_code == 503
    assert [shown["applied"] for shown in api.http.get(faults).json()] == [1, 0, 0]
    assert api.http.delete(f"{faults}/{ids[0]}").json() == {"removed": True}
    assert api.http.delete(f"{faults}/{ids[0]}").status_code == 404
    assert api.get("/batches/").status_code == 429
    api.http.delete(faults)
    assert sandbox.faults.rules() == []


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"kind": "explode"}', '{"kind": "cap", "x": 1}'])
def test_wrong_faults_over_http(sandbox: Sandbox, api: Any, text: str) -> None:
    """A rule that is not in order is a 422 that says why, and installs nothing."""
    answer = api.http.post(f"{api.control}/faults", content=text)
    assert (answer.status_code, bool(answer.json()["detail"])) == (422, True)
    assert sandbox.faults.rules() == []


def test_a_list_with_a_wrong_rule_installs_none(sandbox: Sandbox, api: Any) -> None:
    """Several rules are installed together or not at all."""
    rules = [{"kind": "reset"}, {"kind": "explode"}]
    assert api.http.post(f"{api.control}/faults", json=rules).status_code == 422
    assert sandbox.faults.rules() == []


def test_log_batches_and_dials_over_http(sandbox: Sandbox, api: Any) -> None:
    """The oracles are there over HTTP; requests to them are not in the log."""
    batch_id = api.create(2, metadata={"reconciler": {"key": "rk1_x", "name": "welcome"}})
    advanced = api.http.post(f"{api.control}/advance", json={"seconds": 10}).json()
    assert advanced["now"] == sandbox.now().isoformat()
    (entry,) = api.http.get(f"{api.control}/log").json()
    assert (entry["operation"], entry["key"], entry["status"]) == ("create", "rk1_x", 200)
    (batch,) = api.http.get(f"{api.control}/batches").json()
    assert (batch["batch_id"], batch["key"], batch["name"]) == (batch_id, "rk1_x", "welcome")
    assert len(batch["contacts"]) == 2
    dials = api.http.get(f"{api.control}/dials").json()
    assert {dial["phone_number"] for dial in dials} == set(sandbox.batches()[0].phone_numbers)


@pytest.mark.parametrize("seconds", [None, "5", -1, True])
def test_wrong_advance(api: Any, seconds: Any) -> None:
    """Time moves by a number of seconds, forward."""
    answer = api.http.post(f"{api.control}/advance", json={"seconds": seconds})
    assert answer.status_code == 422


def test_gate_over_http(sandbox: Sandbox, api: Any, body: Callable[..., dict[str, Any]]) -> None:
    """A client in any language can wait for a held request and release it."""
    (rule,) = api.http.post(
        f"{api.control}/faults", json={"operation": "create", "kind": "hold"}
    ).json()["ids"]
    client = threading.Thread(target=lambda: api.post("/batches/", body()))
    client.start()
    wait = {"rule": rule, "count": 1, "timeout": 5}
    (held,) = api.http.get(f"{api.control}/holds", params=wait).json()
    assert held["rule"] == rule
    assert sandbox.batches() == []
    released = api.http.post(f"{api.control}/release", json={"rule": rule}).json()
    client.join()
    assert (released, len(sandbox.batches())) == ({"released": 1}, 1)


def test_waiting_for_a_hold_over_http_ends(api: Any) -> None:
    """Waiting for a request that never comes is a 408; a wrong query a 422."""
    holds = f"{api.control}/holds"
    assert api.http.get(holds, params={"count": 1, "timeout": 0}).status_code == 408
    assert api.http.get(holds, params={"count": "many"}).status_code == 422
    assert api.http.get(holds).json() == []


def test_the_guide_knows_every_kind_route_and_campaign(api: Any) -> None:
    """docs/sandbox.md names all kinds of faults with their fields, all routes and campaigns."""
    guide = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:] for line in guide.splitlines() if line.startswith("| `")]
    kinds = {row[0].strip(" `"): row[-2] for row in rows if row[0].strip(" `") in KINDS}
    assert set(kinds) == set(KINDS)
    for name, kind in KINDS.items():
        assert {field for field in kind.fields if f"`{field}`" not in kinds[name]} == set(), name
    assert all(f"`{operation}`" in guide for operation in OPERATIONS)
    assert all(f"`{campaign['campaign_id']}`" in guide for campaign in seeded())
    assert api.http.get(f"{api.control}/nothing").status_code == 404
    for route in ("health", "faults", "holds", "release", "log", "batches", "dials", "advance"):
        assert f"/_sandbox/{route}" in guide
        assert api.http.options(f"{api.control}/{route}").status_code == 405
