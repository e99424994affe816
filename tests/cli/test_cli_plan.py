"""`reconciler plan`: what it says about everything it can plan, and its exit codes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import orjson
import pytest

from reconciler.render.markers import reviewed_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.sandbox import Sandbox
    from tests.cli.conftest import Cli

LATER = "2035-05-14T09:00:00"
SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "plan.schema.json"


def conforms(document: Any) -> None:
    """Hold a document against the published schema."""
    jsonschema.validate(document, orjson.loads(SCHEMA.read_bytes()))


def tells_that_two_are_called_again(account: Cli, *, by: str) -> None:
    """Look for it at the top of a plan, in every format."""
    assert account.run("plan") == 0
    assert account.stdout.startswith(f"!!! 2 PEOPLE WILL BE CALLED AGAIN, by {by} !!!\n")
    assert account.run("plan", "--format", "markdown") == 0
    assert "**2 PEOPLE WILL BE CALLED AGAIN**" in account.stdout.split("\n| ")[0]
    assert account.run("plan", "--format", "json") == 0
    assert account.json()["called_again"] == 2
    conforms(account.json())


def test_new_specs(account: Cli, write: Callable[..., Path]) -> None:
    """A plan says who is created, how many people that calls, when, and with which limits."""
    write("welcome", people=1, concurrency_limit="10", max_retries_override="0")
    write("renewals/2035-05", people=3, first=1, scheduled_start="2035-05-14T09:00:00")
    assert account.run("plan") == 0
    assert account.run("plan", "--detailed-exitcode") == 2
    account.said("plan_create")
    assert account.run("plan", "--format", "json") == 0
    conforms(account.json())


def test_json(account: Cli, write: Callable[..., Path]) -> None:
    """The JSON plan says the same as the text, for programs."""
    write("renewals", people=3, scheduled_start="2035-05-14T09:00:00")
    assert account.run("plan", "--format", "json", "--detailed-exitcode") == 2
    conforms(account.json())
    account.said("plan_json")


def test_json_of_a_split_spec(account: Cli, write: Callable[..., Path]) -> None:
    """A program is told how many batches a spec becomes, where it is more than one."""
    write("long", people=5, reconcile="{split: {max_contacts: 2}}")
    write("short", people=2, first=5, reconcile="{split: {max_contacts: 2}}")
    assert account.run("plan", "--format", "json") == 0
    conforms(account.json())
    requests = {each["name"]: each.get("requests") for each in account.json()["actions"]}
    assert requests == {"long": 3, "short": None}


def test_nothing_to_do(account: Cli, write: Callable[..., Path]) -> None:
    """Once applied, the same specs plan nothing, whatever the order of their keys and people."""
    write()
    account.prepare("apply", "--yes")
    assert account.run("plan") == 0
    assert account.run("plan", "--detailed-exitcode") == 0
    assert account.run("plan", "--format", "json") == 0
    conforms(account.json())
    assert account.json()["actions"] == []
    account.said("plan_none")


def test_without_a_token(cli: Cli, write: Callable[..., Path]) -> None:
    """Without a token, or with --offline, the plan says what it could not know."""
    write(scheduled_start="2035-05-14T09:00:00")
    assert cli.run("plan") == 0
    assert cli.run("plan", "--offline") == 0
    assert cli.run("plan", "--offline", "--format", "json") == 0
    conforms(cli.json())
    assert cli.json()["offline"] is True
    cli.said("plan_offline")


def test_in_the_sandbox(cli: Cli, write: Callable[..., Path]) -> None:
    """`--sandbox` says that nothing is real, and hints keep to the sandbox and the root."""
    Path("batches").mkdir()
    write("../staging/welcome")
    assert cli.run("--batches", "staging", "plan", "--sandbox") == 0
    assert cli.run("--batches", "staging", "apply", "--sandbox") == 4
    assert "reconciler --batches staging apply --sandbox --yes" in cli.stderr
    cli.said("sandbox_plan")


def test_a_renamed_spec(account: Cli, write: Callable[..., Path]) -> None:
    """The same contents under another name are a move: nobody is called."""
    old = write("welcome")
    account.prepare("apply", "--yes")
    old.rename("batches/hello.yaml")
    assert account.run("plan") == 0
    assert account.run("plan", "--format", "json") == 0
    conforms(account.json())
    assert account.run("apply", "--yes") == 0
    account.said("plan_move")


def test_a_spec_that_is_renamed_and_edited_at_once(
    account: Cli, sandbox: Sandbox, write: Callable[..., Path]
) -> None:
    """It is a new batch: the plan says whom that calls again, and how to make it a change."""
    old = write("welcome", people=3)
    account.prepare("apply", "--yes")
    sandbox.advance(40 * 3600)
    old.unlink()
    write("hello", people=4, first=1, scheduled_start="2035-05-14T09:00:00")
    tells_that_two_are_called_again(account, by="hello")
    assert account.run("plan", "--offline") == 0
    assert "offline it cannot be told" in account.stdout
    late = {"scheduled_start": "2035-05-14T09:00:00", "reconcile": "{name: welcome}"}
    write("hello", people=4, first=1, **late)
    assert account.run("plan") == 0
    assert "AGAIN" not in account.stdout
    account.said("plan_renamed_and_edited")


def test_new_specs_with_people_in_common(account: Cli, write: Callable[..., Path]) -> None:
    """They are counted as calls and as people, and told in one line."""
    for name in ("april", "may", "june"):
        write(name, people=2, call_context=f"{{about: {name}}}", scheduled_start=LATER)
    assert account.run("plan") == 0
    assert "6 calls to 2 people will be made" in account.stdout
    assert account.stdout.count("more than one") == 1
    assert account.run("plan", "--format", "markdown") == 0
    assert "### 6 calls to 2 people will be made, the first on" in account.stdout
    assert account.run("plan", "--format", "json") == 0
    conforms(account.json())
    assert (account.json()["people"], account.json()["repeated"]) == (6, 4)
    account.said("plan_shared")


def test_a_removed_spec(account: Cli, write: Callable[..., Path]) -> None:
    """A batch whose spec is gone is left alone, and the plan says so."""
    write("stays")
    old = write("welcome")
    account.prepare("apply", "--yes")
    old.unlink()
    assert account.run("plan") == 0
    account.said("plan_orphan")


def test_as_a_comment(account: Cli, write: Callable[..., Path]) -> None:
    """As markdown a plan is a comment for a pull request, under the root's name; mistakes too."""
    write(people=3, scheduled_start="2035-05-14T09:00:00")
    assert account.run("plan", "--format", "markdown") == 0
    assert account.stdout.startswith("<!-- call-batch-reconciler:plan batches -->\n")
    comment = reviewed_in(account.stdout, "batches")
    assert account.run("plan", "--format", "json") == 0
    assert comment is not None
    assert account.json()["plan_hash"] == comment.plan_hash
    account.prepare("plan", "--format", "markdown")
    write(concurrency_limit="none")
    assert account.run("plan", "--format", "markdown") == 1
    assert reviewed_in(account.stdout, "batches") is None
    account.said("plan_markdown")


