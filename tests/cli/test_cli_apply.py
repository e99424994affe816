"""`reconciler apply`: what it says of each way a create can end, and when it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import jsonschema
import orjson
import pytest

from tests.cli.conftest import NAME, NUMBERS, SECRETS, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.sandbox import Sandbox
    from tests.cli.conftest import Cli

SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "plan.schema.json"


def complaint(number: int) -> dict[str, Any]:
    """Give the API's complaint about one contact's number, as the vendor's framework writes it."""
    return {
        "detail": [
            {
                "loc": ["body", "contacts", number, "phone_number"],
                "msg": "not a number that can be called",
                "type": "value_error",
            }
        ]
    }


def test_it_asks_for_a_terminal_or_for_yes(account: Cli, write: Callable[..., Path]) -> None:
    """Without a terminal to ask on and without --yes nothing is done.

    That the token is missing too is told at once.
    """
    write()
    assert account.run("apply") == 4
    assert account.run("apply", "--format", "json") == 4
    account.env(GRAINE_API_KEY="")
    assert account.run("apply") == 4
    assert not Path("batches/state.json").exists()
    account.said("apply_without_yes")


def test_creating(account: Cli, write: Callable[..., Path]) -> None:
    """Each batch is told with its id; applied again, nothing is created."""
    write("welcome", people=1)
    write("renewals/2035-05", people=3, first=1, scheduled_start="2035-05-14T09:00:00")
    assert account.run("apply", "--yes") == 0
    assert account.run("apply", "--yes") == 0
    account.said("apply_create")


def test_two_roots_use_the_same_names(account: Cli, write: Callable[..., Path]) -> None:
    """Staging and production are two roots: neither takes the other's batch for its own."""
    contents = write().read_text("utf-8")
    for root in ("staging", "production"):
        Path("batches", root).mkdir()
        Path("batches", root, "welcome.yaml").write_text(contents, "utf-8")
    Path("batches/welcome.yaml").unlink()
    for root in ("staging", "production"):
        assert account.run("--batches", f"batches/{root}", "apply", "--yes") == 0
    Path("batches/production/state.json").unlink()
    assert account.run("--batches", "batches/production", "plan") == 0
    account.said("apply_two_roots")


def test_json(account: Cli, sandbox: Sandbox, write: Callable[..., Path]) -> None:
    """The JSON report has each action's outcome and id; stdout holds nothing else."""
    sandbox.faults.add(operation="create", kind="wrong_total", total=1)
    write()
    assert account.run("apply", "--yes", "--format", "json") == 0
    jsonschema.validate(account.json(), orjson.loads(SCHEMA.read_bytes()))
    assert account.stderr == ""
    account.said("apply_json")


def test_only_what_was_reviewed(account: Cli, write: Callable[..., Path]) -> None:
    """`--plan` applies a saved plan as long as it still is the plan, and refuses otherwise."""
    write("welcome")
    assert account.run("plan", "--out", "plan.json") == 0
    write("hello", first=5)
    assert account.run("apply", "--yes", "--plan", "plan.json") == 4
    Path("batches/hello.yaml").unlink()
    assert account.run("apply", "--yes", "--plan", "plan.json") == 0
    assert account.run("apply", "--yes", "--plan", "plan.json") == 4
    account.said("apply_saved_plan")


def test_a_plan_that_is_none(account: Cli, write: Callable[..., Path]) -> None:
    """A guard that cannot be checked refuses: a file that is no saved plan, or another state's."""
    write()
    Path("garbage").write_text("not a plan", encoding="utf-8")
    account.prepare("plan", "--format", "json")
    Path("printed.json").write_text(account.stdout, encoding="utf-8")
    for file in ("garbage", "printed.json"):
        assert account.run("apply", "--yes", "--plan", file) == 4
    account.prepare("apply", "--yes")
    write("hello", first=5)
    account.prepare("plan", "--out", "plan.json")
    assert account.run("apply", "--sandbox", "--yes", "--plan", "plan.json") == 4
    account.said("apply_no_plan")


def test_pruning(account: Cli, write: Callable[..., Path]) -> None:
    """A removed spec's batch is cancelled where that is asked for, and not too many at once."""
    write("stays", scheduled_start="2035-05-14T09:00:00")
    old = write(first=2, scheduled_start="2035-05-14T09:00:00")
    account.prepare("apply", "--yes")
    old.unlink()
    assert account.run("apply", "--yes", "--prune") == 4
    assert account.run("apply", "--yes", "--prune", "--prune-limit", "1") == 0
    account.said("apply_prune")


def test_a_spec_that_is_renamed_and_revived_at_once(
    account: Cli, write: Callable[..., Path], sandbox: Sandbox
) -> None:
    """The record moves to the new name, and those who were not called are called from there."""
    start = "2035-05-14T09:00:00"
    write(scheduled_start=start, reconcile="{name: old}")
    account.prepare("apply", "--yes")
    write(scheduled_start=start, reconcile="{name: old, lifecycle: cancelled}")
    account.prepare("apply", "--yes")
    write(scheduled_start=start)
    assert account.run("plan") == 0
    assert account.run("apply", "--yes") == 0
    assert account.run("plan", "--detailed-exitcode") == 0
    assert [batch.status for batch in sandbox.batches()] == ["cancelled", "pending"]


