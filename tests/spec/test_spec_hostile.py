"""Files that want to harm: none may crash, hang, take all memory or slip through."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reconciler.errors import Usage
from reconciler.model import Severity
from reconciler.spec import source
from reconciler.spec.load import load_specs

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.model import Diagnostic
    from tests.spec.conftest import Root

MB = 1_000_000
HEAD = b"campaign_id: cmp_abc123\n"
ROW = b'- {phone_number: "+1415%07d", call_variables: {callee_name: A}}\n'
PATIENCE = 20
"""Seconds after which something is quadratic: each of these takes about one."""

HUGE = {
    "brackets": (b"[" * 200_000, "a list where"),
    "braces": (b"{" * 200_000, "a collection or an alias"),
    "brackets below metadata": (HEAD + b"metadata: " + b"[" * 200_000, "more than 64 deep"),
    "brackets below contacts": (HEAD + b"contacts: " + b"[" * 200_000, "more than 64 deep"),
    "mappings below contacts": (HEAD + b"contacts: [" + b"{a: " * 200_000, "more than 64 deep"),
    "dashes": (b"- " * 200_000, "a list where"),
    "questions": (b"? " * 200_000, "a collection or an alias"),
    "aliases": (b"*a " * 5 * MB, "an alias"),
    "colons": (b"a: " * 10 * MB, "a `:` stands"),
    "one long text": (HEAD + b"note: " + b"x" * 50 * MB, "unknown field `note`"),
    "one long name": (b"x" * 50 * MB + b": 1", "one text where"),
    "a long number": (
        HEAD + b"contacts: [{phone_number: '" + b"1" * 50 * MB + b"'}]",
        "is too long: more than 100 characters",
    ),
    "entries that are no contacts": (HEAD + b"contacts: [" + b"a," * 10 * MB, "are no contacts"),
    "values below metadata": (HEAD + b"metadata: [" + b"a," * 10 * MB, "more than 100,000 values"),
    "more than the limit": (b"#" * (source.MAX_YAML + 1), "at most 67,108,864 are read"),
}


@pytest.mark.parametrize(("content", "said"), HUGE.values(), ids=list(HUGE))
def test_huge_files_get_an_answer_soon(root: Root, content: bytes, said: str) -> None:
    """Nesting that crashes loaders and lines of 50 MB are refused within seconds, by name."""
    root.write("a.yaml", content)
    start = time.monotonic()
    loaded = root.load()
    assert time.monotonic() - start < PATIENCE
    assert not loaded.specs
    assert any(said in one.message for one in loaded.diagnostics), loaded.diagnostics[:3]


def test_many_alike_errors_stay_readable(root: Root) -> None:
    """Of 12,000 alike errors the first 20 are shown, and the rest are counted in one more."""
    rows = b"".join(
        b"- {phone_number: 1415%07d, call_variables: {callee_name: A}}\n" % i for i in range(12_000)
    )
    root.write("a.yaml", HEAD + b"contacts:\n" + rows)
    diagnostics = root.load().diagnostics
    assert len(diagnostics) == 21
    assert [one.line for one in diagnostics[:20]] == list(range(3, 23))
    assert "and 11,980 more like this, from here on: does not begin with" in diagnostics[20].message


def test_fifty_alike_errors_are_all_shown(root: Root) -> None:
    """Up to fifty errors of a kind, each is shown at its own line."""
    rows = b"".join(
        b"- {phone_number: 1415%07d, call_variables: {callee_name: A}}\n" % i for i in range(50)
    )
    root.write("a.yaml", HEAD + b"contacts:\n" + rows)
    assert len(root.load().diagnostics) == 50


def test_one_bad_number_in_a_long_list_is_found(root: Root) -> None:
    """The one bad number among 20,000 good ones is reported at its own line, in both forms."""
    good = b"".join(ROW % i for i in range(20_000))
    root.write(
        "a.yaml",
        HEAD + b"contacts:\n" + good + b"- {phone_number: 1, call_variables: {callee_name: A}}\n",
    )
    (one,) = root.load().diagnostics
    assert (one.line, one.field) == (20_003, "contacts[20000].phone_number")


def test_two_numbers_in_one_value_do_not_pass_as_two_contacts(
    check: Callable[[str | bytes], tuple[Diagnostic, ...]],
) -> None:
    """A line break between two good numbers does not make one value look like two numbers."""
    content = HEAD + rb'contacts: [{phone_number: "+14155550100\n+14155550101", call_variables: '
    (one,) = check(content + b"{callee_name: A}}]\n")
    assert "line break" in one.message


def test_a_named_pipe_is_refused_without_waiting(root: Root) -> None:
    """A FIFO named like a spec is an error; nobody waits for what may come out of it."""
    os.mkfifo(root.path / "x.yaml")
    (one,) = root.load().diagnostics
    assert "a named pipe, not a file" in one.message


def test_a_list_that_is_a_named_pipe_is_refused_without_waiting(root: Root) -> None:
    """A FIFO named like a contact list is an error too."""
    os.mkfifo(root.path / "x.csv")
    root.write("a.yaml", HEAD + b"contacts: {file: x.csv}\n")
    (one,) = root.load().diagnostics
    assert "a named pipe, not a file" in one.message


def test_a_broken_symlink_is_an_error(root: Root) -> None:
    """A symlink to nothing is said, not passed over."""
    (root.path / "x.yaml").symlink_to("nowhere.yaml")
    (one,) = root.load().diagnostics
    assert "points at nothing" in one.message


def test_a_spec_outside_of_the_root_is_refused(root: Root, tmp_path: Path) -> None:
    """A symlink out of the root is no spec, however sound what it points at is."""
    root.spec(name="../outside.yaml")
    (root.path / "x.yaml").symlink_to(tmp_path / "outside.yaml")
    loaded = root.load()
    assert not loaded.specs
    assert "out of the batches root" in loaded.diagnostics[0].message


def test_a_list_outside_of_the_root_is_refused(root: Root, tmp_path: Path) -> None:
    """A symlink out of the root is no contact list."""
    (tmp_path / "secret.csv").write_text("phone_number,callee_name\n+14155550100,Asha\n")
    (root.path / "x.csv").symlink_to(tmp_path / "secret.csv")
    root.write("a.yaml", HEAD + b"contacts: {file: x.csv}\n")
    (one,) = root.load().diagnostics
    assert "symlink out of the batches root" in one.message


def test_a_symlinked_directory_is_not_followed_but_said(root: Root, tmp_path: Path) -> None:
    """A symlink to a directory (even one that leads in a circle) is a warning."""
    root.spec()
    (root.path / "circle").symlink_to(root.path)
    (root.path / "away").symlink_to(tmp_path)
    loaded = root.load()
    assert [spec.name for spec in loaded.specs] == ["a"]
    assert [one.severity for one in loaded.diagnostics] == [Severity.WARNING] * 2


def test_an_unreadable_file_is_an_error_of_that_file(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file without read permission is said, and the others are read."""
    root.spec(name="a.yaml")
    root.spec(name="b.yaml")
    real = os.open

    def refusing(path: str, flags: int) -> int:
        if str(path).endswith("a.yaml"):
            raise PermissionError(13, "Permission denied")
        return real(path, flags)

    monkeypatch.setattr("reconciler.spec.source.os.open", refusing)
    loaded = root.load()
    assert [spec.name for spec in loaded.specs] == ["b"]
    assert "cannot be read: permission denied" in loaded.diagnostics[0].message
    assert "permissions" in loaded.diagnostics[0].hint