def test_a_changed_spec(account: Cli, write: Callable[..., Path]) -> None:
    """A changed spec plans a replacement: what changed, and who was called, is, and is not."""
    write(concurrency_limit="10", scheduled_start="2035-05-14T09:00:00")
    account.prepare("apply", "--yes")
    write(concurrency_limit="20", scheduled_start="2035-05-14T09:00:00", people=3)
    assert account.run("plan") == 0
    assert account.run("plan", "--format", "markdown") == 0
    assert account.run("plan", "--format", "json") == 0
    conforms(account.json())
    assert account.run("plan", "--offline") == 0
    assert account.run("apply", "--yes") == 0
    account.said("plan_replace")


def test_people_who_would_be_called_again(
    account: Cli, sandbox: Sandbox, write: Callable[..., Path]
) -> None:
    """Nobody can miss that people are called again: it is told first, and at the spec."""
    write()
    account.prepare("apply", "--yes")
    sandbox.advance(40 * 3600)
    write(people=3, reconcile="{on_change: everyone}", scheduled_start="2035-05-14T09:00:00")
    tells_that_two_are_called_again(account, by="welcome")
    assert account.run("plan", "--offline") == 0
    assert account.stdout.startswith("!!! UP TO 3 PEOPLE WILL BE CALLED AGAIN, by welcome !!!\n")
    account.said("plan_again")


def test_on_change_forbid(account: Cli, write: Callable[..., Path]) -> None:
    """A spec that forbids changes is blocked when it changes."""
    write(reconcile="{on_change: forbid}")
    account.prepare("apply", "--yes")
    write(reconcile="{on_change: forbid}", people=3)
    assert account.run("plan") == 4
    assert account.run("plan", "--detailed-exitcode", "--format", "json") == 4
    assert account.run("apply", "--yes") == 4
    account.said("plan_forbid")


def test_a_lost_state(account: Cli, write: Callable[..., Path]) -> None:
    """Without its state, a spec whose batch the API has is adopted, not created again."""
    write()
    account.prepare("apply", "--yes")
    Path("batches/state.json").unlink()
    assert account.run("plan") == 0
    assert account.run("plan", "--format", "json") == 0
    conforms(account.json())
    assert account.run("apply", "--yes") == 0
    account.said("plan_adopt")


