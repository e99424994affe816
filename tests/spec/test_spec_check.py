"""The quick way to check a spec says what the models say, or leaves it to them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler.spec import check
from reconciler.spec.lists.list_model import ContactsFile
from reconciler.spec.lists.list_rules import ListFile, list_file
from reconciler.spec.models import BatchSpec, Reconcile
from reconciler.spec.problems import Collector
from reconciler.spec.yaml.documents import read_document
from reconciler.spec.yaml.scalars import Plain, Unfit

if TYPE_CHECKING:
    from tests.spec.conftest import Root

SOUND = sorted((Path(__file__).parent / "sound").glob("*.yaml"))

_WORDS = ["", " ", "~", "null", "Null", "cmp_1", "org a", "a/b", "../x", "É", "E\u0301", "a\u200bb"]
_NUMBERS = ["0", "1", "-1", "+7", "007", "10", "1e3", "1_000", "0x10", "9" * 19, "9" * 25, "1.0"]
_TIMES = ["2036-05-12T09:00:00", "2036-05-12 09:00", "2036-05-12T09:00+05:30", "2036-05-12", "9:00"]
_CHOICES = ["active", "paused", "cancelled", "pausd", "remaining", "everyone", "forbid", "Added"]
_text = st.sampled_from([*_WORDS, *_NUMBERS, *_TIMES, *_CHOICES])
_scalar = st.one_of(_text, _text.map(Plain))
_value = st.recursive(
    _scalar,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["a", "reconciler", "max_contacts", "file"]), inner),
    ),
    max_leaves=4,
)
_good_list = {
    "file": st.sampled_from(["a.csv", "s3://b/c.jsonl.age", Plain("a.csv")]),
    "columns": st.sampled_from([{"callee_name": Plain("Name")}, {Plain("a"): " b "}, Plain("~")]),
    "other_columns": st.sampled_from(["keep", Plain("drop")]),
    "call_variables": st.sampled_from([{"a": Plain("~")}, {Plain("callee_name"): "A"}, {}]),
    "sha256": st.sampled_from(["A" * 64, Plain("0" * 64)]),
    "count": st.sampled_from(["1", "+7"]).map(Plain),
}
_good: dict[str, st.SearchStrategy[Any]] = {
    "campaign_id": st.sampled_from(["cmp_1", Plain("12")]),
    "contacts": st.deferred(lambda: st.one_of(st.just([]), _list)),
    "organization_id": st.sampled_from(["org", Plain("~")]),
    "scheduled_start": st.sampled_from(_TIMES[:3]).map(Plain),
    "concurrency_limit": st.sampled_from(["1", "10", "+7", "~"]).map(Plain),
    "max_retries_override": st.sampled_from(["0", "3"]).map(Plain),
    "call_context": st.just({"a": Plain("1")}),
    "metadata": st.just({"a": Plain("1")}),
}
_good_section = {
    "name": st.sampled_from(["a/b", "É", "E\u0301"]).map(Plain),
    "lifecycle": st.sampled_from(_CHOICES[:3]).map(Plain),
    "on_change": st.sampled_from(_CHOICES[4:7]).map(Plain),
    "split": st.sampled_from([{"max_contacts": Plain("5")}, Plain("null")]),
}


def _mostly(good: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw mappings in which most fields are sound."""
    names = [*good, "unknown"]
    return st.lists(st.sampled_from(names), unique=True).flatmap(
        lambda some: st.fixed_dictionaries(
            {
                name: st.one_of([good[name]] * 6 + [_value]) if name in good else _value
                for name in some
            }
        )
    )


_list: st.SearchStrategy[dict[str, Any]] = _mostly(_good_list).map(
    lambda written: {"file": "a.csv", **written}
)
_document = st.builds(
    lambda top, section, both: (
        {"campaign_id": "cmp_1", "contacts": [], **top} | ({"reconcile": section} if both else {})
    ),
    _mostly(_good),
    st.one_of([_mostly(_good_section)] * 4 + [_value]),
    st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(_document)
def test_both_ways_say_the_same(document: dict[str, Any]) -> None:
    """What the quick way takes, the models take, and read the same out of it."""
    collector = Collector()
    thorough = check._thoroughly(document, collector)
    try:
        quick = check._quickly(document)
    except (Unfit, KeyError):
        return
    assert not collector
    assert quick == thorough
    assert list(quick.fields) == list(thorough.fields)


@settings(max_examples=150, deadline=None)
@given(_document)
def test_a_sound_document_is_checked_quickly(document: dict[str, Any]) -> None:
    """The models are asked only for what is wrong, or of a kind that the quick way leaves out."""
    if check._thoroughly(document, Collector()) is None:
        return
    section = document.get("reconcile")
    if isinstance(section, dict) and "unknown" in section:
        return
    assert check._quickly(document) is not None


@pytest.mark.parametrize("path", SOUND, ids=[path.stem for path in SOUND])
def test_sound_files_are_checked_alike(path: Path) -> None:
    """Real files, with every notation there is, are read alike on both ways."""
    document = read_document(path.read_bytes().removeprefix(b"\xef\xbb\xbf")).document
    assert document is not None
    thorough = check._thoroughly(document.value, Collector())
    assert thorough is not None
    assert check._quickly(document.value) == thorough


@settings(max_examples=300, deadline=None)
@given(_mostly(_good_list))
def test_both_ways_name_the_same_list(written: dict[str, Any]) -> None:
    """What is read of a list's name without its model is what the model reads; or it is left."""
    try:
        thorough = ContactsFile.model_validate(written).plain()
    except ValidationError:
        thorough = None
    try:
        quick = list_file(written)
    except (Unfit, KeyError):
        assert thorough is None or "unknown" in written
    else:
        assert quick == thorough
        assert [*map(type, quick.call_variables)] == [str] * len(quick.call_variables)


def test_the_quick_way_knows_no_field_that_the_models_do_not() -> None:
    """A field that is taken away is so in both; a new one is the models' at first."""
    assert set(check._TOP) <= set(BatchSpec.model_fields)
    assert set(check._TOOL) <= set(Reconcile.model_fields)
    assert set(check.SENT) <= set(check._TOP)
    assert set(ListFile.__struct_fields__) == set(ContactsFile.model_fields)


@pytest.mark.parametrize("listed", [False, True])
def test_a_sound_spec_needs_no_model(root: Root, listed: bool) -> None:  # noqa: FBT001 - a case
    """Reading a sound spec imports no pydantic, which would be most of what a small plan takes."""
    root.spec("reconcile: {name: a, lifecycle: paused, split: {max_contacts: 5}}\n")
    if listed:
        root.write("a.csv", "phone_number,callee_name\n+919876543210,Asha\n")
        root.write("one.yaml", "campaign_id: cmp_1\ncontacts: {file: a.csv, count: 1}\n")
    program = (
        "import sys; from pathlib import Path\n"
        "from reconciler.spec.load import load_specs\n"
        "assert load_specs(Path(sys.argv[1])).specs; assert 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(root.path)], check=True)
