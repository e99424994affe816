from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from rich.console import Console

from reconciler.model import OnChange
from reconciler.plan.actions import (
    ActionKind,
    Callees,
    ContactChanges,
    FieldChange,
    Plan,
    Reason,
    Replacement,
    Ruled,
    Target,
)
from reconciler.plan.estimate import estimate
from reconciler.render.markdown import plan_markdown
from reconciler.render.structured import plan_document
from reconciler.render.telling import (
    again_warning,
    asked,
    calls,
    change_words,
    contact_words,
    estimate_words,
    facts,
    headline,
)
from reconciler.render.terminal import plan_view
from reconciler.render.text import plan_text
from reconciler.render.timeline import MOST_BATCHES, timeline
from reconciler.render.words import clocks, counted, moment, span
from tests.render.conftest import NASTY, NOW, action, changed, plan_of

if TYPE_CHECKING:
    from collections.abc import Sequence

TWO_MINUTES = timedelta(minutes=2)
THURSDAY = datetime(2026, 5, 14, 3, 30, tzinfo=UTC)


def told(one: Any, label: str) -> list[str]:
    """Give what is told of an action under a label."""
    return [fact.text for fact in facts(one, plan_of(one), NOW) if fact.label == label]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (FieldChange("concurrency_limit", 10, 20), "concurrency_limit raised from 10 to 20"),
        (FieldChange("concurrency_limit", 20, 10), "concurrency_limit lowered from 20 to 10"),
        (
            FieldChange("concurrency_limit", None, 10),
            "concurrency_limit set to 10 (was: as the campaign has it)",
        ),
        (
            FieldChange("scheduled_start", "2035-05-14T09:00:00", None),
            "scheduled_start removed, was 2035-05-14T09:00:00 (now: right away)",
        ),
        (FieldChange("metadata.wave", None, 2), "metadata.wave set to 2"),
        (FieldChange("metadata.wave", 2, None), "metadata.wave removed, was 2"),
        (FieldChange("campaign_id", "a", "b"), "campaign_id changed from a to b"),
        (
            FieldChange("metadata.on", before=False, after=True),
            "metadata.on changed from false to true",
        ),
        (FieldChange("contacts", 2, 3), "contacts: 3 people instead of 2"),
        (
            FieldChange("contacts", "as recorded", "other people or variables"),
            "contacts: other people or variables",
        ),
        (
            FieldChange("metadata.long", "a" * 99, "\x1b[2J"),
            f"metadata.long changed from {'a' * 57}... to \\u001b[2J",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_changed_field_in_words(change: FieldChange, words: str) -> None:
    """What a field was, what it is, and what its absence means."""
    assert change_words(change) == words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (ContactChanges(added=1), "1 added"),
        (
            ContactChanges(added=1_200, removed=2, changed=3, examples=("+ +91********10",)),
            "1,200 added, 2 removed, 3 with other variables (+ +91********10)",
        ),
    ],
)
def test_changed_contacts_in_words(changes: ContactChanges, words: str) -> None:
    """How many, with masked examples."""
    assert contact_words(changes) == words


@pytest.mark.parametrize(
    ("callees", "people"),
    [
        (
            Callees(to_call=380, called=120),
            "already called 120, still to call 380, nobody called again",
        ),
        (
            Callees(to_call=500, called=120, again=120),
            "already called 120, still to call 380, called again 120",
        ),
        (
            Callees(to_call=500, at_most=True),
            "up to 500 to call; who was called already is not known here",
        ),
        (
            Callees(to_call=0, called=500),
            "already called 500, still to call 0, nobody called again",
        ),
    ],
)
def test_who_of_a_changed_spec_is_called(callees: Callees, people: str) -> None:
    """Called already, still to be called, called again; or at most how many."""
    assert told(changed("survey", callees=callees), "people") == [people]