def test_file_names_cannot_forge_lines(root: Root) -> None:
    """Line breaks and bytes that are no text in a file's name are escaped in diagnostics."""
    root.write("a\nb.yaml", b"x: 1\n")
    (Path(os.fsdecode(os.fsencode(root.path) + b"/\xff.yaml"))).write_bytes(b"x: 1\n")
    for one in root.load().diagnostics:
        assert one.file.isprintable()
        assert (one.file + one.message + one.hint).encode()


def test_a_missing_root_is_a_usage_error(tmp_path: Path) -> None:
    """No directory, no specs: the error says which one, and what to do."""
    with pytest.raises(Usage, match="`batches` does not exist") as caught:
        load_specs(tmp_path / "nowhere", shown="batches")
    assert "--batches" in caught.value.hint


def test_a_root_that_is_a_file_is_a_usage_error(root: Root) -> None:
    """A file in place of the root is named as such."""
    with pytest.raises(Usage, match="is not a directory"):
        load_specs(root.spec())


def test_an_empty_root_is_fine(root: Root) -> None:
    """Nothing to reconcile is no error."""
    loaded = root.load()
    assert (loaded.specs, loaded.diagnostics, loaded.files) == ((), (), 0)


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@example(b"\xff\xfe\x00")
@example(b"%TAG ! tag:x,2000:\n--- !a b\n")
@example(b"contacts: [{? }]")
@example(b"a: &x\n*x : 1\n")
@example(b"? \n")
@example(b"contacts:\n- call_variables: {<<: 1}\n")
@given(
    st.binary(max_size=200)
    | st.text(alphabet="ab:-?[]{},&*!|>'\"%@`#\\\n\t ~<+0159cotaspne_", max_size=80).map(str.encode)
)
def test_no_bytes_raise(root: Root, content: bytes) -> None:
    """Whatever bytes a spec or a list is made of, reading ends with diagnostics and no spec."""
    root.write("a.yaml", content)
    root.write("b.yaml", HEAD + b"contacts: {file: b.csv}\n")
    root.write("b.csv", content)
    root.write("c.yaml", HEAD + b"contacts: {file: c.csv}\n")
    root.write("c.csv", b"phone_number,callee_name\n" + content)
    loaded = root.load()
    assert not loaded.specs
    assert {one.file for one in loaded.diagnostics} >= {"batches/a.yaml"}
    assert len(loaded.diagnostics) >= 3


def test_symlinks_to_themselves_are_errors_beside_all_others(root: Root) -> None:
    """A loop is told at its place, whatever it stands for, and hides nothing else."""
    head = "campaign_id: cmp_abc123\n"
    root.write("list.yaml", f"{head}contacts: {{file: contacts/l.csv}}\n")
    root.write("deep.yaml", f"{head}contacts: {{file: loop/l.csv}}\n")
    root.write("long.yaml", f"{head}contacts: {{file: {'x' * 300}.csv}}\n")
    root.spec(name="sound.yaml")
    (root.path / "contacts").mkdir()
    for name in ("contacts/l.csv", "loop", "spec.yaml"):
        (root.path / name).symlink_to(Path(name).name)
    loaded = root.load()
    assert [spec.name for spec in loaded.specs] == ["sound"]
    assert [(one.file, one.message.partition("`")[2][:14]) for one in loaded.diagnostics] == [
        ("batches/deep.yaml", "loop/l.csv` be"),
        ("batches/list.yaml", "contacts/l.csv"),
        ("batches/long.yaml", "x" * 14),
        ("batches/spec.yaml", ""),
    ]
    assert "points at nothing" in loaded.diagnostics[1].message
    assert "points at nothing" in loaded.diagnostics[3].message
