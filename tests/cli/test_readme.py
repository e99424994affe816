"""The README is true: its output, its examples, its tables and its links.

`UPDATE_SAID=1 .venv/bin/pytest tests/cli/test_readme.py` writes the output of its `console` blocks
anew: below each line that begins with `$ reconciler` stands what that command prints. They run one
after the other in a copy of `batches/`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.cli.app import COMMANDS
from reconciler.errors import ExitCode
from reconciler.spec.config.settings_model import SettingsFile
from reconciler.spec.lists.list_model import ContactsFile
from reconciler.spec.models import BatchSpec, Contact, Reconcile
from reconciler.state.document import Audit, Generation, NameRecord, RequestRecord, Source
from reconciler.state.layout import StateFile
from tests.cli.conftest import normalised

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
CONSOLE = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)


def rows(page: str) -> set[str]:
    """Give what the first cells of a page's tables name: code, or else plain text."""
    cells = re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell) or [cell.strip()]}


@pytest.fixture
def readme() -> str:
    """Give the README."""
    return README.read_text("utf-8")


def test_the_output_is_what_the_commands_print(cli: Cli, readme: str) -> None:
    """Every console block shows what its commands print today, but for ids and times."""

    def played(block: re.Match[str]) -> str:
        shown = []
        for line in block[0].splitlines():
            if line.startswith("$ "):
                name, *arguments = shlex.split(line.removeprefix("$ "))
                assert name == "reconciler", line
                cli.run(*arguments)
                shown.append(f"{line}\n{cli.printed}")
        now = "\n".join(shown)
        return block[0] if normalised(now) == normalised(block[0]) else now

    shutil.copytree(ROOT / "batches", "batches", ignore=shutil.ignore_patterns(".sandbox"))
    today = CONSOLE.sub(played, readme)
    if os.environ.get("UPDATE_SAID"):
        README.write_text(today, encoding="utf-8")
        readme = today
    assert len(CONSOLE.findall(readme)) >= 1
    assert [normalised(block) for block in CONSOLE.findall(readme)] == [
        normalised(block) for block in CONSOLE.findall(today)
    ]


def test_the_example_specs_are_sound(cli: Cli, readme: str) -> None:
    """Whoever copies an example has a sound spec."""
    examples = re.findall(r"```yaml\n# (batches/\S+\.yaml)\n(.*?)```", readme, re.DOTALL)
    assert len(examples) == 2
    shutil.copytree(ROOT / "batches" / "contacts", "batches/contacts")
    for path, text in examples:
        Path(path).write_text(text, encoding="utf-8")
    assert cli.run("validate") == 0, cli.stdout


def test_every_field_is_in_the_tables(readme: str) -> None:
    """Fields of specs, contacts and lists, and every setting, are in the README and no others."""
    fields = {
        *(BatchSpec.model_fields.keys() - {"reconcile"}),
        *(f"reconcile.{name}" for name in Reconcile.model_fields),
        *Contact.model_fields,
        *(f"contacts.{name}" for name in ContactsFile.model_fields),
        *SettingsFile.model_fields,
    }
    assert fields - rows(readme) == set()
    others = {*COMMANDS, *re.findall(r"[A-Z_]{5,}", readme)}
    told = {name for name in rows(readme) if re.fullmatch(r"[a-z_.]{3,}", name)}
    assert told - fields - others <= {"command", "field", "setting", "variable"}


def test_every_command_and_exit_status_is_in_the_tables(readme: str) -> None:
    """The tables name every command, exit status and variable there is."""
    assert set(COMMANDS) <= rows(readme)
    assert {str(code.value) for code in ExitCode} <= rows(readme)
    source = "".join(path.read_text("utf-8") for path in (ROOT / "reconciler").rglob("*.py"))
    variables = set(re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', source))
    assert {name for name in variables if name.startswith(("GRAINE", "RECONCILER"))} <= rows(readme)


@pytest.mark.parametrize(
    "page",
    ["README.md", "docs/architecture.md", "docs/commands.md", "docs/github.md", "docs/plans.md"],
)
def test_every_link_leads_somewhere(page: str) -> None:
    """A relative link names a file or a directory that is there."""
    path = ROOT / page
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", path.read_text("utf-8"))
    assert links
    missing = {Path(link).name for link in links if not (path.parent / link).exists()}
    assert missing <= {"reliability.md"}  # written together with the tests that it tells of


def test_every_field_of_the_state_is_explained() -> None:
    """The architecture's table has every field that `state.json` can hold."""
    kinds = (StateFile, NameRecord, Generation, Source, RequestRecord, Audit)
    names = {field for kind in kinds for field in kind.__struct_fields__}
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    table = "".join(line for line in page.splitlines(keepends=True) if line.startswith("| "))
    assert names - set(re.findall(r"`([a-z_]+)`", table)) == set()
