"""What a job on GitHub knows about itself: repository, commit, pull request, its token.

All of it comes from the variables and the event file that GitHub sets for every step. A branch's
name, a title or anything else that somebody else wrote is taken as text and never run.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from reconciler.errors import Usage
from reconciler.github.rest import GitHub

if TYPE_CHECKING:
    from collections.abc import Mapping

WORKFLOW_AUTHOR = "github-actions[bot]"
"""Who a job's own token writes as. No person can have a login with brackets."""
_DEFAULT_API = "https://api.github.com"
_DEFAULT_SERVER = "https://github.com"
_LONGEST_EVENT = 32 * 2**20  # bytes
_DEPENDABOT = "dependabot[bot]"


class PullRequest(Struct, frozen=True):
    """The pull request a job is about: its number, the commit at its head, and whose it is.

    `outside` says why the job may not write to it: GitHub gives a fork's job, and Dependabot's, a
    token that only reads. Empty when it may.
    """

    number: int
    head: str
    outside: str = ""


class Job(Struct, frozen=True):
    """One job. `commit` is what it runs for; the token is never shown."""

    environ: Mapping[str, str]

    @classmethod
    def current(cls) -> Job:
        """Give the job this process is a step of."""
        return cls(dict(os.environ))

    @property
    def repository(self) -> str:
        """The repository, `owner/name`; empty outside a job."""
        return self.environ.get("GITHUB_REPOSITORY", "").strip()

    @property
    def commit(self) -> str:
        """The commit the job runs for. Raises `Usage`."""
        return self._needed("GITHUB_SHA")

    @property
    def branch(self) -> str:
        """The branch that the job runs for, or that the pull request goes into; may be empty."""
        return self.environ.get("GITHUB_BASE_REF") or self.environ.get("GITHUB_REF_NAME", "")

    @property
    def address(self) -> str:
        """Where people see this run; empty when it is not known."""
        run = self.environ.get("GITHUB_RUN_ID", "")
        if not (run.isdigit() and self.repository):
            return ""
        server = self.environ.get("GITHUB_SERVER_URL") or _DEFAULT_SERVER
        attempt = self.environ.get("GITHUB_RUN_ATTEMPT", "")
        tail = f"/attempts/{attempt}" if attempt.isdigit() and attempt != "1" else ""
        return f"{server}/{self.repository}/actions/runs/{run}{tail}"

    @property
    def graphql(self) -> str:
        """The address of GraphQL; empty where there is none."""
        return self.environ.get("GITHUB_GRAPHQL_URL", "").strip()

    def github(self) -> GitHub:
        """Give the door to this repository. Raises `Usage` or `Refused`, see `GitHub`."""
        return GitHub(
            self.environ.get("GITHUB_API_URL", "").strip() or _DEFAULT_API,
            self._needed("GITHUB_REPOSITORY"),
            self.environ.get("GITHUB_TOKEN", "").strip(),
        )

    def pull_request(self) -> PullRequest | None:
        """Give the pull request the job is about, None when it is about none. Raises `Usage`."""
        event = self._event()
        found = event.get("pull_request")
        if not isinstance(found, dict) or not isinstance(found.get("number"), int):
            return None
        head, base = (_mapping(found.get(side)) for side in ("head", "base"))
        home = _mapping(base.get("repo")).get("full_name") or self.repository
        outside = ""
        if _mapping(head.get("repo")).get("full_name") != home:
            outside = "it comes from a fork"
        elif self.environ.get("GITHUB_ACTOR") == _DEPENDABOT:
            outside = "it is Dependabot's"
        return PullRequest(found["number"], str(head.get("sha") or ""), outside)

    def summarise(self, markdown: str) -> None:
        """Add to the page of this run; outside a job there is none."""
        path = self.environ.get("GITHUB_STEP_SUMMARY", "")
        if path:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(markdown.rstrip("\n") + "\n\n")

    def _event(self) -> Mapping[str, Any]:
        path = Path(self._needed("GITHUB_EVENT_PATH"))
        try:
            with path.open("rb") as file:
                event = json.loads(file.read(_LONGEST_EVENT))
        except (OSError, ValueError) as error:
            raise Usage("GITHUB_EVENT_PATH is not a file of an event", hint=_OUTSIDE) from error
        return _mapping(event)

    def _needed(self, name: str) -> str:
        value = self.environ.get(name, "").strip()
        if not value:
            raise Usage(f"{name} is not set", hint=_OUTSIDE)
        return value


_OUTSIDE = (
    "this is for a step in GitHub Actions, where it is set already; elsewhere use: reconciler plan"
)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
