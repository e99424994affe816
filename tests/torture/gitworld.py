"""A world with state in git: a bare repository, clones that come and go, an API with faults.

Each runner has a clone of its own, and a runner that died takes it along. The oracle knows every
batch that exists and every commit that was pushed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from reconciler.sandbox import Sandbox
from reconciler.state import codec
from reconciler.state.document import State
from tests.proof.world import KILLED, PATIENCE, SETTLED, Ended, Runs, Started
from tests.torture.oracle import Oracle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.sandbox.oracle import KnownBatch

__all__ = [
    "KILLED",
    "SETTLED",
    "Clone",
    "Ended",
    "GitRuns",
    "GitWorld",
    "Started",
    "git_environment",
]

TOKEN = "gat_gitworld"  # noqa: S105 - opens a sandbox only


class GitRuns(Runs):
    """A client of the fork server in `git_runs`; it keeps the remotes that worlds begin with."""

    module = "tests.torture.git_runs"

    def __init__(self) -> None:
        super().__init__()
        self._remotes = tempfile.TemporaryDirectory()

    def close(self) -> None:
        """End the server."""
        super().close()
        self._remotes.cleanup()

    def remote(self, world: GitWorld, settings: str) -> None:
        """Give a world its remote: specs and settings, pushed by a person. Made once for each."""
        named = sha256(f"{world.names} {world.batches_directory} {settings}".encode()).hexdigest()
        kept = Path(self._remotes.name, named)
        if not kept.exists():
            world.found(settings)
            shutil.copytree(world.remote, kept)
        elif not world.remote.exists():
            shutil.copytree(kept, world.remote)


def git_environment(home: Path) -> dict[str, str]:
    """Give an environment in which nothing of the user's own git settings counts."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.com",
        "LC_ALL": "C",
    }


class GitStarted(Started):
    """A run under way whose boundaries so far can be seen."""

    def trace(self) -> list[str]:
        """Give the boundaries crossed so far."""
        return Path(f"{self._out}.trace").read_text("utf-8").splitlines()


