"""Loading: names, digests, places, and that form is no content."""

from __future__ import annotations

import csv
import gc
import io
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from ruamel.yaml import YAML

from reconciler.model import Lifecycle, OnChange
from reconciler.spec.load import load_specs
from reconciler.spec.locate import locate
from reconciler.spec.yaml.events import (
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    events,
)
from reconciler.spec.yaml.scalars import Plain

if TYPE_CHECKING:
    from tests.spec.conftest import Root

REPOSITORY = Path(__file__).parents[2]
HEAD = "campaign_id: cmp_abc123\n"
FILE = HEAD + "contacts: {file: a.csv}\n"
PINNED = "v1:7768276603ed6debd3030c2ae4e6c6cf242fee087223d040d6d0c940229f5b95"
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

# Text that has the same form in a cell and in a quoted scalar: nothing blank at its ends.
_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cn", "Cs", "Zl", "Zp")), max_size=12
).map(lambda text: text.strip(" \t"))
_PEOPLE = st.dictionaries(
    st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True),
    st.tuples(_TEXT.filter(str.strip), _TEXT),
    min_size=1,
    max_size=5,
)


def test_the_c_parser_is_there() -> None:
    """Specs are read by the C event stream: pure Python would take twenty times as long."""
    parser = getattr(events(b""), "__self__")  # noqa: B009 - a callable need not be bound
    assert type(parser).__module__.endswith("_ruamel_yaml")


def test_the_c_parser_gives_our_records() -> None:
    """It takes them for most events: with ruamel's own, reading takes twice as long."""
    get = events(b"'a' : !t &b c")
    _, _, start, key, value, end = (get() for _ in range(6))
    kinds = (MappingStartEvent, ScalarEvent, ScalarEvent, MappingEndEvent)
    assert tuple(map(type, (start, key, value, end))) == kinds
    assert all(issubclass(kind, Struct) for kind in kinds)
    assert (start.anchor, start.tag, start.flow_style, start.start_mark.column) == (
        None,
        None,
        False,
        0,
    )
    assert (key.value, key.style, key.anchor, key.tag) == ("a", "'", None, None)
    assert (value.value, value.style, value.anchor, str(value.tag)) == ("c", "", "b", "!t")
    assert (value.start_mark.line, value.start_mark.column, end.start_mark.column) == (0, 6, 0)


def test_the_examples_are_sound() -> None:
    """What the repository shows as examples loads without a word."""
    loaded = load_specs(REPOSITORY / "batches")
    assert not loaded.diagnostics
    assert {spec.name for spec in loaded.specs} >= {"examples/welcome", "renewals/2035-05"}


def test_a_spec_is_compiled_with_all_its_fields(root: Root) -> None:
    """Every field of the API arrives in the request, and the tool's own stay out of it."""
    root.spec(
        "organization_id: org_1\nscheduled_start: 2026-05-12 09:00\nconcurrency_limit: 10\n"
        "max_retries_override: 0\ncall_context: {a: 1}\nmetadata: {b: [true, x]}\n"
        "reconcile: {name: my/name, lifecycle: cancelled, on_change: added}\n",
        "deep/er/file.yml",
    )
    (spec,) = root.load().specs
    assert (spec.name, spec.path, spec.file) == (
        "my/name",
        "deep/er/file.yml",
        "batches/deep/er/file.yml",
    )
    assert (spec.lifecycle, spec.on_change) == (Lifecycle.CANCELLED, OnChange.ADDED)
    assert spec.scheduled_start_at == (6, 18)
    (request,) = spec.requests
    assert request.part == 1
    assert request.fields == {
        "campaign_id": "cmp_abc123",
        "organization_id": "org_1",
        "scheduled_start": "2026-05-12T09:00:00",
        "concurrency_limit": 10,
        "max_retries_override": 0,
        "call_context": {"a": 1},
        "metadata": {"b": [True, "x"]},
    }
    assert all(type(value) is not Plain for value in request.fields.values())


