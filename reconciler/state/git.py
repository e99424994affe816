"""The `git` program, as the state store needs it: look, fetch, commit one file, push.

Git is run as a program so that every credential helper, header of a CI checkout and shallow clone
works as the user's own git does. Nothing here touches the work tree, the index or a local branch:
a commit is written straight into the object database and pushed by its id.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import signal
import subprocess
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.errors import StateError
from reconciler.state.calls import DIRECTORY, SUFFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NETWORK_TIMEOUT = 60.0
"""Seconds one fetch or push may take."""
_LOCAL_TIMEOUT = 30.0
_LONG = 2**20
"""Bytes of a state from which on it matters how it is stored."""
_NO_SUCH_REF = 2
_SYMLINK = "120000"
_LONGEST_HEAD = 200
_NOBODY = "0" * 40
_QUIET = (
    # Nothing that takes its time in the background, and nothing that a user's own settings turn
    # on: signed pushes, signatures in logs, submodules pushed along.
    "gc.auto=0", "maintenance.auto=false", "log.showSignature=false", "push.gpgSign=false",
    "push.recurseSubmodules=no", "fetch.recurseSubmodules=no", "core.quotePath=false",
)  # fmt: skip


class PushFate(Enum):
    """What became of a push."""

    DONE = "done"
    MOVED = "moved"
    """The branch is not where it was: somebody else pushed first, and nothing was changed."""
    REFUSED = "refused"
    """The server said no, and will again."""
    UNKNOWN = "unknown"
    """No word from the server: it may have taken the push."""


class Pushed(Struct, frozen=True):
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
        self._require(done, f"cannot look at {without_secrets(remote)}")
        for line in done.stdout.decode(errors="replace").splitlines():
            commit, _, ref = line.partition("\t")
            # The pattern also fits a ref that only ends like this.
            if ref == f"refs/heads/{branch}":
                return commit
        return None

    def fetch(self, remote: str, branch: str, commit: str) -> None:
        """Bring a commit of a remote's branch here, unless it is here. Raises `StateError`."""
        if self._maybe("cat-file", "-e", f"{commit}^{{commit}}") is not None:
            return
        # Kept under a ref, so that the next fetch brings only what is new. A remote may be a URL.
        place = hashlib.sha256(remote.encode()).hexdigest()[:12]
        kept = f"refs/reconciler/{place}/{branch}"
        done = self._network(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
            remote, f"+refs/heads/{branch}:{kept}",
        )  # fmt: skip
        if done.returncode and self._maybe("cat-file", "-e", f"{commit}^{{commit}}") is not None:
            return  # another process in this clone fetched it in the same moment
        self._require(done, f"cannot fetch {branch} from {without_secrets(remote)}")

    def file_at(self, commit: str, path: str) -> bytes | None:
        """Read a file of a commit, None when the commit has no such file."""
        listed = self._read("ls-tree", "-z", "--full-tree", commit, "--", path)
        if not listed:
            return None
        blob = listed.split()[2]
        done = self._run(["cat-file", "blob", blob], _LOCAL_TIMEOUT)
        self._require(done, f"cannot read {path} at {commit[:12]}")
        return done.stdout

    def files_below(
        self, commit: str, directory: str, suffix: str
    ) -> tuple[list[tuple[str, str]], int]:
        """List the files of a commit in a directory, and not below, whose names end in a suffix.

        Gives each one's name and object id, and how many bytes they have together.
        """
        listed = self._read("ls-tree", "-z", "-l", "--full-tree", commit, "--", f"{directory}/")
        found, size = [], 0
        for entry in filter(None, listed.split("\0")):
            about, _, path = entry.partition("\t")
            mode, kind, blob, length = about.split()
            if kind == "blob" and mode != _SYMLINK and path.endswith(suffix):
                found.append((path.rpartition("/")[2], blob))
                size += int(length)
        return found, size

    def blobs(self, ids: Sequence[str]) -> list[bytes]:
        """Read objects by their ids. Raises `StateError`."""
        if not ids:
            return []
        done = self._run(
            ["cat-file", "--batch"], NETWORK_TIMEOUT, "".join(f"{each}\n" for each in ids).encode()
        )
        self._require(done, "cannot read what lies beside the state")
        read, at = [], 0
        for _ in ids:
            head, _, _ = done.stdout[at : at + _LONGEST_HEAD].partition(b"\n")
            start = at + len(head) + 1
            at = start + int(head.split()[2])
            read.append(done.stdout[start:at])
            at += 1
        return read

    def has_entry(self, commit: str, path: str) -> bool:
        """Whether a commit has anything at a path. Raises `StateError`."""
        return bool(self._read("ls-tree", "-z", "--full-tree", commit, "--", path))

    def linked_file_at(self, commit: str, path: str, *, limit: int) -> bytes | None:
        """Read a file of a commit through symlinks within it; None where there is none to be read.

        A file of more than `limit` bytes is none. Raises `StateError`.
        """
        asked = f"{commit}:{path}\n".encode()
        done = self._run(["cat-file", "--batch", "--follow-symlinks"], _LOCAL_TIMEOUT, asked)
        self._require(done, f"cannot read {path} at {commit[:12]}")
        head, _, data = done.stdout.partition(b"\n")
        words = head.split()
        size = int(words[2]) if words[1:2] == [b"blob"] else limit + 1
        return data[:size] if size <= limit else None

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether a commit is another's ancestor, or the same."""
        return self._maybe("merge-base", "--is-ancestor", older, newer) is not None

    def differs_beyond(self, one: str, other: str, name: str) -> bool:
        """Whether two commits' trees differ in anything but files of one name, wherever they are.

        Of one name, not of one path: the state of another root is no change to this one's specs.
        """
        done = self._run(
            ["diff-tree", "--quiet", "-r", one, other, "--", *_beyond(name)], _LOCAL_TIMEOUT
        )
        if done.returncode not in {0, 1}:
            self._require(done, "cannot compare the checkout with the branch")
        return done.returncode == 1

    def subject(self, commit: str) -> str:
        """Give a commit's short id and first line, for people."""
        return self._maybe("log", "-1", "--format=%h (%s)", commit) or commit[:12]

    def latest_beyond(self, older: str, newer: str, name: str) -> str:
        """Give the newest commit between two that changed anything but files of one name."""
        found = self._maybe(
            "log", "-1", "--format=%H", f"{older}..{newer}", "--", *_beyond(name)
        )  # fmt: skip
        return found or newer

    def identity(self) -> str:
        """Give `Name <email>` for commits: the user's, or the reconciler's own."""
        name = os.environ.get("GIT_COMMITTER_NAME") or self._maybe("config", "user.name")
        email = os.environ.get("GIT_COMMITTER_EMAIL") or self._maybe("config", "user.email")
        name, email = (re.sub(r"[<>\x00-\x1f]", "", each or "").strip() for each in (name, email))
        if name and email:
            return f"{name} <{email}>"
        return "call-batch-reconciler <reconciler@users.noreply.github.com>"

    def commit_file(
        self,
        path: str,
        data: bytes,
        message: str,
        *,
        parent: str | None,
        seconds: int,
        others: Mapping[str, bytes | None] | None = None,
    ) -> str:
        """Write a commit that changes one file of its parent, and give its id.

        Without a parent it is the first of a branch of its own. `seconds` is its time since 1970.
        `others` are files by path that it puts there too, or takes away where they are (None).
        """
        text = message.encode()
        # A branch of this commit's own that is gone again at the end: processes that share a clone
        # must not meet, and an earlier commit must not become this one's history.
        scratch = f"refs/reconciler/commit-{secrets.token_hex(8)}"
        stream = b"".join(
            [
                f"commit {scratch}\nmark :1\n".encode(),
                f"committer {self.identity()} {seconds} +0000\n".encode(),
                b"data %d\n%b\n" % (len(text), text),
                f"from {parent}\n".encode() if parent else b"",
                *(_change(each, to) for each, to in {path: data, **(others or {})}.items()),
                f"get-mark :1\nreset {scratch}\nfrom {_NOBODY}\n\ndone\n".encode(),
            ]
        )
        # A long one is not compressed a second time, into a loose object.
        config = ["fastimport.unpackLimit=1"] if len(data) >= _LONG else []
        done = self._run(
            ["fast-import", "--quiet", "--done", "--force", "--date-format=raw"],
            _LOCAL_TIMEOUT,
            stream,
            config,
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
        told = _text(done.stderr)
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
        self,
        arguments: Sequence[str],
        timeout: float,
        data: bytes | None = None,
        config: Sequence[str] = (),
    ) -> subprocess.CompletedProcess[bytes]:
        settings = (word for each in (*_QUIET, *config) for word in ("-c", each))
        command = ["git", *settings, *arguments]
        # No prompt can be answered here, and messages are matched, so they must not be translated.
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        try:
            process = subprocess.Popen(  # noqa: S603 - git, with our own words
                command,
                cwd=self._directory,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # A signal to the terminal's group must not kill a push that is under way.
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise StateError(
                "git is not installed, and state lives in git",
                hint="install git, or use --state file",
            ) from error
        with process:
            try:
                out, err = process.communicate(data or b"", timeout=timeout)
            except BaseException as error:
                # What git started to talk to the remote ends with it.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                raise StateError(
                    f"git {arguments[0]} gave no answer for {timeout:.0f} seconds",
                    hint="check the connection to the remote, then run this again",
                ) from error
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    @staticmethod
    def _require(done: subprocess.CompletedProcess[bytes], what: str) -> None:
        if done.returncode:
            told = _text(done.stderr)
            raise StateError(f"{what}: {told}", hint=advice(told))


