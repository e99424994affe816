"""Nobody waits for a library they do not use: slow modules load where they are needed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from reconciler.cli.app import COMMANDS

ROOT = Path(__file__).parents[2]
SLOW = {"asyncio", "deepdiff", "httpx", "pydantic", "rich", "ruamel", "starlette", "uvicorn"}
READING_SPECS = {"pydantic", "ruamel"}
"""What any command that works with specs needs."""


def loaded_by(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter and give which slow libraries it loaded."""
    script = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('loaded', *sorted({SLOW!r} & set(sys.modules))))\n"
        f"{statement}\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], check=True, capture_output=True, text=True
    )
    first, *names = done.stdout.splitlines()[-1].split()
    assert first == "loaded"
    return set(names)


def test_importing_the_package_loads_nothing_slow() -> None:
    """`import reconciler` costs next to nothing."""
    assert loaded_by("import reconciler") == set()


def test_importing_the_vocabulary_loads_nothing_slow() -> None:
    """Values, errors and digests can be used without any of the machinery."""
    modules = "model, observed, errors, ports, digest"
    assert loaded_by(f"from reconciler import {modules}") == set()


@pytest.mark.parametrize("module", ["reconciler.cli", "click", "reconciler.cli.app", "msgspec"])
def test_ctrl_c_while_modules_load_ends_in_words(module: str) -> None:
    """Whoever stops a command at once is told so, and sees no traceback."""
    script = (
        "import os, runpy, signal, sys\n"
        "class Stopping:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}:\n"
        "            sys.meta_path.remove(self)\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Stopping())\n"
        "sys.argv = ['reconciler', 'plan']\n"
        "runpy.run_module('reconciler', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.strip() == "stopped; nothing was begun"


def test_the_console_script_is_what_hears_ctrl_c() -> None:
    """Installed, the command begins where `python -m reconciler` does."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["scripts"] == {"reconciler": "reconciler.__main__:main"}


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_asking_about_the_command_loads_nothing_slow(option: str) -> None:
    """`reconciler --version` and `--help` cost little more than Python and click."""
    assert loaded_by(f"from reconciler.cli import main\nmain([{option!r}])") == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_loads_no_network(command: str) -> None:
    """Reading how a command is used needs no HTTP client, server, event loop or terminal."""
    loaded = loaded_by(f"from reconciler.cli import main\nmain([{command!r}, '--help'])")
    assert loaded <= READING_SPECS


@pytest.mark.parametrize("command", [["validate"], ["plan", "--offline"]])
def test_working_offline_loads_no_network(command: list[str], tmp_path: Path) -> None:
    """What asks the API nothing loads no HTTP client, no server and no event loop."""
    (tmp_path / "one.yaml").write_text(
        "campaign_id: cmp_1\n"
        "contacts:\n"
        '  - {phone_number: "+919876543210", call_variables: {callee_name: Asha}}\n',
        encoding="utf-8",
    )
    arguments = ["--batches", str(tmp_path), *command]
    loaded = loaded_by(f"from reconciler.cli import main\nmain({arguments!r})")
    assert loaded == {"ruamel"}, "a sound spec needs no model, and defaults no settings file"