def test_the_digest_of_a_spec_is_pinned(root: Root) -> None:
    """A digest that moved would call everybody again: this one stays for ever."""
    root.spec("scheduled_start: 2026-05-12 09:00\nmetadata: {a: 1}\n")
    (spec,) = root.load().specs
    assert spec.requests[0].digest == PINNED


def test_ignored_names(root: Root) -> None:
    """What begins with `_` or `.` is ignored, directories too."""
    for name in ("_a.yaml", ".b.yaml", "_d/c.yaml", ".d/e.yaml", "notes.txt", "state.json"):
        root.write(name, "[")
    assert root.load().files == 0


def test_two_spellings_of_a_name_are_one(root: Root) -> None:
    """A name is the same whichever way a file system spells its accents."""
    root.spec(name="caf\u00e9.yaml")
    root.spec(name="cafe\u0301.yaml")
    loaded = root.load()
    assert not loaded.specs
    assert "belongs to" in loaded.diagnostics[0].message


def test_collecting_garbage_goes_on_after_loading(root: Root) -> None:
    """Loading pauses the garbage collector and puts it back as it was."""
    root.spec()
    root.load()
    assert gc.isenabled()


@QUICK
@given(people=_PEOPLE, seed=st.integers())
def test_inline_and_csv_lists_are_the_same(
    root: Root, people: dict[str, tuple[str, str]], seed: int
) -> None:
    """The same people give the same digest from YAML and from CSV, in whatever order."""
    contacts = []
    for number, (name, plan) in people.items():
        variables = {"callee_name": name, **({"plan": plan} if plan else {})}
        contacts.append({"phone_number": number, "call_variables": variables})
    root.write("a.yaml", HEAD + _yaml({"contacts": contacts}))
    rows = list(people.items())
    random.Random(seed).shuffle(rows)  # noqa: S311 - nothing secret
    table = io.StringIO()
    writer = csv.writer(table, delimiter=";")
    writer.writerow(["plan", "phone_number", "callee_name"])
    writer.writerows([plan, number, name] for number, (name, plan) in rows)
    root.write("b.csv", table.getvalue())
    root.write("b.yaml", HEAD + "contacts: {file: b.csv}\n")
    loaded = root.load()
    assert not loaded.diagnostics
    inline, listed = loaded.specs
    assert inline.requests[0].digest == listed.requests[0].digest


@QUICK
@given(people=_PEOPLE, seed=st.integers())
def test_form_is_no_content(root: Root, people: dict[str, tuple[str, str]], seed: int) -> None:
    """The order of keys and contacts, quotes, comments and line ends change no digest."""
    contacts = [
        {"phone_number": number, "call_variables": {"callee_name": name, "plan": plan}}
        for number, (name, plan) in people.items()
    ]
    metadata = {"a": 1, "b": [True, None], "c": "x"}
    document = {"campaign_id": "cmp_abc123", "contacts": contacts, "metadata": metadata}
    root.write("a.yaml", _yaml(document))
    mixed = random.Random(seed)  # noqa: S311 - nothing secret
    # JSON is YAML: quotes everywhere, braces in place of indentation.
    written = json.dumps(_shuffled(document, mixed), ensure_ascii=False, indent=seed % 3 or None)
    root.write("b.yaml", ("# A comment.\n" + written).replace("\n", "\r\n"))
    loaded = root.load()
    assert not loaded.diagnostics
    one, other = loaded.specs
    assert one.requests[0].digest == other.requests[0].digest


def _shuffled(value: Any, mixed: random.Random) -> Any:
    """Reorder mappings everywhere, and contacts."""
    if isinstance(value, dict):
        items = [(key, _shuffled(inner, mixed)) for key, inner in value.items()]
        mixed.shuffle(items)
        shuffled = dict(items)
        mixed.shuffle(shuffled.get("contacts", []))
        return shuffled
    return [_shuffled(inner, mixed) for inner in value] if isinstance(value, list) else value


def _yaml(value: Any) -> str:
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.width = 10_000
    out = io.StringIO()
    writer.dump(value, out)
    return out.getvalue()


