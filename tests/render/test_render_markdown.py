from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.apply.report import Ending, Report, Result
from reconciler.model import Diagnostic, OnChange, Severity
from reconciler.plan.actions import ActionKind, Callees, FieldChange, Reason, Replacement
from reconciler.plan.fingerprint import action_hashes, plan_hash
from reconciler.render import markers
from reconciler.render.markdown import failure_markdown, outdated, plan_markdown, report_markdown
from tests.render.conftest import NASTY, NOW, action, changed, plan_of, warning

if TYPE_CHECKING:
    from reconciler.plan.actions import Plan

HERE = Path(__file__).parent
GITHUB = 65_536


def kept(name: str, text: str) -> None:
    """Compare a comment with the file of that name; `UPDATE_SAID=1` writes it anew."""
    path = HERE / "comments" / f"{name}.md"
    if os.environ.get("UPDATE_SAID"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text("utf-8"), "UPDATE_SAID=1 accepts it; look at it as an image too"


def test_a_comment_with_something_of_everything(everything: Plan) -> None:
    """The comment as it was looked at, rendered, by a person."""
    kept("everything", plan_markdown(everything, NOW))


def test_no_comment_shows_what_must_not_be_shown(everything: Plan) -> None:
    """No phone number, no mention, no tag of somebody else's."""
    comment = plan_markdown(everything, NOW)
    outside = re.sub(r"`[^`\n]*`|<code>.*?</code>", "", comment.partition("```mermaid")[0])
    assert "@team" not in outside
    assert "<img" not in comment
    assert not re.search(r"\+91\d", comment)


def test_a_count_of_people_has_its_thousands_apart() -> None:
    """Unlike a field's value, which is shown as it stands in the spec."""
    changes = (
        FieldChange("contacts", 12_000, 12_001),
        FieldChange("metadata.wave", 1_000, 2_000),
    )
    comment = plan_markdown(plan_of(changed("a", changes=changes, contact_changes=None)), NOW)
    assert "| `contacts` | `12,000` | `12,001` |" in comment
    assert "| `metadata.wave` | `1000` | `2000` |" in comment


def test_whom_it_calls_again_comes_first(everything: Plan) -> None:
    """What calls people again is the first thing told, the first row, and is in its details."""
    lines = plan_markdown(everything, NOW).splitlines()
    boxes = [lines[i + 1] for i, line in enumerate(lines) if line.startswith("> [!")]
    assert boxes[0].startswith("> **38 PEOPLE WILL BE CALLED AGAIN**")
    rows = [line for line in lines if line.startswith("| ")]
    assert "`survey`" in rows[1]
    assert "**38 AGAIN**" in rows[1]
    assert "will be called AGAIN" in "\n".join(lines[lines.index("</details>") - 9 :])


def test_where_nobody_was_asked_it_is_up_to(everything: Plan) -> None:
    """Without the API the numbers are upper bounds, and say so everywhere."""
    guess = changed(
        "survey",
        replacement=Replacement(on_change=OnChange.EVERYONE),
        callees=Callees(to_call=500, at_most=True),
        contact_changes=None,
    )
    comment = plan_markdown(replace(plan_of(guess), offline=True, campaigns={}), NOW)
    assert "### Up to 500 people will be called" in comment
    assert "**UP TO 500 PEOPLE WILL BE CALLED AGAIN**" in comment
    assert "**up to 500**" in comment
    assert "> [!NOTE]\n> The API was not asked" in comment
    assert "up to" not in plan_markdown(plan_of(everything.actions[0]), NOW).lower()


@pytest.mark.parametrize(
    ("count", "name"), [(1_000, 5), (1_000, 200), (3_000, 30)], ids=["many", "long", "most"]
)
def test_it_is_never_too_long_for_github(count: int, name: int) -> None:
    """However much there is to tell, it fits, and says how much of what is left out."""
    plan = plan_of(
        *(
            changed(f"{'n' * name}/{number}", n=3, message=NASTY * 20)
            if number % 2
            else action(f"{'n' * name}/{number}")
            for number in range(count)
        ),
        diagnostics=tuple(warning(NASTY * 9, field=f"f{n}") for n in range(count)),
    )
    comment = plan_markdown(plan, NOW)
    assert len(comment) < GITHUB
    assert f"{plan.people:,} people will be called" in comment, "the totals are whole"
    left_out = re.search(r"Too long for a comment: (.*) left out", comment)
    assert left_out
    (missing,) = (int(n.replace(",", "")) for n in re.findall(r"([\d,]+) actions", left_out[1]))
    rows = [line for line in comment.splitlines() if line.startswith(("| 🟢", "| 🟡"))]
    assert len(rows) + missing == count
    assert re.search(r"[\d,]+ lines of warnings, ", left_out[1])
    assert re.search(r"[\d,]+ lists of changes", left_out[1])
    assert "`reconciler --batches batches plan`" in comment
    assert markers.reviewed_in(comment, "batches") == markers.Reviewed(plan_hash(plan), None)


def test_people_called_again_are_in_sight_however_long_it_is() -> None:
    """Truncation takes other rows first."""
    again = changed(
        "zzz",
        replacement=Replacement(on_change=OnChange.EVERYONE),
        callees=Callees(to_call=9, called=9, again=9),
    )
    plan = plan_of(*(action(f"{'n' * 90}/{number}") for number in range(1_000)), again)
    comment = plan_markdown(plan, NOW)
    assert (
        "**9 PEOPLE WILL BE CALLED AGAIN** although they were called already, by `zzz`" in comment
    )
    assert "**9 AGAIN**" in comment


@given(count=st.integers(0, 40), limit=st.integers(6_000, 12_000))
def test_any_limit_is_kept(count: int, limit: int) -> None:
    """Whatever the limit, from a few thousand characters on."""
    plan = plan_of(
        *(changed(f"n{number}", n=3) for number in range(count)),
        diagnostics=tuple(warning(NASTY) for _ in range(count)),
    )
    assert len(plan_markdown(plan, NOW, limit=limit)) <= limit or count > 12


def test_what_was_reviewed_can_be_read_again(everything: Plan) -> None:
    """The hidden lines carry the plan's hash and those of its actions, for one root."""
    comment = plan_markdown(everything, NOW, root="batches/production")
    found = markers.reviewed_in(comment, "batches/production")
    hashes = tuple(sorted(hashed for _, hashed in action_hashes(everything)))
    assert found == markers.Reviewed(plan_hash(everything), hashes)
    assert markers.reviewed_in(comment, "batches") is None


def test_an_outdated_comment(everything: Plan) -> None:
    """An outdated plan is struck and folded, names what replaced it, and agrees to nothing."""
    comment = plan_markdown(everything, NOW)
    old = outdated(comment, "0123456789abcdef")
    first, title, _, said, _, fold, *_ = old.splitlines()
    assert first == "<!-- call-batch-reconciler:plan-outdated batches -->"
    assert title == "### ~~12,497 people will be called, the first right away~~"
    assert said.startswith("**Outdated**: commit 0123456789ab has replaced it.")
    assert fold.startswith("<details>")
    assert old.endswith("</details>\n")
    assert "`renewals/2026-05`" in old
    assert "plan-hash" not in old
    assert markers.reviewed_in(old, "batches") is None
    assert outdated(old, "f" * 40) == old, "it stays what it is"
    assert outdated("Looks good to me!") == "Looks good to me!"
    assert "--> <b>" not in outdated(comment, "--> <b>")


def test_an_outdated_comment_fits_too() -> None:
    """What is too long to be kept folded is dropped, and that is said."""
    comment = plan_markdown(plan_of(*(action(f"{'n' * 90}/{n}") for n in range(900))), NOW)
    assert len(outdated(comment)) < GITHUB
    assert "too long to be kept" in outdated(comment, limit=5_000)
    assert len(outdated(comment, limit=5_000)) < 5_000


def test_nothing_to_do() -> None:
    """A plan without actions says so in a line, and has a hash: nothing was agreed to."""
    same = action("same", ActionKind.NONE, Reason.UNCHANGED)
    comment = plan_markdown(plan_of(same), NOW)
    assert "### Nothing to do: 1 spec, all as recorded." in comment
    assert "mermaid" not in comment
    assert markers.reviewed_in(comment, "batches") == markers.Reviewed(plan_hash(plan_of()), ())


def test_mistakes_instead_of_a_plan() -> None:
    """Specs with errors give a comment that lists them, carries no hash, and fits."""
    mistake = Diagnostic(Severity.ERROR, "batches/a|b.yaml", 3, 1, "campaign_id", NASTY, "mend it")
    comment = failure_markdown([mistake] * 2_000)
    assert "2,000 mistakes to mend" in comment
    assert len(comment) < GITHUB
    assert re.search(r"Too long for a comment: 1,\d{3} mistakes left out", comment)
    assert "`reconciler --batches batches validate`" in comment
    assert markers.is_plan_of(comment, "batches")
    assert markers.reviewed_in(comment, "batches") is None
    kept("mistakes", failure_markdown([mistake], root="batches/|x|"))


def test_what_an_apply_did(everything: Plan) -> None:
    """The outcome: what needs somebody first, every batch with its id."""
    kept("report", report_markdown(a_report(everything)))


def test_a_report_fits() -> None:
    """A report of very many results says how many it leaves out; what went wrong stays."""
    good = Result(action=action("n" * 150), ending=Ending.CREATED, batch_ids=("batch_1",))
    bad = Result(action=action("bad"), ending=Ending.FAILED, message=NASTY)
    comment = report_markdown(Report(plan=plan_of(), results=(*[good] * 2_000, bad)))
    assert len(comment) < GITHUB
    assert "`bad` is failed" in comment
    assert re.search(r"1,\d{3} results left out", comment)


def a_report(plan: Plan) -> Report:
    """Give a report of all endings."""
    return Report(
        plan=plan,
        seconds=12,
        complaints=(
            Diagnostic(Severity.ERROR, "batches/bad.yaml", 3, 1, "concurrency_limit", "no"),
        ),
        results=(
            Result(action=action("welcome", n=40), ending=Ending.CREATED, batch_ids=("batch_1",)),
            Result(
                action=action("renewals", n=4_000),
                ending=Ending.UNKNOWN,
                message=f"no answer within 60 s {NASTY}",
                hint="reconciler apply looks for it again",
            ),
            Result(action=action("bad"), ending=Ending.REJECTED, message="the API says no"),
            Result(
                action=changed("survey"),
                ending=Ending.CREATED,
                batch_ids=("batch_2",),
                warnings=("total_contacts is 379, and 380 were sent",),
            ),
            Result(
                action=action("new", ActionKind.MOVE, Reason.RENAMED, moved_from="old"),
                ending=Ending.DONE,
                batch_ids=("batch_3",),
            ),
            Result(action=action("later"), ending=Ending.SKIPPED, message="the run was stopped"),
        ),
    )