def test_a_list_that_is_split() -> None:
    """How many batches, and that each has the limit."""
    whole = action("a", n=3, fields={"concurrency_limit": 5})
    split = replace(whole, creations=(*whole.creations, *whole.creations))
    assert told(split, "split") == ["into 2 batches of up to 3 people"]
    assert told(split, "at most") == ["5 calls at once in each"]
    assert told(whole, "split") == []
    assert "split into 2 batches of up to 3 people" in plan_markdown(plan_of(split), NOW)


def everyone(name: str, callees: Callees, n: int = 38) -> Any:
    """Give a changed spec that calls everybody again."""
    return changed(name, n=n, callees=callees, replacement=Replacement(on_change=OnChange.EVERYONE))


@pytest.mark.parametrize(
    ("actions", "first"),
    [
        (
            [everyone("a", Callees(to_call=38, called=38, again=38))],
            "38 PEOPLE WILL BE CALLED AGAIN, by a",
        ),
        (
            [everyone("a", Callees(to_call=1, called=1, again=1), n=1)],
            "1 PERSON WILL BE CALLED AGAIN, by a",
        ),
        (
            [everyone("a", Callees(to_call=38, at_most=True))],
            "UP TO 38 PEOPLE WILL BE CALLED AGAIN, by a",
        ),
        (
            [everyone(f"n{n}", Callees(to_call=2, called=2, again=2), n=2) for n in range(7)],
            "14 PEOPLE WILL BE CALLED AGAIN, by n0, n1, n2, n3, n4 and 2 more",
        ),
    ],
)
def test_nobody_can_miss_that_people_are_called_again(actions: Sequence[Any], first: str) -> None:
    """It is the first thing in every format, and stands at each action too."""
    plan = plan_of(*actions)
    text = plan_text(plan, NOW)
    assert text.startswith(f"!!! {first} !!!\n")
    assert text.count("      AGAIN ") == len(actions)
    screen = drawn(plan, 100).splitlines()
    assert first in screen[1]
    comment = plan_markdown(plan, NOW)
    assert comment.index(f"**{first.partition(', by')[0]}**") < comment.index("| action ")
    document = plan_document(plan)
    assert document["called_again"] == sum(a["called_again"] for a in document["actions"])
    assert document["called_again"] == int(re.search(r"\d+", first)[0])  # type: ignore[index]  # it is there
    assert "AGAIN" in asked(plan)


def test_a_revert_is_named() -> None:
    """A spec that says again what an earlier generation said is told as such."""
    back = changed("a", replacement=Replacement(on_change=OnChange.REMAINING, reverts_to=3))
    assert told(back, "reverts") == ["to what generation 3 said"]
    assert "- **a revert**: the spec says again what generation 3 said" in plan_markdown(
        plan_of(back), NOW
    )
    assert plan_document(plan_of(back))["actions"][0]["replaces"]["reverts_to"] == 3


def test_a_refused_change_says_what_stays_paused() -> None:
    """Whoever reads what the policy refuses sees that nobody is called by the old batch either."""
    rules = (Ruled(rule="consent", message="none is said"),)
    for paused in (True, False):
        stopped = Replacement(on_change=OnChange.REMAINING, paused=paused)
        refused = replace(changed("a", replacement=stopped), kind=ActionKind.BLOCKED, rules=rules)
        assert told(refused, "refused") == ["consent: none is said"]
        assert told(refused, "why") == ["the batch before it stays paused meanwhile"] * paused


