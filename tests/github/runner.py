"""Runs the jobs of our workflows as GitHub's runner does: the real files, their real scripts.

A workflow's steps run in order in a fresh directory, composite actions are gone into, expressions
are filled in where GitHub fills them in, and each script is run by bash with the options and the
variables that it has there. Only what comes from elsewhere is played: `actions/checkout` (a clone
of the bare repository, with the job's rights and the depth asked for), `actions/setup-python`, and
`python`, by which the reconciler would be installed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from tests.github.expressions import Scope, filled, holds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
ACTION = ".github/actions/reconciler"
PATIENCE = 60.0
SIGINT_TO_SIGTERM, SIGTERM_TO_SIGKILL = 7.5, 2.5
_PYTHON = """#!/bin/sh
# Plays pip: what would be installed must be there.
echo "$@" >> "$RUNNER_TEMP/python.log"
for word in "$@"; do
    case $word in
        /*) test -e "$word" || { echo "no such file: $word" >&2; exit 1; } ;;
    esac
done
"""


def load(path: Path) -> dict[str, Any]:
    """Read a YAML file as data."""
    data = YAML(typ="safe", pure=True).load(path)
    assert isinstance(data, dict)
    return data


@dataclass
class Step:
    """A step that was run or left out: its script's output, and how it ended."""

    name: str
    outcome: str
    out: str = ""
    err: str = ""
    code: int | None = None


@dataclass
class Job:
    """A job that has come to its end. `summary` is its page's markdown."""

    steps: list[Step]
    directory: Path
    summary: str = ""

    @property
    def ok(self) -> bool:
        """Whether every step went well."""
        return all(step.outcome in {"success", "skipped"} for step in self.steps)

    def step(self, name: str) -> Step:
        """Give a step by its name."""
        return next(step for step in self.steps if step.name == name)

    @property
    def log(self) -> str:
        """Everything that its steps printed."""
        return "".join(f"--- {s.name} ({s.outcome})\n{s.out}{s.err}" for s in self.steps)


@dataclass
class Runner:
    """Runs jobs of one repository. `checkout` fills a directory for an event."""

    directory: Path
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    variables: Mapping[str, str]
    new_token: Callable[[Mapping[str, str]], str]
    checkout: Callable[[Path, Mapping[str, Any], Mapping[str, Any], Mapping[str, str]], None]
    jobs: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(
        self,
        workflow: Path,
        event: Mapping[str, Any],
        *,
        secrets: bool = True,
        read_only: bool = False,
        cancel: tuple[str, Callable[[], object]] | None = None,
        inputs: Mapping[str, str] | None = None,
    ) -> Job:
        """Run a workflow's one job for an event (`github`: its context; `payload`: the event).

        `secrets` and `read_only` are what a fork's job has not and is. `cancel` names a step and
        waits until it is to be cancelled. `inputs` are more of what the action is given.
        """
        with self._lock:
            self.jobs += 1
            place = self.directory / f"job-{self.jobs}"
        (place / "temp").mkdir(parents=True)
        (place / "bin").mkdir()
        python = place / "bin/python"
        python.write_text(_PYTHON, "utf-8")
        python.chmod(0o755)
        ((_, job),) = load(workflow)["jobs"].items()
        rights = job.get("permissions") or {}
        if read_only:
            rights = dict.fromkeys(rights, "read")
        return _Run(
            self,
            place,
            job,
            event,
            rights=rights,
            secrets=self.secrets if secrets else {},
            cancel=cancel,
            inputs=inputs or {},
        ).run()


class _Run:
    def __init__(
        self,
        runner: Runner,
        place: Path,
        job: Mapping[str, Any],
        event: Mapping[str, Any],
        *,
        rights: Mapping[str, str],
        secrets: Mapping[str, str],
        cancel: tuple[str, Callable[[], object]] | None,
        inputs: Mapping[str, str],
    ) -> None:
        self._runner = runner
        self._place = place
        self._job = job
        self._rights = rights
        self._event = event
        self._cancel = cancel
        self._inputs = inputs
        self._token = runner.new_token(rights)
        self._secrets = secrets
        self._cancelled = False
        self._count = 0
        self._steps: list[Step] = []
        for name in ("summary", "output", "env", "path"):
            (place / name).touch()
        (place / "event.json").write_text(json.dumps(event["payload"]), "utf-8")

    def run(self) -> Job:
        contexts = {
            "github": {**self._event["github"], "token": self._token},
            "secrets": self._secrets,
            "vars": self._runner.variables,
        }
        if holds(self._job.get("if"), self._scope(contexts, [], {}), so_far=True):
            self._run_steps(self._job["steps"], contexts, {})
        summary = (self._place / "summary").read_text("utf-8")
        return Job(self._steps, self._place / "work", summary)

    def _scope(
        self, contexts: Mapping[str, Any], done: Sequence[Step], by_id: Mapping[str, Step]
    ) -> Scope:
        failed = any(step.outcome == "failure" for step in done)
        steps = {name: {"outcome": step.outcome} for name, step in by_id.items()}
        return Scope(
            {**contexts, "steps": steps, "runner": {"temp": str(self._place / "temp")}},
            {
                "always": lambda: True,
                "cancelled": lambda: self._cancelled,
                "success": lambda: not failed and not self._cancelled,
                "failure": lambda: failed,
            },
        )

    def _run_steps(
        self,
        steps: Sequence[Mapping[str, Any]],
        contexts: Mapping[str, Any],
        environment: Mapping[str, str],
    ) -> None:
        done: list[Step] = []
        by_id: dict[str, Step] = {}
        for step in steps:
            scope = self._scope(contexts, done, by_id)
            so_far = scope.functions["success"]()
            name = step.get("name") or step.get("uses") or "run"
            env = {
                **environment,
                **{
                    key: filled(str(value), scope) for key, value in (step.get("env") or {}).items()
                },
            }
            before = len(self._steps)
            if not holds(step.get("if"), scope, so_far=so_far):
                self._steps.append(Step(name, "skipped"))
            elif "run" in step:
                assert step.get("shell", "bash") == "bash"
                assert "${{" not in step["run"], "an expression in a script"
                self._steps.append(self._script(name, step["run"], env))
            else:
                self._use(step, scope, env)
            mine = self._steps[before:]
            done.extend(mine)
            if "id" in step and mine:
                by_id[step["id"]] = mine[-1]

    def _use(self, step: Mapping[str, Any], scope: Scope, env: Mapping[str, str]) -> None:
        given = {key: filled(str(value), scope) for key, value in (step.get("with") or {}).items()}
        action = step["uses"].partition("@")[0]
        if action == "actions/checkout":
            work = self._place / "work"
            self._runner.checkout(work, self._event, given, self._rights)
            self._steps.append(Step("checkout", "success"))
        elif action == "actions/setup-python":
            self._steps.append(Step("setup-python", "success"))
        else:
            assert action.endswith(f"/{ACTION}"), action
            path = ROOT / ACTION
            document = load(path / "action.yml")
            inputs = {
                key: filled(str(about.get("default", "")), scope)
                for key, about in document["inputs"].items()
            }
            assert set(given) <= set(inputs), "an input that the action does not have"
            inputs |= {**given, **self._inputs}
            contexts = {
                "inputs": inputs,
                "github": {**scope.contexts["github"], "action_path": str(path)},
            }
            self._run_steps(document["runs"]["steps"], contexts, env)

    def _script(self, name: str, script: str, env: Mapping[str, str]) -> Step:
        self._count += 1
        path = self._place / f"temp/step-{self._count}.sh"
        path.write_text(script, "utf-8")
        out, err = (self._place / f"step-{self._count}.{kind}" for kind in ("out", "err"))
        with out.open("wb") as out_file, err.open("wb") as err_file:
            process = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(path)],
                cwd=self._place / "work",
                env=self._environment(env),
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
                start_new_session=True,
            )
            cancelled = self._cancel is not None and self._cancel[0] == name
            if cancelled:
                self._cancel_as_github_does(process)
            code = process.wait(PATIENCE)
        outcome = "cancelled" if cancelled else "failure" if code else "success"
        return Step(name, outcome, out.read_text("utf-8"), err.read_text("utf-8"), code)

    def _cancel_as_github_does(self, process: subprocess.Popen[bytes]) -> None:
        """Send the signals to the step's own process, and to none that it has started."""
        assert self._cancel is not None
        self._cancel[1]()
        self._cancelled = True
        process.send_signal(signal.SIGINT)
        for seconds, number in (
            (SIGINT_TO_SIGTERM, signal.SIGTERM),
            (SIGTERM_TO_SIGKILL, signal.SIGKILL),
        ):
            deadline = time.monotonic() + seconds
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            if process.poll() is not None:
                return
            if number is signal.SIGKILL:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)

    def _environment(self, env: Mapping[str, str]) -> dict[str, str]:
        github = self._event["github"]
        variables = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": github["event_name"],
            "GITHUB_EVENT_PATH": str(self._place / "event.json"),
            "GITHUB_REPOSITORY": github["repository"],
            "GITHUB_SHA": github["sha"],
            "GITHUB_REF": github["ref"],
            "GITHUB_REF_NAME": github["ref_name"],
            "GITHUB_REF_TYPE": "branch",
            "GITHUB_BASE_REF": github.get("base_ref", ""),
            "GITHUB_HEAD_REF": github.get("head_ref", ""),
            "GITHUB_ACTOR": github.get("actor", "ada"),
            "GITHUB_RUN_ID": "42",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_STEP_SUMMARY": str(self._place / "summary"),
            "GITHUB_OUTPUT": str(self._place / "output"),
            "GITHUB_ENV": str(self._place / "env"),
            "GITHUB_PATH": str(self._place / "path"),
            "GITHUB_WORKSPACE": str(self._place / "work"),
            "RUNNER_TEMP": str(self._place / "temp"),
            "CI": "true",
        }
        path = f"{self._place / 'bin'}:{Path(sys.executable).parent}:{os.defpath}"
        coverage = {k: v for k, v in os.environ.items() if k.startswith("COV")}
        return {**coverage, **self._runner.environment, **variables, "PATH": path, **env}