def test_a_changed_lifecycle(account: Cli, write: Callable[..., Path]) -> None:
    """A spec that says `paused` has its batch paused, and one that says `active` again resumed."""
    write(scheduled_start="2035-05-14T09:00:00")
    account.prepare("apply", "--yes")
    write(scheduled_start="2035-05-14T09:00:00", reconcile="{lifecycle: paused}")
    assert account.run("apply", "--yes") == 0
    write(scheduled_start="2035-05-14T09:00:00")
    assert account.run("apply", "--yes") == 0
    account.said("apply_pause")


def test_a_number_the_api_does_not_take(
    account: Cli, sandbox: Sandbox, write: Callable[..., Path]
) -> None:
    """What the API says of a contact is shown at the line of that contact in the spec."""
    sandbox.faults.add(operation="create", kind="status", code=422, body=complaint(1))
    write()
    assert account.run("apply", "--yes") == 1
    assert "batches/welcome.yaml:5:19: error: contacts[1].phone_number" in account.stdout
    account.said("rejected_inline")


def test_a_number_in_a_list_the_api_does_not_take(account: Cli, sandbox: Sandbox) -> None:
    """What the API says of a contact is shown at the line of the contact list."""
    sandbox.faults.add(operation="create", kind="status", code=422, body=complaint(1))
    Path("batches").mkdir()
    rows = "".join(f"{NAME},{number}\n" for number in NUMBERS[:3])
    Path("batches/list.csv").write_text(f"Who,Mobile\n{rows}", encoding="utf-8")
    Path("batches/welcome.yaml").write_text(
        "campaign_id: cmp_abc123\n"
        "contacts: {file: list.csv, columns: {phone_number: Mobile, callee_name: Who}}\n",
        encoding="utf-8",
    )
    assert account.run("apply", "--yes") == 1
    assert "batches/list.csv:3:17: error: contacts[1].phone_number" in account.stdout
    account.said("rejected_list")


def test_several_rejections(account: Cli, sandbox: Sandbox, write: Callable[..., Path]) -> None:
    """One batch's rejection does not keep the others, and a hint shared by several is told once."""
    for name, first in (("one", 0), ("two", 3), ("three", 6)):
        write(name, first=first)
    sandbox.faults.add(operation="create", kind="status", code=401, times=2)
    assert account.run("apply", "--yes", "--parallelism", "1") == 1
    account.said("rejected_several")


def test_an_answer_that_was_lost(
    account: Cli, sandbox: Sandbox, write: Callable[..., Path]
) -> None:
    """A create without an answer is looked for, found and recorded."""
    sandbox.faults.add(operation="create", kind="close", when="after")
    write()
    assert account.run("apply", "--yes") == 0
    assert len(sandbox.batches()) == 1
    account.said("lost_answer")


def test_in_doubt(account: Cli, sandbox: Sandbox, write: Callable[..., Path]) -> None:
    """A create that cannot be found is in doubt: exit 3, and nothing is created meanwhile."""
    sandbox.faults.add(operation="create", kind="close", when="before", times=1)
    write("welcome")
    write("hello", first=5)
    assert account.run("apply", "--yes", "--verify-for", "0", "--parallelism", "1") == 3
    assert account.run("plan") == 0
    assert account.run("plan", "--offline") == 0
    assert account.run("apply", "--yes", "--verify-for", "0") == 3
    assert len(sandbox.batches()) == 1
    assert account.run("apply", "--yes", "--settle", "0") == 0
    assert len(sandbox.batches()) == 2
    account.said("in_doubt")


def test_two_at_a_time(cli: Cli, write: Callable[..., Path]) -> None:
    """While another apply holds the state, this one is refused."""
    write()
    cli.run("plan", "--sandbox")
    with filelock.FileLock("batches/.sandbox/.state.json.lock"):
        assert cli.run("apply", "--sandbox", "--yes") == 4
    cli.said("locked")


def test_nothing_personal_is_left_behind(
    account: Cli, sandbox: Sandbox, write: Callable[..., Path]
) -> None:
    """Numbers, call variables and the token are in the specs and the environment, nowhere else."""
    sandbox.faults.add(operation="create", kind="status", code=422, body=complaint(0), times=1)
    sandbox.faults.add(operation="create", kind="close", when="after", times=1)
    spec = write()
    for _ in range(2):
        account.run("apply", "--yes", "--format", "json")
    account.prepare("plan", "--out", "plan.json")
    account.prepare("state", "show", "welcome", "--format", "json")
    written = {path for path in Path().rglob("*") if path.is_file()} - {spec}
    assert {path.name for path in written} >= {"state.json", "plan.json"}
    for path in written:
        for secret in SECRETS:
            assert secret not in path.read_text("utf-8", errors="replace"), path


@pytest.mark.parametrize("secret", SECRETS)
def test_nothing_personal_was_ever_said(secret: str) -> None:
    """No output that these tests keep holds a number, a call variable or the token."""
    said = Path(__file__).parent / "said"
    assert TOKEN in SECRETS
    assert [p.name for p in said.iterdir() if secret in p.read_text("utf-8")] == []