def test_which_batches_are_touched() -> None:
    """Every batch that is paused, resumed or cancelled is named."""
    targets = (Target("batch_1", 1, 1), Target("batch_2", 1, 2))
    stop = action("old", ActionKind.CANCEL, Reason.REMOVED, targets=targets)
    assert told(stop, "batch") == ["batch_1, batch_2"]
    assert told(changed("a", targets=targets), "replaces") == ["batch_1, batch_2"]
    assert "batch `batch_1`, `batch_2`" in plan_markdown(plan_of(stop), NOW)


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        ([action("a", n=2)], "2 people will be called right away"),
        ([action("a", n=1), action("b", n=3, starts_at=THURSDAY)], "1 of them right away"),
        ([action("a", n=2, starts_at=THURSDAY)], "2 people will be called"),
        (
            [action("a", n=2, campaign="cmp_paused")],
            "2 people will be called not before their campaign is active",
        ),
        (
            [action("a", n=2), action("b", n=3, campaign="cmp_paused")],
            "called, 2 of them right away, 3 of them not before their campaign is active",
        ),
        (
            [action("a", ActionKind.RESUME, Reason.LIFECYCLE, n=90)],
            "Nobody new will be called, but up to 90 people who still wait in 1 resumed batch",
        ),
        ([changed("a", callees=Callees(to_call=9, at_most=True))], "Up to 9 people will be called"),
        ([action("a", ActionKind.MOVE, Reason.RENAMED)], "Nobody will be called"),
    ],
)
def test_how_many_people_are_called(actions: Sequence[Any], said: str) -> None:
    """The headline counts people, and what keeps them from being called."""
    assert said in calls(plan_of(*actions))
    assert said in headline(plan_of(*actions))


def test_the_question_before_anything_is_done() -> None:
    """Apply asks with the number of people, and whether any of them were called before."""
    assert asked(plan_of(action("a", n=2))) == "Call 2 people right away?"
    assert asked(plan_of(action("a", ActionKind.MOVE, Reason.RENAMED))) == "Nobody will be called."
    again = everyone("a", Callees(to_call=38, called=38, again=38))
    assert asked(plan_of(again)) == "Call 38 people right away, 38 of them AGAIN?"
    twice = replace(plan_of(action("a", n=2), action("b", n=2)), repeated=1)
    assert asked(twice) == "Make 4 calls to 3 people right away?"


def test_people_in_several_new_batches_are_not_counted_as_more_people() -> None:
    """Calls and people are told apart; who is called again is then known as an upper bound."""
    twice = replace(
        plan_of(action("a", n=2), everyone("b", Callees(to_call=4, again=4))), repeated=2
    )
    assert calls(twice) == "6 calls to 4 people will be made right away"
    assert again_warning(twice).startswith("UP TO 4 PEOPLE WILL BE CALLED AGAIN")
    assert "### 6 calls to 4 people will be made, the first right away" in plan_markdown(twice, NOW)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (action("a", n=500), "about 1 h 40 min of calling (2 min each, 10 at once); done about "),
        (action("a", n=12_000), "done on 5 days about "),
        (
            action("a", n=3, starts_at=THURSDAY + timedelta(days=2)),
            "from Mon 18 May 2026 09:00 Asia/Kolkata (03:30 UTC): the start is outside working ",
        ),
        (action("a", n=3, campaign="cmp_paused"), ""),
        (action("a", n=3, campaign="cmp_missing"), ""),
    ],
)
def test_an_estimate_in_words(one: Any, words: str) -> None:
    """How long, how many at once, until when; nothing where nobody knows."""
    plan = plan_of(one)
    found = estimate(plan, NOW, TWO_MINUTES)["a"]
    campaign = plan.campaigns.get(one.campaign_id)
    said = estimate_words(found, TWO_MINUTES, campaign.timezone if campaign else None)
    assert words in said
    assert bool(said) is bool(words)


