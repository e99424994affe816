"""The `git` program, as the state store needs it: look, fetch, commit one file, push.

Git is run as a program so that every credential helper, header of a CI checkout and shallow clone
works as the user's own git does. Nothing here touches the work tree, the index or a local branch:
a commit is written straight into the object database and pushed by its id.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from reconciler.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NETWORK_TIMEOUT = 60.0
"""Seconds one fetch or push may take."""
_LOCAL_TIMEOUT = 30.0
_NO_SUCH_REF = 2
_SCRATCH = "refs/reconciler/commit"


class PushFate(Enum):
    """What became of a push."""

    DONE = "done"
    MOVED = "moved"
    """The branch is not where it was: somebody else pushed first, and nothing was changed."""
    REFUSED = "refused"
    """The server said no, and will again."""
    UNKNOWN = "unknown"
    """No word from the server: it may have taken the push."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """The fate of a push, and what git said about it."""

    fate: PushFate
    told: str = ""


class Git:
    """Runs git in one repository."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def toplevel(self) -> str:
        """Give the work tree's top directory. Raises `StateError` outside a repository."""
        return self._read("rev-parse", "--show-toplevel")

    def head(self) -> str | None:
        """Give the commit checked out, None when there is none yet."""
        return self._maybe("rev-parse", "--verify", "--quiet", "HEAD^{commit}")

    def current_branch(self) -> str | None:
        """Give the branch checked out, None on a detached HEAD."""
        return self._maybe("symbolic-ref", "--quiet", "--short", "HEAD")

    def default_branch(self, remote: str) -> str | None:
        """Give the remote's default branch, None when it does not tell."""
        told = self._network("ls-remote", "--symref", remote, "HEAD")
        for line in told.stdout.decode().splitlines():
            if line.startswith("ref: refs/heads/"):
                return line.split()[1].removeprefix("refs/heads/")
        return None

    def remote_tip(self, remote: str, branch: str) -> str | None:
        """Give the commit a remote's branch is at, None when there is no such branch.

        Raises `StateError` when the remote cannot be asked.
        """
        done = self._network("ls-remote", "--exit-code", remote, f"refs/heads/{branch}")
        if done.returncode == _NO_SUCH_REF:
            return None
        self._require(done, f"cannot look at {remote}")
        return done.stdout.split()[0].decode()

    def fetch(self, remote: str, branch: str, commit: str) -> None:
        """Bring a commit of a remote's branch here, unless it is here. Raises `StateError`."""
        if self._maybe("cat-file", "-e", f"{commit}^{{commit}}") is not None:
            return
        kept = f"refs/reconciler/{remote.replace('/', '-').replace(':', '-')}/{branch}"
        done = self._network(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
            remote, f"+refs/heads/{branch}:{kept}",
        )  # fmt: skip
        self._require(done, f"cannot fetch {branch} from {remote}")

    def file_at(self, commit: str, path: str) -> bytes | None:
        """Read a file of a commit, None when the commit has no such file."""
        listed = self._read("ls-tree", "-z", "--full-tree", commit, "--", path)
        if not listed:
            return None
        blob = listed.split()[2]
        done = self._run(["cat-file", "blob", blob], _LOCAL_TIMEOUT)
        self._require(done, f"cannot read {path} at {commit[:12]}")
        return done.stdout

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether a commit is another's ancestor, or the same."""
        return self._maybe("merge-base", "--is-ancestor", older, newer) is not None

    def differs_beyond(self, one: str, other: str, path: str) -> bool:
        """Whether two commits' trees differ in anything but one file."""
        done = self._run(
            [
                "diff-tree",
                "--quiet",
                "-r",
                one,
                other,
                "--",
                ":(top)",
                f":(top,exclude,literal){path}",
            ],
            _LOCAL_TIMEOUT,
        )
        if done.returncode not in {0, 1}:
            self._require(done, "cannot compare the checkout with the branch")
        return done.returncode == 1

    def subject(self, commit: str) -> str:
        """Give a commit's short id and first line, for people."""
        return self._maybe("log", "-1", "--format=%h (%s)", commit) or commit[:12]

    def latest_beyond(self, older: str, newer: str, path: str) -> str:
        """Give the newest commit between two that changed anything but one file."""
        found = self._maybe(
            "log", "-1", "--format=%H", f"{older}..{newer}", "--", ":(top)",
            f":(top,exclude,literal){path}",
        )  # fmt: skip
        return found or newer

    def identity(self) -> str:
        """Give `Name <email>` for commits: the user's, or the reconciler's own."""
        name = os.environ.get("GIT_COMMITTER_NAME") or self._maybe("config", "user.name")
        email = os.environ.get("GIT_COMMITTER_EMAIL") or self._maybe("config", "user.email")
        if name and email:
            return f"{name} <{email}>"
        return "call-batch-reconciler <reconciler@users.noreply.github.com>"

    def commit_file(
        self, path: str, data: bytes, message: str, *, parent: str | None, seconds: int
    ) -> str:
        """Write a commit that changes one file of its parent, and give its id.

        Without a parent it is the first of a branch of its own. `seconds` is its time since 1970.
        """
        text = message.encode()
        quoted = path.replace("\\", "\\\\").replace('"', '\\"')
        stream = b"".join(
            [
                f"commit {_SCRATCH}\nmark :1\n".encode(),
                f"committer {self.identity()} {seconds} +0000\n".encode(),
                b"data %d\n%b\n" % (len(text), text),
                f"from {parent}\n".encode() if parent else b"",
                f'M 100644 inline "{quoted}"\n'.encode(),
                b"data %d\n%b\n" % (len(data), data),
                b"get-mark :1\ndone\n",
            ]
        )
        # The scratch branch of an earlier commit must not become this one's history.
        self._maybe("update-ref", "-d", _SCRATCH)
        done = self._run(
            ["fast-import", "--quiet", "--done", "--force", "--date-format=raw"],
            _LOCAL_TIMEOUT,
            stream,
        )
        self._require(done, "cannot write a commit")
        return done.stdout.decode().strip()

    def push(self, remote: str, commit: str, branch: str) -> Pushed:
        """Push a commit as a branch's new tip; never by force, so it is a compare-and-swap."""
        try:
            done = self._run(
                ["push", "--porcelain", "--no-verify", "--no-follow-tags", remote,
                 f"{commit}:refs/heads/{branch}"],
                NETWORK_TIMEOUT,
            )  # fmt: skip
        except StateError as error:
            return Pushed(PushFate.UNKNOWN, error.message)
        told = done.stderr.decode(errors="replace").strip()
        for line in done.stdout.decode(errors="replace").splitlines():
            flag, _, rest = line.partition("\t")
            if flag in {" ", "*", "="} and done.returncode == 0:
                return Pushed(PushFate.DONE)
            if flag == "!":
                return Pushed(_rejection(rest), f"{rest.split(chr(9))[-1]}\n{told}".strip())
        return Pushed(PushFate.UNKNOWN, told)

    def delete_branch(self, remote: str, branch: str) -> None:
        """Remove a branch of the remote, if it is there; what goes wrong is not told."""
        self._network("push", "--quiet", "--no-verify", remote, f":refs/heads/{branch}")

    # -- running ------------------------------------------------------------------------------

    def _read(self, *arguments: str) -> str:
        done = self._run(arguments, _LOCAL_TIMEOUT)
        self._require(done, f"git {arguments[0]} failed")
        return done.stdout.decode(errors="replace").strip()

    def _maybe(self, *arguments: str) -> str | None:
        done = self._run(arguments, _LOCAL_TIMEOUT)
        return None if done.returncode else done.stdout.decode(errors="replace").strip()

    def _network(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return self._run(arguments, NETWORK_TIMEOUT)

    def _run(
        self, arguments: Sequence[str], timeout: float, data: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        command = ["git", "-c", "gc.auto=0", "-c", "maintenance.auto=false", *arguments]
        # No prompt can be answered here, and messages are matched, so they must not be translated.
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        try:
            return subprocess.run(  # noqa: S603 - git, with our own words
                command,
                cwd=self._directory,
                env=environment,
                input=data if data is not None else b"",
                capture_output=True,
                timeout=timeout,
                check=False,
                # A signal to the terminal's group must not kill a push that is under way.
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise StateError(
                "git is not installed, and state lives in git", hint="install git"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise StateError(
                f"git {arguments[0]} gave no answer for {timeout:.0f} seconds",
                hint="check the connection to the remote, then run this again",
            ) from error

    @staticmethod
    def _require(done: subprocess.CompletedProcess[bytes], what: str) -> None:
        if done.returncode:
            told = done.stderr.decode(errors="replace").strip()
            raise StateError(f"{what}: {told}", hint=advice(told))


def _rejection(status: str) -> PushFate:
    """Tell a lost race, after which to look again, from a refusal, after which not to."""
    if "[rejected]" in status:
        return PushFate.MOVED
    # Two pushes that reach the server in the same moment: one of them cannot lock the branch.
    races = ("cannot lock ref", "failed to update ref", "incorrect old value", "reference already")
    return PushFate.MOVED if any(race in status for race in races) else PushFate.REFUSED


def advice(told: str) -> str:
    """Say what to type or change after what git or the server said."""
    text = told.lower()
    if "gh006" in text or "protected" in text or "gh013" in text or "hook declined" in text:
        return (
            "the branch is protected: let state live on a branch of its own with "
            "--state-branch reconciler-state (state_branch in reconciler.yaml)"
        )
    if any(word in text for word in ("403", "permission", "authentication", "username", "denied")):
        return (
            "this token may not push: in GitHub Actions give the job `permissions: contents: "
            "write` and let actions/checkout keep its credentials"
        )
    if any(word in text for word in ("not appear to be a git repository", "no such remote")):
        return "name the remote with --state-remote; see: git remote -v"
    if "could not resolve host" in text or "connect" in text:
        return "check the connection to the remote, then run this again"
    if "not a git repository" in text:
        return "run inside a clone, or use --state file"
    return "mend that, then run this again"
