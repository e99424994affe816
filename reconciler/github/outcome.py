"""What an apply did, as a commit status and as a comment on the pull request it carried out.

It reads what `apply --format json` printed and what it said on stderr, and how its step ended: a
job that was cancelled or killed has told less, and what is missing is said to be missing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.github.comments import LONGEST, own_comments, put
from reconciler.render.escape import code, markdown, printable, shortened
from reconciler.render.markers import REPORT, Marker, encoded, marker
from reconciler.render.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.github.context import Job
    from reconciler.github.rest import GitHub

_LONGEST_STATUS = 140
"""Characters that GitHub takes in a commit status."""
_MOST_ROWS = 100
_WORDS = {
    "created": "created",
    "done": "done",
    "unknown": "in doubt",
    "rejected": "rejected",
    "failed": "failed",
    "blocked": "blocked",
    "skipped": "not begun",
}
"""Endings of actions (`reconciler.apply.report`), the best first, and how people call them."""
_AGAIN = "Run the job again: it first finds out what happened, and creates nothing that may exist."


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an apply ended. `state` is GitHub's: `success`, `failure` or `error`.

    `report` is what it printed, empty when that is not whole. `told` are the errors and hints on
    stderr. `superseded` tells that a newer commit's run applies instead.
    """

    state: str
    headline: str
    report: Mapping[str, Any]
    told: Sequence[str]
    superseded: bool = False


def outcome(printed: str, said: str, ended: str) -> Outcome:
    """Make out how an apply ended, from its stdout, its stderr and its step's outcome.

    `ended` is `success`, `failure`, `cancelled` or `skipped`.
    """
    report = _report(printed)
    told = [line for line in said.splitlines() if line.startswith(("error: ", "hint: "))]
    counts = {k: n for k, n in (report.get("outcomes") or {}).items() if isinstance(n, int) and n}
    state = {"success": "success", "failure": "failure"}.get(ended, "error")
    if counts.get("unknown") and state == "success":
        state = "failure"
    if "outcomes" in report:
        stopped = "stopped early: " if report.get("interrupted") else ""
        headline = ", ".join(
            f"{counts[each]:,} {_WORDS[each]}" for each in _WORDS if each in counts
        )
        return Outcome(state, stopped + (headline or "nothing to do"), report, told)
    if ended == "success":
        why = next((line for line in said.splitlines() if line.startswith("superseded by")), "")
        return Outcome(state, why or "superseded by a newer commit", report, told, superseded=True)
    if ended == "skipped":
        return Outcome(state, "apply did not begin", report, told)
    error = next((line.removeprefix("error: ") for line in told if line.startswith("error: ")), "")
    if ended == "cancelled":
        return Outcome(state, "cancelled before it could tell what it did", report, told)
    return Outcome(state, error or "it failed without saying why", report, told)


def set_status(github: GitHub, job: Job, root: str, result: Outcome) -> None:
    """Put the outcome at the commit. Raises `GitHubError`."""
    document = {
        "state": result.state,
        "context": shortened(printable(f"reconciler apply ({root})"), _LONGEST_STATUS),
        "description": shortened(printable(result.headline), _LONGEST_STATUS),
    }
    if job.address:
        document["target_url"] = job.address
    github.post(f"/statuses/{job.commit}", document)


def merged_pull_request(github: GitHub, job: Job) -> int | None:
    """Give the pull request that the commit came in by, None for a push. Raises `GitHubError`."""
    rows = github.get(f"/commits/{job.commit}/pulls")
    for row in rows if isinstance(rows, list) else []:
        base = row.get("base") if isinstance(row, dict) else None
        if isinstance(base, dict) and base.get("ref") == job.branch and row.get("merged_at"):
            return int(row["number"])
    return None


def comment_on(
    github: GitHub, number: int, job: Job, root: str, result: Outcome, *, author: str
) -> str:
    """Tell the pull request, once a commit: a job that is run again writes it anew.

    A run that was superseded says nothing where an earlier one has told what it did. Gives the
    comment's address. Raises `GitHubError`.
    """
    heads = [Marker(REPORT, encoded(root), (job.commit,))]
    if result.superseded:
        earlier = own_comments(github, number, author, heads)
        if earlier:
            return earlier[0].address
    text = f"{marker(REPORT, root, job.commit)}\n{told(result, job, root)}"
    return put(github, number, text, heads, author=author)


def told(result: Outcome, job: Job, root: str) -> str:
    """Give the outcome as markdown, of at most as many characters as a comment takes."""
    rows = [row for row in result.report.get("actions") or () if isinstance(row, dict)]
    for most in (_MOST_ROWS, 20, 0):
        text = "\n".join(_lines(result, job, root, rows, most)) + "\n"
        if len(text) <= LONGEST - 200:  # the hidden line comes before it
            break
    return text


def _lines(
    result: Outcome, job: Job, root: str, rows: list[dict[str, Any]], most: int
) -> Iterator[str]:
    yield f"### Apply of {code(root)}: {markdown(result.headline)}"
    yield ""
    if (result.report.get("outcomes") or {}).get("unknown"):
        yield "> [!CAUTION]"
        yield "> A batch is in doubt: it may exist, and people may be getting calls from it."
        yield f"> {_AGAIN}"
        yield ""
    elif result.state == "error":
        yield "> [!CAUTION]"
        yield f"> This run did not come to its end. {_AGAIN}"
        yield ""
    if result.superseded:
        yield "Nothing was applied from this commit: a newer one counts, and has a run of its own."
        yield ""
    if rows and most:
        yield "| batch | outcome | id | people |"
        yield "|---|---|---|--:|"
        yield from (_row(row) for row in rows[:most])
        yield ""
    if len(rows) > most:
        yield f"… and {counted(len(rows) - most, 'more action')}: see the run."
        yield ""
    notes = [note for row in rows[: most or 5] for note in _notes(row)]
    yield from notes
    yield from ([""] if notes else [])
    if "outcomes" not in result.report and result.told:
        yield from (f"- {markdown(line)}" for line in result.told)
        yield ""
    where = f" · [run]({job.address})" if job.address else ""
    yield f"<sub>commit {job.commit[:12]}{where}</sub>"


def _row(row: Mapping[str, Any]) -> str:
    ids = row.get("batch_ids") or ([row["batch_id"]] if row.get("batch_id") else [])
    word = _WORDS.get(str(row.get("outcome")), str(row.get("outcome")))
    action = str(row.get("action"))
    cells = (
        code(str(row.get("name"))),
        markdown(word if action == "create" else f"{action}: {word}"),
        " ".join(code(str(each)) for each in ids),
        f"{row.get('people') or 0:,}",
    )
    return f"| {' | '.join(cells)} |"


def _notes(row: Mapping[str, Any]) -> Iterator[str]:
    name = code(str(row.get("name")))
    well = row.get("outcome") in {"created", "done"}
    message, hint = str(row.get("message") or ""), str(row.get("hint") or "")
    if message and not well:
        yield f"- {name}: {markdown(message)}{f' — {markdown(hint)}' if hint else ''}"
    for warning in row.get("warnings") or ():
        yield f"- {name}: {markdown(str(warning))}"
    for problem in row.get("problems") or ():
        where = ".".join(str(step) for step in problem.get("path") or ())
        yield f"- {name}: {code(where)} {markdown(str(problem.get('message')))}"


def _report(printed: str) -> Mapping[str, Any]:
    try:
        document = json.loads(printed)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