def drawn(plan: Plan, width: int) -> str:
    """Give what a terminal of this width shows, without colours."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=False, color_system=None)
    console.print(plan_view(plan, NOW, TWO_MINUTES))
    return out.getvalue()


@pytest.mark.parametrize("width", [200, 100, 84, 83, 60, 30])
def test_a_terminal_shows_what_the_text_says(everything: Plan, width: int) -> None:
    """However wide it is, nothing is cut off, and what the plain text warns of is there."""
    shown = drawn(everything, width)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in shown
    words = " ".join(re.sub(r"[┏┓┗┛━┃]", " ", shown).split())
    if width >= 60:
        for fact in (
            "already called 120, still to call 380",
            "2 specs unchanged.",
            "resume it there",
        ):
            assert fact in words
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", shown), "no control characters"


def test_text_has_no_control_characters(everything: Plan) -> None:
    """Plain text neither."""
    text = plan_text(everything, NOW, TWO_MINUTES)
    assert NASTY not in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", text)


def test_days_beyond_the_first_few_are_one_bar() -> None:
    """A batch that calls on many days has a bar for each of the first, and one for the others."""
    plan = plan_of(action("long", n=40_000))
    chart = timeline(plan, estimate(plan, NOW, TWO_MINUTES))
    bars = re.findall(r"ong, (\S+ \S+|\d+ more days) :", chart)
    assert bars == ["40,000 people", "day 2", "day 3", "day 4", "10 more days"]


def test_batches_that_are_not_drawn_are_counted() -> None:
    """A diagram has room for so many batches; the sentence below counts the others."""
    plan = plan_of(*(action(f"n{n}", starts_at=THURSDAY) for n in range(MOST_BATCHES + 2)))
    chart = timeline(plan, estimate(plan, NOW, TWO_MINUTES))
    assert chart.count(" people :") == MOST_BATCHES
    assert chart.endswith(
        f"The first {MOST_BATCHES} batches; 2 more begin later and are not drawn."
    )


def test_nothing_is_drawn_where_nothing_is_known() -> None:
    """No times, no diagram."""
    plan = plan_of(action("a", campaign="cmp_missing"), action("b", campaign="cmp_paused"))
    assert timeline(plan, estimate(plan, NOW, TWO_MINUTES)) == ""


def test_without_a_limit_only_the_beginning_is_drawn() -> None:
    """Where nobody knows how many calls go out at once, there is a milestone and no bar."""
    plan = plan_of(action("a"))
    india = replace(plan.campaigns["cmp_india"], concurrency_limit=None)
    plan = replace(plan, campaigns={"cmp_india": india})
    chart = timeline(plan, estimate(plan, NOW, TWO_MINUTES))
    assert "#97;, 3 people :milestone, 2026-05-12 10:00, 0m" in chart


@pytest.mark.parametrize(
    ("moment_", "timezone", "said"),
    [
        (THURSDAY, "Asia/Kolkata", "Thu 14 May 2026 09:00 Asia/Kolkata (03:30 UTC)"),
        (
            THURSDAY,
            "America/New_York",
            "Wed 13 May 2026 23:30 America/New_York (Thu 14 May 03:30 UTC)",
        ),
        (THURSDAY, "UTC", "Thu 14 May 2026 03:30 UTC"),
        (THURSDAY, None, "Thu 14 May 2026 03:30 UTC"),
        (THURSDAY, "Middle/Earth", "Thu 14 May 2026 03:30 UTC"),
    ],
)
def test_moments(moment_: datetime, timezone: str | None, said: str) -> None:
    """The campaign's wall clock, and UTC with its day where that is another one."""
    assert moment(moment_, timezone) == said


def test_short_moments() -> None:
    """Beside one that says it all, year and timezone are left out."""
    assert clocks(THURSDAY, "Asia/Kolkata", short=True) == ("Thu 14 May 09:00", "03:30 UTC")
    assert clocks(THURSDAY, None, short=True) == ("", "Thu 14 May 03:30 UTC")


def test_numbers_of_things_and_spans() -> None:
    """Plurals, and spans without a zero at the end."""
    assert [counted(n, "batch") for n in (0, 1, 2)] == ["0 batches", "1 batch", "2 batches"]
    assert counted(2, "line of warnings") == "2 lines of warnings"
    assert [span(s) for s in (59, 120, 3_600, 5_400, 86_400, 93_600)] == [
        *("59 s", "2 min", "1 h", "1 h 30 min", "1 d", "1 d 2 h")
    ]
