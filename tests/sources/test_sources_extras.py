"""Whoever needs a library is told how to get it; whoever does not never loads it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.spec.lists.list_model import ContactsFile
from reconciler.spec.model_errors import model_problems

if TYPE_CHECKING:
    from tests.sources.conftest import Keys, Root, Store

PACKAGE = Path(__file__).parents[2] / "reconciler"
LIST = b"phone_number,callee_name\n+14155550100,Asha\n"
PIN = f"sha256: {'0' * 64}\ncount: 1"
EXTRAS = {"obstore": "remote", "pyrage": "age", "pyarrow": "parquet"}


@pytest.mark.parametrize(
    ("library", "file"),
    [
        ("obstore", "s3://lists/may.csv"),
        ("pyrage", "may.csv.age"),
        ("pyarrow", "may.parquet"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    root: Root, monkeypatch: pytest.MonkeyPatch, library: str, file: str
) -> None:
    """A list that needs an extra says what to install, at the field that names it."""
    monkeypatch.setitem(sys.modules, library, None)
    root.write("may.csv.age", LIST)
    root.write("may.parquet", LIST)
    root.naming(file, PIN if "://" in file else "")
    said = root.said()
    extra = EXTRAS[library]
    assert said.startswith("batches/a.yaml:3:9: contacts.file: ")
    assert f"needs the extra `{extra}`" in said
    assert said.endswith(f"pip install 'call-batch-reconciler[{extra}]'")


def test_a_library_has_one_door() -> None:
    """Each of these libraries is imported in one module, and only where a list needs it."""
    doors: dict[str, list[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text("utf-8")
        for library in EXTRAS:
            if re.search(rf"^\s*(?:import|from) {library}\b", text, re.MULTILINE):
                doors.setdefault(library, []).append(path.name)
            assert not re.search(rf"^(?:import|from) {library}\b", text, re.MULTILINE)
    expected = {"obstore": "remote.py", "pyrage": "sealed.py", "pyarrow": "parquet_list.py"}
    assert doors == {library: [module] for library, module in expected.items()}


def test_who_needs_none_loads_none(root: Root) -> None:
    """A root of CSV and JSONL lists loads none of the libraries."""
    root.write("may.csv", LIST)
    root.write("may.jsonl", b'{"phone_number": "+14155550100", "callee_name": "Asha"}')
    root.naming("may.csv")
    root.naming("may.jsonl", name="b.yaml")
    script = (
        "import sys; from pathlib import Path; from reconciler.spec.load import load_specs\n"
        f"assert len(load_specs(Path({str(root.path)!r})).specs) == 2\n"
        f"print(sorted(set(sys.modules) & {set(EXTRAS)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert done.stdout.strip() == b"[]"


def test_a_pinned_list_below_the_root(root: Root, keys: Keys, store: Store) -> None:
    """A pin is held to for lists below the root too, and nothing is fetched for it."""
    assert keys.secret
    root.write("may.csv", LIST)
    root.naming("may.csv", PIN)
    assert "is not the list that was pinned" in root.said()
    assert store.asked == []


def test_fields_of_a_list_have_errors_of_their_own() -> None:
    """Every mistake in the fields is reported, not the first."""
    from pydantic import ValidationError  # noqa: PLC0415 - here only

    with pytest.raises(ValidationError) as caught:
        ContactsFile.model_validate(
            {"file": "a.csv", "sha256": "x", "count": "1e3", "call_variables": {"a": [], "b": {}}}
        )
    paths = [problem.path for problem in model_problems(caught.value, ContactsFile)]
    assert paths == [
        ("call_variables", "a"),
        ("call_variables", "b"),
        ("sha256",),
        ("count",),
    ]