@dataclass(frozen=True)
class Clone:
    """One runner's checkout. `root` is the batches directory in it."""

    directory: Path
    environment: Mapping[str, str]
    batches: str = "batches"

    @property
    def root(self) -> Path:
        """The batches root."""
        return self.directory / self.batches

    def git(self, *arguments: str, check: bool = True) -> str:
        """Run git here and give what it printed."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.directory,
            env=dict(self.environment),
            check=False,
            capture_output=True,
            text=True,
        )
        if check and done.returncode:
            raise AssertionError(f"git {' '.join(arguments)}: {done.stderr}")
        return done.stdout.strip()

    def spec(
        self, name: str, *, people: int = 2, more: str = "", outcomes: Sequence[str] = ()
    ) -> Path:
        """Write a spec; each name has phone numbers of its own.

        `outcomes` says of the first people how their calls end.
        """
        digits = sum(ord(letter) << (3 * place) for place, letter in enumerate(name)) % 10**4
        contacts = "".join(
            f'  - phone_number: "+1555{digits:04d}{person:03d}"\n'
            f"    call_variables: {{callee_name: Person {person}"
            + (f", sandbox_outcome: {outcomes[person]}" if person < len(outcomes) else "")
            + "}\n"
            for person in range(people)
        )
        path = self.root / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"campaign_id: cmp_abc123\ncontacts:\n{contacts}{more}", "utf-8")
        return path

    def commit(self, message: str = "Change", *, push: bool = True) -> str:
        """Commit everything, as a person would, and give the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        if push:
            self.git("push", "-q", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")


class GitWorld:
    """One remote, one API, one clock for all, and as many runners as it takes."""

    def __init__(
        self,
        runs: GitRuns,
        directory: Path,
        specs: int = 3,
        *,
        chunk: int = 2,
        batches: str = "batches",
        settings: str = "",
    ) -> None:
        self._runs = runs
        self._count = 0
        self._ahead = 0.0
        self._oracle = Oracle(self)
        self.versions = 0
        self.directory = directory
        self.batches_directory = batches
        directory.mkdir(parents=True)
        self.environment = git_environment(directory)
        self._clock = directory / "clock"
        self._clock.write_text("0", "utf-8")
        self.remote = directory / "remote.git"
        self.names = [f"spec-{number}" for number in range(1, specs + 1)]
        runs.remote(self, f"chunk: {chunk}\n{settings}")

    def found(self, settings: str) -> None:
        """Make the remote, and the first commit in it."""
        self._git("init", "-q", "--bare", "--template=", "-b", "main", str(self.remote))
        (self.remote / "hooks").mkdir()
        # Every push leaves a line there.
        self.git("config", "core.logAllRefUpdates", "always")
        for name in self.names:
            self.person.spec(name)
        self.person.root.mkdir(parents=True, exist_ok=True)
        (self.person.root / "reconciler.yaml").write_text(settings, "utf-8")
        self.person.git("checkout", "-q", "-B", "main")
        self.person.commit("Specs")

    @cached_property
    def person(self) -> Clone:
        """The clone of somebody who commits specs."""
        return self.clone("person", depth=None)

    @cached_property
    def sandbox(self) -> Sandbox:
        """The API, started when it is first needed."""
        sandbox = Sandbox(speed=0.0)
        self._oracle.watch(sandbox)
        return sandbox.start()

    def close(self) -> None:
        """Stop the API and remove everything."""
        if "sandbox" in self.__dict__:
            self.sandbox.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def git(self, *arguments: str) -> str:
        """Run git in the remote and give what it printed."""
        return self._git("-C", str(self.remote), *arguments)

    # -- doing --------------------------------------------------------------------------------

    def clone(self, name: str = "", *, depth: int | None = 1, branch: str = "") -> Clone:
        """Make a clone, by default as shallow as a CI checkout is."""
        self._count += 1
        directory = self.directory / (name or f"clone-{self._count}")
        how = ["--depth", str(depth)] if depth else []
        where = ["-b", branch] if branch else []
        self._git(
            "clone", "-q", "--template=", *how, *where, f"file://{self.remote}", str(directory)
        )  # fmt: skip
        return Clone(directory, self.environment, self.batches_directory)

    def start(
        self,
        clone: Clone,
        *command: str,
        environment: Mapping[str, str] | None = None,
        **order: Any,
    ) -> GitStarted:
        """Start a command in a clone; `timeout` is GRAINE_TIMEOUT, `order` is the fork server's."""
        self._count += 1
        out = self.directory / f"run-{self._count}"
        variables = {
            **self.environment,
            "GRAINE_API_KEY": TOKEN,
            "GRAINE_API_URL": self.sandbox.url,
            "GRAINE_TIMEOUT": str(order.pop("timeout", 20.0)),
            "RECONCILER_DEBUG": "1",
            **(environment or {}),
        }
        pid = self._runs.start(
            {
                "arguments": ["--batches", str(clone.root), *command],
                "environment": variables,
                "directory": str(clone.directory),
                "out": str(out),
                "clock": str(self._clock),
                **order,
            }
        )
        return GitStarted(self._runs, pid, out)

    def begin(
        self,
        clone: Clone,
        *options: str,
        parallelism: int = 1,
        verify_for: float = 0.0,
        state: Sequence[str] = ("--state=git",),
        **order: Any,
    ) -> GitStarted:
        """Start an apply."""
        return self.start(
            clone,
            "apply",
            "--yes",
            "--format=json",
            f"--parallelism={parallelism}",
            f"--verify-for={verify_for}",
            *state,
            *options,
            **order,
        )

    def change(self) -> None:
        """Change spec-1, as a person does: each version has one more person in it.

        The first of them is reached by the first call, the second by the second one only.
        """
        self.versions += 1
        self.person.git("pull", "-q", "--rebase")
        outcomes = ("completed", "'no_answer, completed'")
        self.person.spec("spec-1", people=1 + self.versions, outcomes=outcomes)
        self.person.commit(f"Version {self.versions}")

    def apply(self, clone: Clone | None = None, *options: str, **order: Any) -> Ended:
        """Apply to its end, in a clone that is thrown away unless one is given."""
        where = clone or self.clone()
        ended = self.begin(where, *options, **order).wait()
        if clone is None:
            self.lose(where)
        return ended

    def lose(self, clone: Clone) -> None:
        """Let a runner's disk be gone for everybody else.

        A git that outlives its killed runner for a moment may still be writing there.
        """
        self._count += 1
        clone.directory.rename(self.directory / f"gone-{self._count}")

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the API and for every runner, those that live already too."""
        if seconds:
            self._ahead += seconds
            self._clock.write_text(str(self._ahead), "utf-8")
            self.sandbox.advance(seconds)

    def wait_stopped(self, run: Started) -> bool:
        """Wait until a run has stopped itself; False when it came to its end without that."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                words = Path(f"/proc/{run.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
            except OSError:
                return False
            if words[0] in {"T", "t"}:
                return True
            if words[0] in {"Z", "X"}:
                return False
            time.sleep(0.003)
        raise AssertionError("a run neither stopped nor ended")

    def go_on(self, run: Started) -> Ended:
        """Let a stopped run go on, to its end."""
        run.kill(signal.SIGCONT)
        return run.wait()

    def hook(self, name: str, script: str) -> None:
        """Install a hook in the remote; an empty script removes it."""
        path = self.remote / "hooks" / name
        if not script:
            path.unlink(missing_ok=True)
            return
        path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        path.chmod(0o755)

    # -- seeing -------------------------------------------------------------------------------

    def tip(self, branch: str = "main") -> str:
        """Give the commit a branch of the remote is at."""
        return self.git("rev-parse", f"refs/heads/{branch}")

    def state(self, branch: str = "main", commit: str = "") -> State:
        """Read the state on a branch, or at a commit; it must be whole."""
        at = commit or f"refs/heads/{branch}"
        path = f"{self.batches_directory}/state.json".removeprefix("./")
        listed = self.git("ls-tree", "-r", "--name-only", "-z", at).split("\0")
        if path not in listed:
            return State(lineage="")
        return codec.decode(self.git("cat-file", "blob", f"{at}:{path}").encode(), where=at)

    def pushes(self, branch: str = "main") -> int:
        """Count the pushes a branch took so far."""
        return len((self.remote / "logs/refs/heads" / branch).read_text("utf-8").splitlines())

    def posts(self) -> list[str]:
        """Give the key of every create that ever arrived whole, in order.

        A runner that is killed while it sends leaves half a request, which creates nothing.
        """
        return [entry.key for entry in self.sandbox.log("create") if entry.key is not None]

    def batches(self, name: str) -> list[KnownBatch]:
        """Give every batch made for a name, cancelled ones too."""
        return [batch for batch in self.sandbox.batches() if batch.name == name]

    # -- the oracle ---------------------------------------------------------------------------

    def let_arrive(self) -> None:
        """Wait until whatever a dead run had sent has reached the API and been dealt with."""
        before = None
        while before != (before := self.sandbox.log()):
            with urlopen(f"{self.sandbox.origin}/_sandbox/health") as answer:  # noqa: S310 - our own
                answer.read()

    def check_intents(self, branch: str = "main") -> None:
        """Make sure that what was sent had been announced; see `Oracle.check_announced`."""
        self._oracle.check_announced(branch)

    def settle(self, *, runs: int = 5, content: bool = True, **order: Any) -> list[int]:
        """Run until all is done, and with `content` again, time passing between; give all codes."""
        self.sandbox.faults.clear()
        codes: list[int] = []
        for _ in range(runs):
            self.pass_time(SETTLED)
            ended = self.apply(**order)
            codes.append(ended.code)
            assert ended.code in {0, 1, 3}, (ended.code, ended.err)
            if ended.code == 0 and (codes[1:] or not content):
                return codes
        raise AssertionError(f"no end in sight: {codes}\n{ended.out}\n{ended.err}")

    def check(self, *, ever: int = 1, ended: bool = False, branch: str = "main") -> None:
        """After settling: every promise.

        `ever` is how many batches a key may have had; with `ended` a second one may have ended
        before anybody could see it.
        """
        self._oracle.check(ever=ever, ended=ended, branch=branch)