def test_a_name_that_the_api_has(account: Cli, write: Callable[..., Path]) -> None:
    """Another batch of the same name that no state knows is never guessed about."""
    write()
    account.prepare("apply", "--yes")
    Path("batches/state.json").unlink()
    write(concurrency_limit="7")
    assert account.run("plan") == 0
    assert account.run("apply", "--yes") == 4
    account.said("plan_name_in_use")


def test_clocks_put_forward(account: Cli, write: Callable[..., Path]) -> None:
    """A start that the campaign's clocks jump over is told, and what it is taken for."""
    write(campaign_id="cmp_new_york", scheduled_start="2035-03-11T02:30:00")
    assert account.run("plan") == 0
    account.said("plan_dst")


def test_odd_campaigns(account: Cli, write: Callable[..., Path]) -> None:
    """A campaign that is paused, or that nobody knows, is pointed out."""
    write("paused", campaign_id="cmp_paused")
    write("missing", first=2, campaign_id="cmp_missing")
    assert account.run("plan") == 0
    account.said("plan_odd_campaigns")


def test_an_armed_batch(account: Cli, write: Callable[..., Path]) -> None:
    """With `arm_delay` a batch without a start does not call right away, and the plan says when."""
    write()
    Path("batches/reconciler.yaml").write_text("arm_delay: 2m\n", encoding="utf-8")
    assert account.run("plan") == 0
    account.said("plan_armed")


def test_another_organisation(account: Cli, write: Callable[..., Path]) -> None:
    """A spec of another organisation than GRAINE_ORG_ID is refused."""
    account.env(GRAINE_ORG_ID="org_ours")
    write(organization_id="org_theirs")
    assert account.run("plan") == 0
    account.said("plan_other_organisation")


def test_a_long_plan(account: Cli, write: Callable[..., Path]) -> None:
    """After many actions the sum is told again, where the eye is."""
    for number in range(7):
        write(f"spec-{number}", first=2 * number, scheduled_start="2035-05-14T09:00:00")
    write("thousands", people=0)
    people = "".join(f"+1415{n:07d},Person {n}\n" for n in range(12_000))
    Path("batches/list.csv").write_text(f"phone_number,callee_name\n{people}", encoding="utf-8")
    Path("batches/thousands.yaml").write_text(
        "campaign_id: cmp_abc123\ncontacts: {file: list.csv}\n", encoding="utf-8"
    )
    assert account.run("plan") == 0
    account.said("plan_long")


@pytest.mark.parametrize(
    "variables",
    [
        {"GRAINE_API_KEY": ""},
        {"GRAINE_API_KEY": "gat_a b"},
        {"GRAINE_API_KEY": "Bearer gat_abc"},
        {"GRAINE_API_URL": "http://api.example.com/api/v1"},
        {"GRAINE_API_URL": "api.example.com"},
        {"GRAINE_TIMEOUT": "soon"},
        {"GRAINE_API_KEY": "gat_wrong"},
    ],
    ids=["none", "space", "bearer", "in_clear", "no_url", "timeout", "wrong"],
)
def test_a_wrong_environment(
    account: Cli,
    write: Callable[..., Path],
    variables: dict[str, str],
    request: pytest.FixtureRequest,
) -> None:
    """What is wrong with token, URL or timeout is told before anything is sent."""
    write()
    account.env(**variables)
    account.run("plan")
    account.run("apply", "--yes")
    account.said(f"environment_{request.node.callspec.id}")


def test_an_api_that_is_not_there(
    account: Cli, sandbox: Sandbox, write: Callable[..., Path]
) -> None:
    """A plan without answers is a plan with warnings."""
    write()
    sandbox.disconnect()
    assert account.run("plan") == 0
    account.said("unreachable_plan")


def test_saving_a_plan_where_nothing_can_be_written(
    account: Cli, write: Callable[..., Path]
) -> None:
    """A plan that cannot be saved is a usage error."""
    write()
    assert account.run("plan", "--out", "nowhere/plan.json") == 64
    account.said("plan_not_saved")


@pytest.mark.parametrize("command", [("sandbox",), ("plan", "--sandbox")], ids=" ".join)
def test_without_the_embedded_api_it_is_said_how_to_get_it(
    cli: Cli, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """It is an extra: a usage error names the package to install."""
    write()
    monkeypatch.setitem(sys.modules, "reconciler.sandbox", None)
    assert cli.run(*command) == 64
    assert "the embedded API is not installed" in cli.stderr
    assert "pip install 'call-batch-reconciler[sandbox]'" in cli.stderr
