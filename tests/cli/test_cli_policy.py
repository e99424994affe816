"""What commands say of a policy: which rule stops or warns, and where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import orjson
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.sandbox import Sandbox
    from tests.cli.conftest import Cli

    Write = Callable[..., Path]

SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "plan.schema.json"
EXCEPTION = "{exceptions: [{rule: approval, reason: agreed with Legal, until: 2099-12-31}]}"


def policy(*lines: str) -> None:
    """Write the root's policy."""
    Path("batches").mkdir(exist_ok=True)
    text = "policy:\n" + "".join(f"  {line}\n" for line in lines)
    Path("batches/reconciler.yaml").write_text(text, encoding="utf-8")


def test_every_rule_that_refuses_is_told(account: Cli, write: Write, sandbox: Sandbox) -> None:
    """Whoever reads the plan sees all rules at once, each with its line; apply creates nothing."""
    write(people=3)
    policy(
        "max_contacts: {batch: 2, apply: 2, day: 2}",
        "approval: {above: 2, approvers: [anna, ben]}",
        "campaigns: [cmp_other]",
        "call_variables: {forbidden: [plan]}",
        "scheduled_start: {required: true, lead_time: 2h}",
        "consent: {bases: [express-written]}",
    )
    assert account.run("plan") == 0
    assert account.run("apply", "--yes") == 4
    assert account.run("validate") == 1
    account.said("policy_refuses")
    assert not sandbox.batches()
    account.run("plan", "--format", "json")
    document = account.json()
    jsonschema.validate(document, orjson.loads(SCHEMA.read_bytes()))
    (action,) = document["actions"]
    assert (action["action"], action["reason"], action["people"]) == ("blocked", "policy", 0)
    assert [each["rule"] for each in action["rules"]] == [
        "max_contacts.batch",
        "max_contacts.apply",
        "max_contacts.day",
        "approval",
        "campaigns",
        "call_variables",
        "scheduled_start",
        "lead_time",
        "consent",
    ]


def test_a_rule_that_only_warns(account: Cli, write: Write) -> None:
    """A warning is told with the plan, and the batch is created."""
    write(people=3)
    policy("approval: {above: 2}", "warn: [approval]")
    assert account.run("plan") == 0
    assert account.run("apply", "--yes") == 0
    assert account.run("validate") == 0
    account.said("policy_warns")


@pytest.mark.parametrize("how", ["text", "markdown"])
def test_an_exception_is_told_first(account: Cli, write: Write, how: str) -> None:
    """Nobody can read a plan without seeing which rule it is excepted from, and why."""
    write(people=3, scheduled_start="2035-05-14T09:00:00", reconcile=EXCEPTION)
    policy("approval: {above: 2}")
    assert account.run("plan", "--format", how) == 0
    account.said(f"policy_exception_{how}")
    account.run("plan", "--format", "json")
    jsonschema.validate(account.json(), orjson.loads(SCHEMA.read_bytes()))
    assert [each["rule"] for each in account.json()["exceptions"]] == ["approval"]
    assert account.run("apply", "--yes") == 0


def test_a_policy_is_about_launches_only(account: Cli, write: Write) -> None:
    """What was created before a rule was made is not launched again, so nothing is refused."""
    write(people=3)
    account.prepare("apply", "--yes")
    policy("max_contacts: {batch: 1}")
    assert account.run("plan", "--detailed-exitcode") == 0
    assert account.run("validate") == 0


def test_others_are_not_held_up(account: Cli, write: Write, sandbox: Sandbox) -> None:
    """What a rule of single batches refuses keeps no other batch from being created."""
    write("large", people=3)
    write("small", people=1, first=5)
    policy("max_contacts: {batch: 2}")
    assert account.run("apply", "--yes") == 4
    assert [batch.total_contacts for batch in sandbox.batches()] == [1]


def test_people_of_the_last_day_count(account: Cli, write: Write, sandbox: Sandbox) -> None:
    """A day's limit counts what earlier runs launched."""
    policy("max_contacts: {day: 3}")
    write("one", people=2)
    assert account.run("apply", "--yes") == 0
    write("two", people=2, first=5)
    assert account.run("apply", "--yes") == 4
    assert "after 2 in the last 24 hours" in account.stdout
    assert len(sandbox.batches()) == 1


def test_a_wrong_policy_is_an_error(account: Cli, write: Write) -> None:
    """A policy that cannot be read as a whole lets nothing be done, and says all that is wrong."""
    write()
    policy(
        "max_contacts: {batch: many, hour: 3}",
        "max_batches: -1",
        "aproval: {above: 1}",
        "approval: {approvers: [a], needed: 2}",
        "countries: [India]",
        "packs: [us-tcpaa]",
        "warn: [approvals]",
        "consent: yes",
    )
    assert account.run("plan") == 1
    assert account.run("apply", "--yes") == 1
    account.said("policy_wrong")


def test_a_wrong_exception_is_an_error(cli: Cli, write: Write) -> None:
    """An exception names a rule there is, a reason and a last day."""
    write(reconcile="{exceptions: [{rule: aproval, reason: '', until: 2026-02-30}, {rule: all}]}")
    assert cli.run("validate") == 1
    cli.said("policy_wrong_exception")


def test_not_after(account: Cli, write: Write, sandbox: Sandbox) -> None:
    """A spec that came too late launches nothing, with no policy at all."""
    write("late", reconcile="{not_after: '2020-01-01T09:00:00'}")
    write("in-time", first=5, reconcile="{not_after: '2099-01-01T09:00:00'}")
    assert account.run("apply", "--yes") == 4
    assert len(sandbox.batches()) == 1
    account.said("policy_not_after")


def test_only_begun_tells_what_keeps_it(account: Cli, write: Write, sandbox: Sandbox) -> None:
    """What an earlier run began, and a rule keeps from being brought to its end, is no success."""
    write(people=3)
    sandbox.faults.add(operation="create", kind="close", when="before", times=1)
    assert account.run("apply", "--yes", "--verify-for", "0") == 3
    policy("max_contacts: {batch: 2}")
    assert account.run("apply", "--yes", "--only-begun", "--settle", "0") == 4
    assert "max_contacts.batch" in account.stdout
    policy("max_contacts: {batch: 3}")
    assert account.run("apply", "--yes", "--only-begun", "--settle", "0") == 0
    assert len(sandbox.batches()) == 1


def test_a_saved_plan_without_the_exception(account: Cli, write: Write, sandbox: Sandbox) -> None:
    """An exception that was written after the plan was looked at was not looked at."""
    policy("approval: {above: 2}")
    write(people=3, reconcile="{approved_by: [anna]}")
    assert account.run("plan", "--out", "plan.json") == 0
    write(people=3, reconcile=EXCEPTION)
    assert account.run("apply", "--yes", "--plan", "plan.json") == 4
    assert not sandbox.batches()
