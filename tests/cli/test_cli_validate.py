"""`reconciler validate` at its various ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Cli


@pytest.fixture
def broken(cli: Cli) -> None:  # noqa: ARG001 - it is the directory of the command line
    """Write two specs with the mistakes people make."""
    Path("batches").mkdir(exist_ok=True)
    Path("batches/renewals.yaml").write_text(
        "campaign_id: cmp_abc123\n"
        "concurency_limit: 10\n"
        "scheduled_start: 2035-05-12\n"
        "contacts:\n"
        "  - phone_number: 9812345600\n"
        "    call_variables: {callee_name: Asha Testperson}\n"
        "  - phone_number: +919812345601\n"
        "    call_variables: {calle_name: Asha Testperson}\n",
        encoding="utf-8",
    )
    Path("batches/welcome.yaml").write_text("campaign_id: [\n", encoding="utf-8")


def test_sound_specs(cli: Cli, write: Callable[..., Path]) -> None:
    """Sound specs give a count of them and of the people in them."""
    write("welcome", people=1)
    write("renewals/2035-05", people=3, scheduled_start="2035-05-12T09:00:00")
    assert cli.run("validate") == 0
    assert cli.run("validate", "--format", "json") == 0
    assert cli.run("validate", "--format", "github") == 0
    cli.said("validate_sound")


def test_an_empty_directory(cli: Cli) -> None:
    """A root without a spec is sound, and says what is looked for."""
    Path("batches").mkdir()
    assert cli.run("validate") == 0
    assert cli.run("plan", "--offline") == 0
    assert cli.run("state", "list") == 0
    cli.said("empty_directory")


@pytest.mark.usefixtures("broken")
def test_broken_specs(cli: Cli) -> None:
    """All mistakes at once, each with place, field and how to mend it; numbers are masked."""
    assert cli.run("validate") == 1
    cli.said("validate_broken")


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("output", ["json", "github"])
def test_broken_specs_for_programs(cli: Cli, output: str) -> None:
    """Programs are told the same as people."""
    assert cli.run("validate", "--format", output) == 1
    assert cli.stderr == ""
    cli.said(f"validate_broken_{output}")


@pytest.mark.usefixtures("broken")
def test_nothing_is_planned_from_broken_specs(cli: Cli) -> None:
    """Plan and apply tell the mistakes as validate does, and do nothing."""
    assert cli.run("plan") == 1
    assert cli.run("plan", "--format", "json") == 1
    assert cli.json()["summary"]["create"] == 0
    assert len(cli.json()["diagnostics"]) == 5
    assert cli.run("apply", "--yes") == 1
    assert not Path("batches/state.json").exists()
    cli.said("broken_plan_and_apply")


def test_a_start_that_is_over(cli: Cli, write: Callable[..., Path]) -> None:
    """A start in the past is an error before the batch is created: it would call right away."""
    write(scheduled_start="2020-05-12T09:00:00")
    assert cli.run("validate") == 1
    assert cli.run("plan", "--offline") == 1
    assert cli.run("apply", "--sandbox", "--yes") == 1
    cli.said("start_in_the_past")


def test_wrong_settings(cli: Cli, write: Callable[..., Path]) -> None:
    """A slip in reconciler.yaml is an error at its line, never a default."""
    write()
    Path("batches/reconciler.yaml").write_text("unknown: hlod\nparalellism: 9\n", encoding="utf-8")
    assert cli.run("validate") == 1
    assert cli.run("apply", "--sandbox", "--yes") == 1
    cli.said("wrong_settings")


@pytest.mark.parametrize("output", ["text", "json", "github"])
def test_settings_and_specs_are_wrong_at_once(cli: Cli, output: str) -> None:
    """The mistakes of both are reported together, in every format; the policy is not known then."""
    Path("batches").mkdir()
    Path("batches/reconciler.yaml").write_text("unknwn: hold\nsettle: x\n", encoding="utf-8")
    Path("batches/welcome.yaml").write_text("campaign_id: [\n", encoding="utf-8")
    assert cli.run("validate", "--format", output) == 1
    if output == "json":
        assert cli.json()["files"] == 1
        assert [(one["file"], one["line"], one["field"]) for one in cli.json()["diagnostics"]] == [
            ("batches/reconciler.yaml", 1, "unknwn"),
            ("batches/reconciler.yaml", 2, "settle"),
            ("batches/welcome.yaml", 2, ""),
        ]
    cli.said(f"validate_settings_{output}")


def test_what_the_policy_refuses_is_counted_apart(cli: Cli, write: Callable[..., Path]) -> None:
    """A spec that may not be launched is not counted as valid, nor are its people."""
    write("welcome", people=1)
    write("hello", people=3, first=5)
    settings = Path("batches/reconciler.yaml")
    settings.write_text("policy: {max_contacts: {batch: 2}}\n", encoding="utf-8")
    assert cli.run("validate") == 1
    assert cli.stderr == "1 of 2 specs is valid, 1 person; 1 may not be launched.\n"
    Path("batches/broken.yaml").write_text("campaign_id: [\n", encoding="utf-8")
    assert cli.run("validate") == 1
    assert cli.stderr == "1 of 3 specs is valid, 1 person; 1 may not be launched.\n"
    settings.unlink()
    assert cli.run("validate") == 1
    assert cli.stderr == "2 of 3 specs are valid, 4 people.\n"


def test_a_list_that_was_not_read(cli: Cli, write: Callable[..., Path]) -> None:
    """Without secrets, a spec whose list lies elsewhere is counted as not checked."""
    write("welcome")
    Path("batches/far.yaml").write_text(
        "campaign_id: cmp_abc123\n"
        f"contacts: {{file: 's3://bucket/people.csv', sha256: {'0' * 64}, count: 2}}\n",
        encoding="utf-8",
    )
    assert cli.run("validate", "--without-secrets") == 0
    assert cli.stderr == "1 of 2 specs is valid, 2 people; 1 not checked: the list was not read.\n"
