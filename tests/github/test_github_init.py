"""`reconciler init`: what it writes is sound, and what is there stays as it is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.cli import run as reconciler
from reconciler.cli.scaffold import WORKFLOWS
from reconciler.spec.config.settings import load_settings
from tests.github.runner import ROOT, load

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = f"acme/call-batch-reconciler@{'0123456789' * 4}"
BIN = Path(sys.executable).parent


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty directory that commands run in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    installed_from(monkeypatch, None)
    return tmp_path


def installed_from(monkeypatch: pytest.MonkeyPatch, about: Mapping[str, Any] | None) -> None:
    """Let pip have recorded this, or nothing, about where the reconciler was installed from."""

    class Distribution:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return None if about is None else json.dumps(about)

    monkeypatch.setattr("importlib.metadata.distribution", lambda _: Distribution())


def files(directory: Path) -> dict[str, str]:
    """Give every file below a directory, by its path."""
    return {
        path.relative_to(directory).as_posix(): path.read_text("utf-8")
        for path in sorted(directory.rglob("*"))
        if path.is_file() and ".git/" not in path.as_posix() and ".sandbox" not in path.parts
    }


def test_a_new_repository(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything is there, the example is sound, and the first steps are told and work."""
    assert reconciler(["init"]) == 0
    told = capsys.readouterr().out
    assert {
        "batches/reconciler.yaml", "batches/example.yaml", "schemas/batch.schema.json",
        ".gitattributes", ".gitignore", ".github/CODEOWNERS", ".github/workflows/plan.yml",
        ".github/workflows/apply.yml", ".github/workflows/reconcile.yml",
    } <= set(files(place))  # fmt: skip
    assert all(f"wrote   {path}\n" in told for path in files(place))
    assert load_settings(place / "batches").state == "git"
    for typed in ("reconciler validate", "reconciler plan --sandbox"):
        assert typed in told
        assert reconciler(typed.split()[1:]) == 0
    assert "1 to create" in capsys.readouterr().out


def test_twice_changes_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second run writes nothing and says so; an example that was removed does not come back."""
    assert reconciler(["init"]) == 0
    (place / "batches/example.yaml").rename(place / "batches/renewals.yaml")
    before = files(place)
    capsys.readouterr()
    assert reconciler(["init"]) == 0
    assert files(place) == before
    told = capsys.readouterr().out
    assert "Nothing was written" in told
    assert "note:" not in told


def test_nobodys_file_is_overwritten(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that are there stay as they are, and what each lacks is told as lines to add."""
    theirs = {
        ".gitattributes": "*.png binary\n",
        ".gitignore": "node_modules/\n.sandbox/\n",
        "CODEOWNERS": "* @ada\n",
        "batches/reconciler.yaml": "parallelism: 2\n",
        "batches/one.yaml": "campaign_id: cmp_1\n",
        ".github/workflows/plan.yml": "name: my own\n",
        "schemas/batch.schema.json": "{}\n",
    }
    for path, text in theirs.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text, encoding="utf-8")
    assert reconciler(["init", "--protected"]) == 0
    now = files(place)
    assert {path: now[path] for path in theirs} == theirs
    assert "batches/example.yaml" not in now
    assert ".github/CODEOWNERS" not in now, "the one that is there counts"
    told = capsys.readouterr().out
    notes = re.findall(r"^note: (\S+) was left as it is: (.*)$", told, re.MULTILINE)
    assert notes == [
        ("batches/reconciler.yaml", "add: state: git"),
        ("batches/reconciler.yaml", "add: state_branch: reconciler-state"),
        ("schemas/batch.schema.json", "this version writes it otherwise, see: reconciler schema"),
        (".gitattributes", "add: batches/state.json -merge -text linguist-generated"),
        (".gitattributes", "add: batches/ledger/*.calls binary linguist-generated"),
        (".gitattributes", "add: schemas/*.json linguist-generated"),
        (".gitignore", "add: .state.json.lock"),
        ("CODEOWNERS", "add who must agree to calls: /batches/ @OWNER/TEAM"),
        (
            ".github/workflows/plan.yml",
            "this version writes it otherwise, see: reconciler init NEW_DIRECTORY, and compare",
        ),
    ]