def test_an_unquoted_number_keeps_its_plus(root: Root) -> None:
    """The classic trap: to YAML `+14155550100` is an integer; here it is the text as written."""
    root.write(
        "a.yaml",
        HEAD + "contacts:\n- phone_number: +14155550100\n  call_variables: {callee_name: No}\n",
    )
    (spec,) = root.load().specs
    assert list(spec.requests[0].contacts) == [
        {"phone_number": "+14155550100", "call_variables": {"callee_name": "No"}}
    ]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("contacts", 1, "phone_number"), (6, 19)),
        (("contacts", 1, "call_variables", "callee_name"), (7, 35)),
        (("contacts", 1, "call_variables", "nothing"), (7, 5)),
        (("contacts", 7), (2, 1)),
        (("campaign_id",), (1, 14)),
        (("metadata", "b", 1), (8, 19)),
        (("concurrency_limit",), (1, 1)),
        ((), (0, 0)),
    ],
)
def test_a_part_of_an_inline_request_is_located(
    root: Root, path: tuple[str | int, ...], place: tuple[int, int]
) -> None:
    """What the API complains about is found at its own line, or at the nearest thing above."""
    root.write(
        "a.yaml",
        HEAD + "contacts:\n"
        "  - phone_number: +14155550100\n    call_variables: {callee_name: Asha}\n\n"
        "  - phone_number: +14155550101\n    call_variables: {callee_name: Ravi}\n"
        "metadata: {b: [1, 2]}\n",
    )
    (spec,) = root.load().specs
    assert locate(root.path, spec, path) == ("batches/a.yaml", *place)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("contacts", 0, "phone_number"), ("batches/a.csv", 3, 9)),
        (("contacts", 0, "call_variables", "callee_name"), ("batches/a.csv", 2, 1)),
        (("contacts", 1, "phone_number"), ("batches/a.csv", 5, 15)),
        (("contacts", 1, "call_variables", "nothing"), ("batches/a.csv", 5, 1)),
        (("contacts", 9, "phone_number"), ("batches/a.csv", 1, 1)),
        (("contacts",), ("batches/a.yaml", 2, 11)),
        (("campaign_id",), ("batches/a.yaml", 1, 14)),
    ],
)
def test_a_part_of_a_listed_request_is_located(
    root: Root, path: tuple[str | int, ...], place: tuple[str, int, int]
) -> None:
    """A contact of a CSV list is found in that file, cells with line breaks counted right."""
    root.write("a.yaml", FILE)
    root.write(
        "a.csv",
        'callee_name,phone_number,v\n"Asha\n""R"" ",+14155550100,x\n\n"Ravi, Mehta",'
        "+14155550101,y\n",
    )
    (spec,) = root.load().specs
    assert locate(root.path, spec, path) == place


def test_a_file_that_is_gone_is_located_as_a_whole(root: Root) -> None:
    """Between planning and an answer of the API files may vanish; locating does not fail."""
    path = root.spec()
    (spec,) = root.load().specs
    path.unlink()
    assert locate(root.path, spec, ("contacts", 0)) == ("batches/a.yaml", 0, 0)


def test_a_quoted_merge_key_is_a_name_like_any_other(root: Root) -> None:
    """The slow pass reads what only looks odd, and its texts below `contacts` stay text."""
    root.spec('metadata: {"<<": 1}\n')
    (spec,) = root.load().specs
    assert spec.requests[0].fields["metadata"] == {"<<": 1}
    assert type(spec.requests[0].contacts[0]["phone_number"]) is str
    assert type(spec.requests[0].contacts[0]["call_variables"]["callee_name"]) is str


def test_a_character_that_yaml_refuses_is_named_with_its_place(root: Root) -> None:
    """U+FFFE is no control character, but YAML takes it nowhere."""
    root.write("a.yaml", "# é\ncampaign_id: ab\ufffec\n")
    (one,) = root.load().diagnostics
    assert (one.line, one.column) == (2, 16)
    assert "U+FFFE" in one.message
