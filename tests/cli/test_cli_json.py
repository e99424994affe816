"""`--format json` always prints a document of its schema, also when the command fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import orjson
import pytest

from reconciler.render.schemas import all_schemas
from reconciler.render.structured import record_document
from reconciler.state.codec import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Cli

SCHEMAS = {
    "plan": "plan",
    "apply --yes": "plan",
    "validate": "validate",
    "status": "status",
    "explain welcome": "explain",
    "state list": "state-list",
    "state show welcome": "state-show",
    "stop welcome --yes": "stop",
}
"""Every command that prints JSON of a promised shape, and the schema that promises it."""
READERS = [command for command in SCHEMAS if command != "validate"]
ABOUT_SETTINGS = [command for command in READERS if not command.startswith("stop")]
"""`stop` goes on without settings that have mistakes."""
FIXTURES = Path(__file__).parents[1] / "state" / "fixtures"


def conforms(document: Any, command: str) -> None:
    """Hold a document against the published schema of a command's."""
    schema = orjson.loads(all_schemas()[f"{SCHEMAS[command]}.schema.json"])
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert list(validator.iter_errors(document)) == []


def fails(cli: Cli, command: str) -> tuple[int, dict[str, Any]]:
    """Run a command that fails, for a person and for a program, and compare what they are told.

    Give the exit status and the one diagnostic.
    """
    status = cli.run(*command.split())
    assert status != 0
    text = cli.stderr
    assert cli.run(*command.split(), "--format", "json") == status
    assert cli.stderr == text
    document = cli.json()
    conforms(document, command)
    for rows in ("actions", "batches", "campaigns", "generations", "problems"):
        assert not document.get(rows)
    (diagnostic,) = document["diagnostics"]
    place = {"severity": "error", "file": "", "line": 0, "column": 0, "field": ""}
    assert {key: diagnostic[key] for key in place} == place
    assert f"error: {diagnostic['message']}\n" in text
    assert not diagnostic["hint"] or f"hint: {diagnostic['hint']}\n" in text
    return status, diagnostic


@pytest.mark.parametrize("command", SCHEMAS)
def test_what_is_printed_has_its_schema(
    account: Cli, write: Callable[..., Path], command: str
) -> None:
    """A command that does its work prints what its schema promises, and every promised field."""
    write()
    account.prepare("apply", "--yes")
    assert account.run(*command.split(), "--format", "json") == 0
    conforms(account.json(), command)
    schema = orjson.loads(all_schemas()[f"{SCHEMAS[command]}.schema.json"])
    assert set(schema["required"]) <= set(account.json()) <= set(schema["properties"])


def test_every_recorded_state_has_the_schemas_of_state() -> None:
    """What `state show` prints of any state there ever was is as promised."""
    shown = 0
    for path in FIXTURES.rglob("*.json"):
        state = decode(path.read_bytes(), where=path.name)
        for name, record in state.batches.items():
            document = orjson.loads(orjson.dumps(record_document(name, record)))
            conforms(document, "state show welcome")
            shown += 1
    assert shown > 4


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("damage", ['{"version": 9, "tool_version": "9.0"}', "{", ""])
def test_a_state_that_cannot_be_read(cli: Cli, command: str, damage: str) -> None:
    """A program is told why there is nothing, in the document that it expects."""
    cli.env(GRAINE_API_KEY="gat_any")
    Path("batches").mkdir()
    Path("batches/state.json").write_text(damage, encoding="utf-8")
    status, diagnostic = fails(cli, command)
    assert status == 4
    assert "batches/state.json" in diagnostic["message"]


@pytest.mark.parametrize(
    "command", ["apply --yes", "status", "explain welcome", "stop welcome --yes"]
)
def test_no_token(
    account: Cli, monkeypatch: pytest.MonkeyPatch, write: Callable[..., Path], command: str
) -> None:
    """That the token is missing is found out when the API is needed, and told like all else."""
    write()
    account.prepare("apply", "--yes")
    write("more", first=5)
    monkeypatch.delenv("GRAINE_API_KEY")
    status, diagnostic = fails(account, command)
    assert (status, diagnostic["message"]) == (64, "GRAINE_API_KEY is not set")


@pytest.mark.parametrize("command", ["plan", "apply --yes", "validate"])
def test_no_specs(cli: Cli, command: str) -> None:
    """A root that does not exist is told too."""
    status, diagnostic = fails(cli, command)
    assert (status, diagnostic["message"]) == (
        64,
        "the batches directory `batches` does not exist",
    )


