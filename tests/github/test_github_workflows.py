"""Our workflows and the action: what they may do, and what they must never do."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from reconciler.cli import run as reconciler
from reconciler.model import OnChange
from tests.github.runner import ACTION, ROOT, load

if TYPE_CHECKING:
    from pathlib import Path

RIGHTS = {
    "plan": {"contents": "read", "pull-requests": "write"},
    "apply": {"contents": "write", "pull-requests": "write", "statuses": "write"},
    "reconcile": {"contents": "write", "issues": "write"},
}
TRIGGERS = {
    "plan": {"pull_request"},
    "apply": {"push"},
    "reconcile": {"schedule", "workflow_dispatch"},
}


@pytest.fixture(scope="module")
def action() -> dict[str, Any]:
    """Give the composite action."""
    return load(ROOT / ACTION / "action.yml")


@pytest.mark.parametrize("name", RIGHTS)
def test_each_job_has_the_rights_it_needs_and_no_more(name: str) -> None:
    """Whoever wants another permission changes it here too, and says why beside it."""
    text = (ROOT / f".github/workflows/{name}.yml").read_text("utf-8")
    workflow = load(ROOT / f".github/workflows/{name}.yml")
    (job,) = workflow["jobs"].values()
    assert workflow["permissions"] == {}
    assert job["permissions"] == RIGHTS[name]
    assert set(workflow["on"]) == TRIGGERS[name]
    for right, level in RIGHTS[name].items():
        assert re.search(rf"^ +{right}: {level} # \w", text, re.MULTILINE)


def test_apply_is_never_cancelled_nor_filtered() -> None:
    """A push that changes no spec supersedes earlier runs too, so it must have a run of its own."""
    workflow = load(ROOT / ".github/workflows/apply.yml")
    assert workflow["concurrency"]["cancel-in-progress"] is False
    assert set(workflow["on"]["push"]) == {"branches"}
    (job,) = workflow["jobs"].values()
    assert job["environment"] == "calls"
    schedule = load(ROOT / ".github/workflows/reconcile.yml")
    assert schedule["concurrency"]["group"] != workflow["concurrency"]["group"]
    assert schedule["concurrency"]["cancel-in-progress"] is False


def test_no_expression_stands_in_a_script(action: dict[str, Any]) -> None:
    """What others may have written reaches scripts through their environment only."""
    scripts = [step["run"] for step in action["runs"]["steps"] if "run" in step]
    assert scripts
    assert [script for script in scripts if "${{" in script] == []
    for step in action["runs"]["steps"]:
        for value in (step.get("env") or {}).values():
            assert not re.search(r"github\.(event|head_ref|ref_name)", value), step["name"]


def test_every_variable_in_a_script_is_quoted(action: dict[str, Any]) -> None:
    """A root with a space or a star in its name is still one word."""
    for step in action["runs"]["steps"]:
        bare = re.sub(r'"[^"]*"', "", step.get("run", ""))
        bare = re.sub(r"\$\(.*?\)", "", bare)
        assert "$" not in bare, step["name"]


def test_tokens_go_only_where_they_are_used(action: dict[str, Any]) -> None:
    """The API's token is with what asks the API, GitHub's with what tells GitHub, and no others."""
    for step in action["runs"]["steps"]:
        script, given = step.get("run", ""), step.get("env") or {}
        asks_api = re.search(r"\b(?:plan|apply|drift) --", script) is not None
        tells = re.search(
            r"github (?:comment|outcome|drift)|apply --yes --state git --format", script
        )
        assert ("GRAINE_API_KEY" in given) == asks_api, step["name"]
        assert ("GITHUB_TOKEN" in given) == (tells is not None), step["name"]


def test_what_is_sent_is_sent_by_the_steps_own_process(action: dict[str, Any]) -> None:
    """A cancelled job signals the step's process only: what applies must be that process."""
    applying = [s["run"] for s in action["runs"]["steps"] if "apply --yes" in s.get("run", "")]
    assert len(applying) == 2
    assert all(re.search(r"^ *exec reconciler ", run, re.MULTILINE) for run in applying)


def test_the_action_takes_ten_lines(action: dict[str, Any]) -> None:
    """Only the command has to be given; everything else has a default."""
    needed = [name for name, about in action["inputs"].items() if about.get("required")]
    assert needed == ["command"]
    assert all(about["description"] for about in action["inputs"].values())


def test_pages_name_the_actions_that_we_use() -> None:
    """What somebody copies from a page is pinned to what our own workflows are pinned to."""
    pinned = re.compile(r"uses: (actions/[\w-]+@\S+ # v\S+)")
    used = {
        found
        for path in (ROOT / ".github").rglob("*.yml")
        for found in pinned.findall(path.read_text("utf-8"))
    }
    for page in ("README.md", "docs/github.md"):
        shown = set(pinned.findall((ROOT / page).read_text("utf-8")))
        assert shown
        assert shown <= used, page


@pytest.mark.parametrize("page", ["README.md", "docs/github.md"])
def test_pages_give_jobs_the_rights_they_need(page: str) -> None:
    """A job that somebody copies from a page has the permissions of our own."""
    shown = re.findall(
        r"^    permissions: \{(.*)\}\n(?:.*\n)*?.*command: (\w+)",
        (ROOT / page).read_text("utf-8"),
        re.MULTILINE,
    )
    assert shown
    for rights, command in shown:
        assert dict(each.split(": ") for each in rights.split(", ")) == RIGHTS[command]


def test_the_picture_shows_what_the_schema_says() -> None:
    """The texts in the picture of an editor are those that the schema gives an editor today."""
    picture = (ROOT / "docs/images/editor.svg").read_text("utf-8")
    shown = [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", picture)]
    schema = json.loads((ROOT / "schemas/batch.schema.json").read_text("utf-8"))
    start = schema["properties"]["scheduled_start"]["description"]
    assert start in " ".join(shown)
    offered = shown[-5:-1]
    assert offered == [choice.value for choice in OnChange]
    assert shown[-1] in json.dumps(schema)
    assert "concurency_limit" not in schema["properties"]


@pytest.mark.parametrize(("text", "status"), [(None, 0), ("contact: []\n", 1)])
def test_the_hook_of_pre_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, status: int
) -> None:
    """What the hook runs finds a mistake in a spec, and is content without one."""
    (hook,) = YAML(typ="safe", pure=True).load(ROOT / ".pre-commit-hooks.yaml")
    assert re.match(hook["files"], "batches/renewals/2026-05.yaml")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "batches").mkdir()
    if text is not None:
        (tmp_path / "batches/one.yaml").write_text(text, encoding="utf-8")
    program, *arguments = hook["entry"].split()
    assert program == "reconciler"
    assert reconciler(arguments) == status