def without_secrets(text: str) -> str:
    """Leave out what stands before the host of a URL: often a token."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)


def _text(told: bytes) -> str:
    return without_secrets(told.decode(errors="replace").strip())


def _change(path: str, data: bytes | None) -> bytes:
    """Say to `fast-import` what becomes of a file."""
    quoted = path.replace("\\", "\\\\").replace('"', '\\"')
    if data is None:
        return f'D "{quoted}"\n'.encode()
    return f'M 100644 inline "{quoted}"\n'.encode() + b"data %d\n%b\n" % (len(data), data)


def _beyond(name: str) -> tuple[str, ...]:
    """Choose all files but those of one name, and the ledgers of calls, which are stored with it.

    Nothing that a spec could name ends like a file of a ledger.
    """
    ledgers = f":(top,exclude,glob)**/{DIRECTORY}/*{SUFFIX}"
    return ":(top)", f":(top,exclude,glob)**/{name}", ledgers


def _rejection(status: str) -> PushFate:
    """Tell a lost race, after which to look again, from a refusal, after which not to."""
    if "[rejected]" in status:
        return PushFate.MOVED
    # Two pushes that reach the server in the same moment: one of them cannot lock the branch.
    races = ("cannot lock ref", "failed to update ref", "incorrect old value", "reference already")
    return PushFate.MOVED if any(race in status for race in races) else PushFate.REFUSED


_STATE_BRANCH = (
    "let state live on a branch of its own with --state-branch reconciler-state (state_branch in "
    "reconciler.yaml)"
)
_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (("gh006", "gh013", "protected"), f"the branch is protected: {_STATE_BRANCH}"),
    (
        ("dubious ownership",),
        "if this checkout is yours, tell git so, by the command that it names above",
    ),
    (
        ("not appear to be a git repository", "no such remote", "no such device or address"),
        "name the remote with --state-remote; see: git remote -v",
    ),
    (
        ("could not resolve host", "failed to connect", "connection refused", "timed out"),
        "check the connection to the remote, then run this again",
    ),
    (
        (
            "403", "401", "permission", "authentication", "could not read username", "denied",
            "repository not found", "read-only", "read only",
        ),
        (
            "this token may not push: in GitHub Actions give the job `permissions: contents: "
            "write` and let actions/checkout keep its credentials"
        ),
    ),
    (("hook declined",), f"a rule of the server forbids this push: {_STATE_BRANCH}"),
    (("not a git repository",), "run inside a clone, or use --state file"),
    (
        ("cannot lock ref", "failed to update ref"),
        "another branch may stand in the way, as a/b does of a: choose another --state-branch",
    ),
)  # fmt: skip
"""What git and servers say, in lower case, and what to type or change then; the first counts."""


def advice(told: str) -> str:
    """Say what to type or change after what git or the server said."""
    text = told.lower()
    for signs, what in _ADVICE:
        if any(sign in text for sign in signs):
            return what
    return "mend that, then run this again"