def test_a_name_that_nobody_knows(cli: Cli) -> None:
    """The name that was asked for is in the document, and the hint is put as it is typed here."""
    Path("other").mkdir()
    assert cli.run("--batches", "other", "state", "show", "welcome", "--format", "json") == 1
    conforms(cli.json(), "state show welcome")
    assert cli.json()["name"] == "welcome"
    (diagnostic,) = cli.json()["diagnostics"]
    assert diagnostic["hint"] == "see all names: reconciler --batches other state list"


def test_a_stale_plan(account: Cli, write: Callable[..., Path]) -> None:
    """What a guard refuses is refused in JSON as well."""
    write()
    account.prepare("plan", "--out", "plan.json")
    write("more", first=5)
    assert account.run("apply", "--yes", "--plan", "plan.json", "--format", "json") == 4
    conforms(account.json(), "apply --yes")
    (diagnostic,) = account.json()["diagnostics"]
    assert diagnostic["message"].startswith("plan.json is stale")
    assert account.json()["summary"]["create"] == 0


@pytest.mark.parametrize("command", ABOUT_SETTINGS)
def test_wrong_settings_for_programs(cli: Cli, command: str) -> None:
    """Every other command tells the mistakes in the settings at their lines."""
    Path("batches").mkdir()
    Path("batches/reconciler.yaml").write_text("unknwn: hold\nsettle: x\n", encoding="utf-8")
    assert cli.run(*command.split(), "--format", "json") == 1
    conforms(cli.json(), command)
    assert [
        (one["file"], one["line"], one["column"], one["field"]) for one in cli.json()["diagnostics"]
    ] == [("batches/reconciler.yaml", 1, 1, "unknwn"), ("batches/reconciler.yaml", 2, 9, "settle")]
    assert "error: 2 errors in specs or settings" in cli.stderr


def test_settings_that_do_not_say_where_state_lives(cli: Cli) -> None:
    """A stop that cannot even begin is told to programs too."""
    Path("batches").mkdir()
    Path("batches/reconciler.yaml").write_text("unknwn: hold\n", encoding="utf-8")
    status, diagnostic = fails(cli, "stop welcome --yes")
    assert status == 4
    assert diagnostic["hint"].startswith("say it: --state file or --state git")


def test_a_stop_of_a_name_that_nobody_knows(account: Cli, write: Callable[..., Path]) -> None:
    """The name is a row that failed, and has no batch."""
    write()
    account.prepare("apply", "--yes")
    assert account.run("stop", "welcom", "--yes", "--format", "json") == 1
    conforms(account.json(), "stop welcome --yes")
    (row,) = account.json()["batches"]
    assert (row["name"], row["batch_id"], row["outcome"]) == ("welcom", None, "failed")


def test_wrong_settings_in_a_comment(cli: Cli) -> None:
    """A pull request is told them where the plan would stand."""
    Path("batches").mkdir()
    Path("batches/reconciler.yaml").write_text("unknwn: hold\n", encoding="utf-8")
    assert cli.run("plan", "--format", "markdown") == 1
    assert "batches/reconciler.yaml:1" in cli.stdout


@pytest.mark.parametrize("command", SCHEMAS)
def test_a_wrong_command_line_is_told_in_words_only(cli: Cli, command: str) -> None:
    """What was to be printed is not known then."""
    assert cli.run(*command.split(), "--format", "json", "--no-such-option") == 64
    assert cli.stdout == ""
    assert "No such option" in cli.stderr


def broken(*_: object, **__: object) -> None:
    """Fail as a mistake of ours does, with somebody's number in it."""
    raise RuntimeError("9812345600")


def test_no_second_document_is_written(
    account: Cli, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an error comes after the result was printed, the result is all that is on stdout."""
    write()

    monkeypatch.setattr("reconciler.cli.reading.Reader.remember", broken)
    assert account.run("plan", "--format", "json") == 1
    assert account.json()["summary"]["create"] == 1
    assert "a bug in the reconciler: RuntimeError" in account.stderr


def test_a_bug_is_told_without_values(
    account: Cli, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program sees that it was a bug, and nothing that may be a person's."""
    write()

    monkeypatch.setattr("reconciler.cli.reading.Reader.load", broken)
    status, diagnostic = fails(account, "plan")
    assert status == 1
    assert diagnostic["message"].startswith("a bug in the reconciler: RuntimeError at ")


def test_a_full_disk_keeps_the_status(cli: Cli) -> None:
    """That the document cannot be written is no other failure than the one it tells of."""
    Path("batches").mkdir()
    Path("batches/state.json").write_text("{", encoding="utf-8")
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", "state", "list", "--format", "json"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            text=True,
        )
    assert cli.run("state", "list") == done.returncode == 4
    assert done.stderr == cli.stderr