def test_something_in_the_way(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory where a file belongs stops it, with what to do; a later run goes on."""
    (place / ".gitignore").mkdir()
    assert reconciler(["init"]) == 1
    said = capsys.readouterr().err
    assert "error: cannot write .gitignore: " in said
    assert "hint: move what is in the way" in said
    (place / ".gitignore").rmdir()
    assert reconciler(["init"]) == 0
    assert (place / ".gitignore").is_file()


def test_protected_takes_no_branch(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A word after it could be meant for a branch, so no directory is made of it."""
    assert reconciler(["init", "--protected", "calls"]) == 64
    said = capsys.readouterr().err
    assert said.startswith("error: there is no directory calls, and --protected takes no value\n")
    assert "hint: for this directory: reconciler init --protected; for a new one, first: " in said
    assert files(place) == {}
    (place / "calls").mkdir()
    assert reconciler(["init", "--protected", "calls"]) == 0
    assert reconciler(["init", "others"]) == 0
    assert {"calls/.gitignore", "others/.gitignore"} <= set(files(place))


@pytest.mark.parametrize("protected", [False, True])
def test_the_state_branch(place: Path, *, protected: bool) -> None:
    """`--protected` lets state live on a branch of its own; else it is the specs' branch."""
    assert reconciler(["init", *(["--protected"] if protected else [])]) == 0
    settings = load_settings(place / "batches")
    assert settings.state_branch == ("reconciler-state" if protected else None)


def test_another_root_and_branch(place: Path) -> None:
    """A root elsewhere and a default branch of another name are what workflows and schemas use."""
    subprocess.run(["git", "init", "-q", "-b", "trunk", "calls"], check=True)
    assert reconciler(["--batches", "batches/production", "init", "calls"]) == 0
    workflow = load(place / "calls/.github/workflows/apply.yml")
    assert workflow["on"]["push"]["branches"] == ["trunk"]
    (*_, step) = workflow["jobs"]["apply"]["steps"]
    assert step["with"]["batches"] == "batches/production"
    root = place / "calls/batches/production"
    for name in ("example.yaml", "reconciler.yaml"):
        line = (root / name).read_text("utf-8").splitlines()[0]
        schema = root / line.removeprefix("# yaml-language-server: $schema=")
        assert schema.resolve().is_file(), line
    assert "batches/production/state.json -merge" in files(place / "calls")[".gitattributes"]


def test_a_repository_whose_branch_has_another_name(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A workflow that waits for pushes to another branch than this one's is told, by `doctor` too.

    Only the branch is told: the file is what this version writes.
    """
    assert reconciler(["init"]) == 0
    subprocess.run(["git", "init", "-q", "-b", "master"], check=True)
    before = files(place)
    capsys.readouterr()
    assert reconciler(["init"]) == 0
    assert files(place) == before
    note = (
        "note: .github/workflows/apply.yml was left as it is: it runs on `main`, this repository's "
        'branch is `master`; write: branches: ["master"]'
    )
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if line.startswith("note:")] == [note]
    reconciler(["doctor", "--state", "file"])
    assert (
        "!   apply.yml runs on `main`, this repository's branch is `master`: a merge starts "
        'nothing\n    hint: write into .github/workflows/apply.yml: branches: ["master"]\n'
    ) in capsys.readouterr().out
    workflow = place / ".github/workflows/apply.yml"
    text = workflow.read_text("utf-8").replace("[main]", '["master"]')
    workflow.write_text(text, encoding="utf-8")
    assert reconciler(["init"]) == 0
    assert "note:" not in capsys.readouterr().out
    reconciler(["doctor", "--state", "file"])
    assert "ok  apply.yml runs on `master`\n" in capsys.readouterr().out
    workflow.write_text(text.replace("name: Apply", "name: Mine"), encoding="utf-8")
    assert reconciler(["init"]) == 0
    assert "apply.yml was left as it is: this version" in capsys.readouterr().out


def test_a_branch_of_work_is_not_the_repositorys(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside the branch that the workflow names, another that is checked out changes nothing.

    A clone whose remote begins with another branch still says so.
    """
    assert reconciler(["init"]) == 0
    who = ("-c", "user.name=ada", "-c", "user.email=ada@example.com")
    for words in (
        ("init", "-q", "-b", "main"),
        (*who, "commit", "-q", "--allow-empty", "-m", "Begin"),
        ("switch", "-q", "-c", "first-calls"),
    ):
        subprocess.run(["git", *words], check=True)
    capsys.readouterr()
    assert reconciler(["init", "--action", SOURCE]) == 0
    assert "note:" not in capsys.readouterr().out
    assert "branches: [main]" in (place / ".github/workflows/apply.yml").read_text("utf-8")
    reconciler(["doctor", "--state", "file"])
    assert "ok  apply.yml runs on `main`\n" in capsys.readouterr().out
    trunk, begins = "refs/remotes/origin/trunk", "refs/remotes/origin/HEAD"
    subprocess.run(["git", "update-ref", trunk, "HEAD"], check=True)
    subprocess.run(["git", "symbolic-ref", begins, trunk], check=True)
    assert reconciler(["init"]) == 0
    assert "this repository's branch is `trunk`" in capsys.readouterr().out


def test_workflows_of_others_are_not_judged(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`doctor` says nothing of a workflow that is not ours, or that waits for patterns."""
    assert reconciler(["init"]) == 0
    subprocess.run(["git", "init", "-q", "-b", "master"], check=True)
    workflow = place / ".github/workflows/apply.yml"
    text = workflow.read_text("utf-8")
    for other in (text.replace("[main]", "['release/*']"), text.replace("/reconciler@", "/other@")):
        workflow.write_text(other, encoding="utf-8")
        capsys.readouterr()
        reconciler(["doctor", "--state", "file"])
        assert "apply.yml" not in capsys.readouterr().out


@pytest.mark.parametrize("root", ["/tmp/batches", "../batches", "."])  # noqa: S108 - never written to
def test_a_root_outside(place: Path, capsys: pytest.CaptureFixture[str], root: str) -> None:
    """The batches root is inside the repository, or it is a usage error and nothing is written."""
    assert reconciler(["--batches", root, "init"]) == 64
    assert "hint: name the repository as DIR" in capsys.readouterr().err
    assert files(place) == {}


def test_where_the_action_comes_from(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown, it is a step to take; told later, only what this tool wrote itself is changed."""
    assert reconciler(["init"]) == 0
    assert "reconciler init --action OWNER/REPO@COMMIT" in capsys.readouterr().out
    mine = place / ".github/workflows/plan.yml"
    mine.write_text(mine.read_text("utf-8") + "# mine\n", encoding="utf-8")
    assert reconciler(["init", "--action", SOURCE]) == 0
    told = capsys.readouterr().out
    assert "kept    .github/workflows/plan.yml" in told
    repository, commit = SOURCE.split("@")
    for name in ("apply", "reconcile"):
        text = (place / f".github/workflows/{name}.yml").read_text("utf-8")
        assert f"uses: {repository}/.github/actions/reconciler@{commit} # v" in text
        assert "OWNER/" not in text
    assert "--action" not in told
    assert reconciler(["init", "--action", "acme/calls@main"]) == 64


@pytest.mark.parametrize(
    ("about", "source"),
    [
        ({"url": "https://github.com/acme/tool.git", "vcs_info": {"commit_id": "a" * 40}}, "acme"),
        ({"url": "ssh://git@github.com/acme/tool", "vcs_info": {"commit_id": "a" * 40}}, "acme"),
        ({"url": "https://gitlab.example/acme/tool", "vcs_info": {"commit_id": "a" * 40}}, None),
        ({"url": "https://files.example/tool.whl", "archive_info": {}}, None),
        (None, None),
    ],
)
def test_the_source_is_found_where_pip_recorded_it(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    about: Mapping[str, Any] | None,
    source: str | None,
) -> None:
    """Installed from a commit on GitHub, workflows use that commit; else the step is told."""
    installed_from(monkeypatch, about)
    assert reconciler(["init"]) == 0
    text = (place / ".github/workflows/plan.yml").read_text("utf-8")
    expected = "OWNER/call-batch-reconciler" if source is None else f"{source}/tool"
    assert f"uses: {expected}/.github/actions/reconciler@" in text


def test_what_it_writes_is_safe_and_well_formed(place: Path) -> None:
    """The workflows pass the checks that ours pass."""
    assert reconciler(["--batches", "batches/production", "init", "--action", SOURCE]) == 0
    workflows = sorted(str(path) for path in (place / ".github/workflows").iterdir())
    for command in (
        [f"{BIN}/zizmor", "--offline", "--no-progress", "--quiet", "."],
        [f"{BIN}/check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows],
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", WORKFLOWS)
def test_the_templates_are_our_own_workflows(name: str) -> None:
    """What is proven here is what others get: only filters, switches and the address differ."""
    ours = load(ROOT / f".github/workflows/{name}.yml")
    theirs = load(ROOT / f"reconciler/scaffold/workflows/{name}.yml")
    (job,) = ours["jobs"].values()
    job.pop("if", None)
    if name == "plan":
        ours["on"]["pull_request"] = None
    for workflow in (ours, theirs):
        (job,) = workflow["jobs"].values()
        action = job["steps"][-1]
        action["uses"] = re.sub(r"^.*(?=/\.github/actions)|@.*$", "", action["uses"])
    assert theirs == ours


def test_nobody_merges_two_states(place: Path) -> None:
    """By its attributes git makes a conflict of two versions, however far apart their lines."""

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        return subprocess.run(
            ["git", *who, *arguments], check=False, capture_output=True, text=True
        )

    assert git("init", "-q", "-b", "main").returncode == 0
    assert reconciler(["init"]) == 0
    lines = [f'"{number}": 1,\n' for number in range(50)]
    state = place / "batches/state.json"
    for branch, changed in (("main", None), ("a", 0), ("b", 49)):
        git("checkout", "-q", "-b", branch, "main") if changed is not None else None
        text = [*lines]
        if changed is not None:
            text[changed] = '"changed": 2,\n'
        state.write_text("".join(text), encoding="utf-8")
        git("add", "-A")
        assert git("commit", "-q", "-m", branch).returncode == 0
    merged = git("merge", "a")
    assert merged.returncode == 1
    assert "CONFLICT" in merged.stdout
    assert "<<<<" not in state.read_text("utf-8")
