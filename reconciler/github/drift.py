"""Drift as one issue a root: opened when there is something to tell, closed when there is not.

What is told is what a person has to look at. It is written anew when it changes and left alone when
it does not, so that nobody is notified of what they know; an issue that a person has closed stays
closed until something else has drifted.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from reconciler.github.comments import LONGEST, first_marker, is_by
from reconciler.render.escape import code, markdown, printable, shortened
from reconciler.render.markers import encoded, marker
from reconciler.render.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.github.rest import GitHub

KIND = "drift"
LABEL = "call-batch-reconciler"
_MOST = 200
_UNTOUCHED = "Nothing was undone: whoever did it may know more than a spec."
_LONGEST_TITLE = 200


class Finding(Struct, frozen=True, order=True):
    """One thing that is not as recorded: the batch's name, what was found and what to do."""

    name: str
    message: str
    hint: str = ""


class Issue(Struct, frozen=True):
    """The issue of a root, with what its hidden line says was found."""

    number: int
    is_open: bool
    found: tuple[str, ...]
    address: str


def fingerprint(findings: Sequence[Finding]) -> str:
    """Give a short name of what was found: the same for the same findings."""
    each = "\n".join(f"{f.name}\0{f.message}" for f in sorted(findings))
    return hashlib.sha256(each.encode()).hexdigest()[:16]


def report(
    github: GitHub, root: str, findings: Sequence[Finding], *, run: str, author: str
) -> tuple[str, str]:
    """Open, write anew, reopen or close the root's issue; give what was done and its address.

    `run` is the address of this run. What was done is `opened`, `updated`, `reopened`, `closed` or
    `unchanged`. Raises `GitHubError`.
    """
    issue = _find(github, root, author)
    if not findings:
        if issue is None or not issue.is_open:
            return "unchanged", ""
        document = {
            "body": _clean(root, run),
            "state": "closed",
            "state_reason": "completed",
        }
        github.patch(f"/issues/{issue.number}", document)
        return "closed", issue.address
    document = {"title": _title(root, findings), "body": body(root, findings, run)}
    if issue is None:
        made = github.post("/issues", {**document, "labels": [LABEL]})
        return "opened", str(made.get("html_url") or "") if isinstance(made, dict) else ""
    if issue.found == (fingerprint(findings),):
        return "unchanged", issue.address
    github.patch(f"/issues/{issue.number}", {**document, "state": "open"})
    return "updated" if issue.is_open else "reopened", issue.address


def body(root: str, findings: Sequence[Finding], run: str) -> str:
    """Give the issue's text, of at most as many characters as GitHub takes."""
    ordered = sorted(findings)
    for most in (_MOST, 20):
        lines = [
            marker(KIND, root, fingerprint(findings)),
            f"Batches of {code(root)} are not as they are recorded. {_UNTOUCHED}",
            "",
            *(_line(finding) for finding in ordered[:most]),
        ]
        if len(ordered) > most:
            lines.append(f"- … and {len(ordered) - most:,} more")
        lines += ["", f"See it now: {code('reconciler plan')} and {code('reconciler status')}."]
        lines += ["This issue is closed when all is as recorded again.", "", _footer(run)]
        text = "\n".join(lines) + "\n"
        if len(text) <= LONGEST:
            break
    return text


def _line(finding: Finding) -> str:
    hint = f"\n  {markdown(finding.hint)}" if finding.hint else ""
    return f"- {code(finding.name)}: {markdown(finding.message)}{hint}"


def _clean(root: str, run: str) -> str:
    return (
        f"{marker(KIND, root, fingerprint(()))}\n"
        f"All batches of {code(root)} are as recorded again.\n\n{_footer(run)}\n"
    )


def _footer(run: str) -> str:
    return f"<sub>[run]({run})</sub>" if run else ""


def _title(root: str, findings: Sequence[Finding]) -> str:
    names = len({finding.name for finding in findings})
    said = f"{counted(names, 'call batch')} of {printable(root)} not as recorded"
    return shortened(said, _LONGEST_TITLE)


def _find(github: GitHub, root: str, author: str) -> Issue | None:
    """Find the root's issue: the open one, else the newest."""
    found = []
    for row in github.pages("/issues", state="all", labels=LABEL):
        text, number = row.get("body"), row.get("number")
        if not isinstance(text, str) or not isinstance(number, int) or "pull_request" in row:
            continue
        head = first_marker(text)
        if head is None or (head.kind, head.root) != (KIND, encoded(root)):
            continue
        if is_by(row, author):
            is_open = row.get("state") == "open"
            found.append(Issue(number, is_open, head.values, str(row.get("html_url") or "")))
    return max(found, key=lambda issue: (issue.is_open, issue.number), default=None)


def as_finding(row: Any) -> Finding:
    """Take what planning tells of a batch (`Diagnostic`) as a finding."""
    return Finding(row.field, row.message, row.hint)
