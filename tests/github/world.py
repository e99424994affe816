"""A repository on GitHub with people, pull requests, jobs and an API that calls nobody."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from reconciler.sandbox import Sandbox
from reconciler.state import codec
from reconciler.state.document import State
from tests.github.double import REPOSITORY, GitHubDouble, Pull
from tests.github.runner import ROOT, Runner

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.github.runner import Job

KEY = "gat_of-the-workflow-tests"
WORKFLOWS = ROOT / ".github/workflows"
_PROTECTED = """#!/bin/sh
while read -r old new ref; do
    if [ "$ref" = refs/heads/main ] && [ -z "$PERSON" ]; then
        echo "error: GH006: Protected branch update failed for refs/heads/main." >&2
        exit 1
    fi
done
"""


class Hub:
    """All of it. `person` is somebody's clone; jobs have clones of their own."""

    def __init__(self, directory: Path, *, settings: str = "", workflows: Path = WORKFLOWS) -> None:
        directory.mkdir(parents=True)
        self.directory = directory
        self.workflows = workflows
        self.github = GitHubDouble()
        self.sandbox = Sandbox(speed=1.0, token=KEY).start()
        self._times = itertools.count(1)
        self._environment = {
            "HOME": str(directory),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "LC_ALL": "C",
        }
        self._as_person = {
            **self._environment,
            "PATH": os.environ.get("PATH", os.defpath),
            "PERSON": "1",
            **{f"GIT_{who}_NAME": "Ada" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "ada@example.com" for who in ("AUTHOR", "COMMITTER")},
        }
        self.remote = directory / "remote.git"
        self.git(
            "init", "-q", "--bare", "--template=", "-b", "main", str(self.remote), at=directory
        )
        self.git("config", "uploadpack.allowAnySHA1InWant", "true", at=self.remote)
        self.person = directory / "person"
        self.git("clone", "-q", "--template=", f"file://{self.remote}", "person", at=directory)
        self.git("checkout", "-q", "-B", "main")
        self.write("batches/reconciler.yaml", f"state: git\nverify_for: 1s\n{settings}")
        self.commit("Begin")
        self.git("push", "-q", "origin", "HEAD")
        self.runner = Runner(
            directory / "jobs",
            {
                **self._environment,
                "GITHUB_API_URL": self.github.url,
                "GITHUB_GRAPHQL_URL": f"{self.github.url}/graphql",
                "GRAINE_TIMEOUT": "20",
            },
            secrets={"GRAINE_API_KEY": KEY},
            variables={"CALL_BATCHES": "live"},
            new_token=self.github.token,
            checkout=self._checkout,
        )

    def close(self) -> None:
        """Stop everything and remove it."""
        self.github.close()
        self.sandbox.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def protect(self) -> None:
        """Let nobody but people push to main."""
        hooks = self.remote / "hooks"
        hooks.mkdir(exist_ok=True)
        (hooks / "pre-receive").write_text(_PROTECTED, "utf-8")
        (hooks / "pre-receive").chmod(0o755)

    # -- what people do -----------------------------------------------------------------------

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """Run git as a person, by default in their clone."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=at or self.person,
            env=self._as_person,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        """Write a file in the person's clone."""
        place = self.person / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, "utf-8")

    def spec(self, name: str, *, people: int = 2, first: int = 0, more: str = "") -> None:
        """Write a spec of so many people, numbered from `first`."""
        contacts = "".join(
            f'  - phone_number: "+1415555{number:04d}"\n'
            f"    call_variables: {{callee_name: Person {number}}}\n"
            for number in range(first, first + people)
        )
        text = f"campaign_id: cmp_abc123\ncontacts:\n{contacts}{more}"
        self.write(f"batches/{name}.yaml", text)

    def commit(self, message: str = "Change") -> str:
        """Commit everything and give the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str) -> None:
        """Begin a branch at what main is now."""
        self.git("fetch", "-q", "origin")
        self.git("checkout", "-q", "-B", name, "origin/main")

    def open(self, *, fork: bool = False) -> int:
        """Commit, push the branch (or have it in a fork) and open a pull request."""
        number = self.github.number()
        self.github.pulls[number] = Pull(number, self.commit(), fork=fork)
        self._prepare(number)
        return number

    def push_to(self, number: int) -> None:
        """Commit and push once more to a pull request."""
        self.github.pulls[number].head = self.commit()
        self._prepare(number)

    def _prepare(self, number: int) -> None:
        """Make the merge commit that GitHub makes of an open pull request."""
        head = self.github.pulls[number].head
        branch = self.git("branch", "--show-current")
        self.git("fetch", "-q", "origin")
        self.git("checkout", "-q", "--detach", "origin/main")
        self.git("merge", "-q", "--no-ff", "-m", f"Merge {head}", head)
        self.git("push", "-q", "--force", "origin", f"HEAD:refs/pull/{number}/merge")
        self.git("checkout", "-q", branch)

    def merge(self, number: int) -> str:
        """Merge a pull request, as the button does; give the merge commit."""
        pull = self.github.pulls[number]
        self.git("fetch", "-q", "origin")
        self.git("checkout", "-q", "-B", "main", "origin/main")
        self.git("merge", "-q", "--no-ff", "-m", f"Merge #{number}", pull.head)
        self.git("push", "-q", "origin", "main")
        pull.merge_commit = self.git("rev-parse", "HEAD")
        pull.merged_at = f"2026-11-23T10:{next(self._times):02d}:00Z"
        return pull.merge_commit

    def push(self) -> str:
        """Commit to main and push, past any pull request."""
        self.git("checkout", "-q", "-B", "main")
        self.commit("Straight to main")
        self.git("pull", "-q", "--rebase", "origin", "main")
        self.git("push", "-q", "origin", "main")
        return self.git("rev-parse", "HEAD")

    # -- what jobs do -------------------------------------------------------------------------

    def plan(self, number: int, **how: Any) -> Job:
        """Run the plan of a pull request, as GitHub does when it is opened or pushed to."""
        pull = self.github.pulls[number]
        event = {
            "github": {
                "event_name": "pull_request",
                "repository": REPOSITORY,
                "sha": self.git("rev-parse", f"refs/pull/{number}/merge", at=self.remote),
                "ref": f"refs/pull/{number}/merge",
                "ref_name": f"{number}/merge",
                "base_ref": pull.base,
                "head_ref": "changes",
                "event": {"pull_request": pull.row},
            },
            "payload": {"pull_request": pull.row},
        }
        if pull.fork:
            how = {"secrets": False, "read_only": True, **how}
        return self._run("plan", event, **how)

    def apply(self, commit: str, **how: Any) -> Job:
        """Run the apply of a push to main."""
        return self._run("apply", self._on_main("push", commit), **how)

    def reconcile(self, **how: Any) -> Job:
        """Run what is on the schedule."""
        commit = self.git("rev-parse", "refs/heads/main", at=self.remote)
        return self._run("reconcile", self._on_main("schedule", commit), **how)

    def _run(self, name: str, event: Mapping[str, Any], **how: Any) -> Job:
        inputs = {"api-url": self.sandbox.url, **how.pop("inputs", {})}
        return self.runner.run(self.workflows / f"{name}.yml", event, inputs=inputs, **how)

    @staticmethod
    def _on_main(name: str, commit: str) -> dict[str, Any]:
        return {
            "github": {
                "event_name": name,
                "repository": REPOSITORY,
                "sha": commit,
                "ref": "refs/heads/main",
                "ref_name": "main",
            },
            "payload": {},
        }

    def _checkout(
        self,
        work: Path,
        event: Mapping[str, Any],
        given: Mapping[str, str],
        rights: Mapping[str, str],
    ) -> None:
        """Play actions/checkout: a shallow clone, with what the token may do and no more."""
        github = event["github"]
        pull = github["ref"].startswith("refs/pull/")
        name = github["ref"].removeprefix("refs/") if pull else f"origin/{github['ref_name']}"
        tracking = f"refs/remotes/{name}"
        work.mkdir()
        self.git("init", "-q", "--template=", "-b", "main", at=work)
        self.git("remote", "add", "origin", f"file://{self.remote}", at=work)
        depth = given.get("fetch-depth", "1")
        commit = f"+{github['sha']}:{tracking}"
        self.git("fetch", "-q", "--no-tags", f"--depth={depth}", "origin", commit, at=work)
        target = ["--detach", tracking] if pull else ["-B", github["ref_name"], tracking]
        self.git("checkout", "-q", "--force", *target, at=work)
        nowhere = f"file://{self.directory}/no-credentials"
        if rights.get("contents") != "write":
            self.git("remote", "set-url", "--push", "origin", nowhere, at=work)
        if given.get("persist-credentials") == "false":
            self.git("remote", "set-url", "origin", nowhere, at=work)

    # -- seeing -------------------------------------------------------------------------------

    def state(self, branch: str = "main") -> State:
        """Read the state at a branch's tip."""
        ref = f"refs/heads/{branch}"
        listed = self.git("ls-tree", "-r", "--name-only", ref, at=self.remote).split("\n")
        if "batches/state.json" not in listed:
            return State(lineage="")
        data = self.git("cat-file", "blob", f"{ref}:batches/state.json", at=self.remote)
        return codec.decode(data.encode(), where=ref)

    def created(self) -> list[str]:
        """Give the names of all batches that were ever made, sorted."""
        return sorted(str(batch.name) for batch in self.sandbox.batches())

    def bodies(self, number: int) -> list[str]:
        """Give the comments of a pull request."""
        return self.github.comments_of(number)
