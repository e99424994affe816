"""Encrypted lists: what is wrong with the key, what with the list; and the key is shown nowhere."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

import pyrage  # type: ignore[import-untyped]  # it has no types
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sources.conftest import Keys, Root

LIST = b"phone_number,callee_name\n+14155550100,Asha\n+14155550101,Ravi\n"


@pytest.fixture
def sealed(root: Root, keys: Keys) -> Root:
    """Give a root with an encrypted list, and its key in the environment."""
    root.write("may.csv.age", keys.seal(LIST))
    root.naming("may.csv.age")
    return root


def test_a_key_in_a_file(
    sealed: Root, keys: Keys, other_keys: Keys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file as `age-keygen` writes it holds keys, whichever of them the list is for."""
    path = tmp_path / "key.txt"
    comment = f"# created: 2026-05-12\n# public key: {keys.public}\n"
    path.write_text(f"{comment}{other_keys.secret}\n\n{keys.secret}\n", "utf-8")
    monkeypatch.delenv("RECONCILER_AGE_KEY")
    monkeypatch.setenv("RECONCILER_AGE_KEY_FILE", str(path))
    assert sealed.load().specs


def test_keys_from_both_places_are_tried(
    sealed: Root, keys: Keys, other_keys: Keys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A key that has been replaced may stand beside the new one."""
    (tmp_path / "key.txt").write_text(keys.secret, "utf-8")
    monkeypatch.setenv("RECONCILER_AGE_KEY", other_keys.secret)
    monkeypatch.setenv("RECONCILER_AGE_KEY_FILE", str(tmp_path / "key.txt"))
    assert sealed.load().specs


def test_an_ssh_key(root: Root, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What age encrypts for an SSH key, that key opens."""
    path = tmp_path / "ssh"
    generate = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(generate, check=True, stdin=subprocess.DEVNULL)
    public = pyrage.ssh.Recipient.from_str(path.with_suffix(".pub").read_text("utf-8"))
    root.write("may.csv.age", pyrage.encrypt(LIST, [public]))
    root.naming("may.csv.age")
    monkeypatch.setenv("RECONCILER_AGE_KEY_FILE", str(path))
    assert root.load().specs


def test_armour(root: Root, keys: Keys) -> None:
    """A list that was encrypted as text is opened too."""
    root.write("may.csv.age", pyrage.encrypt(LIST, [keys.public], True))  # noqa: FBT003 - its API
    root.naming("may.csv.age")
    assert root.load().specs


@pytest.mark.parametrize("value", [None, "", "  \n"])
def test_no_key(sealed: Root, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """Without a key an encrypted list is an error that says where keys are looked for."""
    monkeypatch.delenv("RECONCILER_AGE_KEY")
    if value is not None:
        monkeypatch.setenv("RECONCILER_AGE_KEY", value)
    said = sealed.said()
    assert said.startswith("batches/a.yaml:3:9: contacts.file: `may.csv.age`: ")
    assert "the list is encrypted, and there is no key" in said
    assert "RECONCILER_AGE_KEY_FILE" in said


@pytest.mark.parametrize(
    "value", ["AGE-SECRET-KEY-1SWORDFISH", "age1swordfish", "swordfish", "# a comment alone"]
)
def test_what_is_no_key(sealed: Root, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """What is no key is not shown, since it may be most of one."""
    monkeypatch.setenv("RECONCILER_AGE_KEY", value)
    said = sealed.said()
    assert "RECONCILER_AGE_KEY holds no key that age could take" in said
    assert "swordfish" not in said.lower()


def test_a_key_file_that_is_not_there(
    sealed: Root, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A key file that cannot be read is named."""
    monkeypatch.setenv("RECONCILER_AGE_KEY_FILE", str(tmp_path / "nothing.txt"))
    said = sealed.said()
    assert "nothing.txt cannot be read: no such file or directory" in said


def test_another_key(sealed: Root, other_keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key that the list is not for, that is said, with what one would encrypt it for."""
    monkeypatch.setenv("RECONCILER_AGE_KEY", other_keys.secret)
    said = sealed.said()
    assert "the list is encrypted for another key" in said
    assert str(other_keys.public) in said
    assert other_keys.secret not in said


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(where=st.integers(0, 10_000), how=st.sampled_from(["cut", "flip", "insert", "append"]))
def test_a_list_that_was_touched_is_refused(root: Root, keys: Keys, where: int, how: str) -> None:
    """Whatever byte is lost, changed or added, nothing of the list is used; it is said why."""
    data = keys.seal(LIST)
    at = where % len(data)
    damaged = {
        "cut": data[:at],
        "flip": data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :],
        "insert": data[:at] + b"x" + data[at:],
        "append": data + b"x",
    }[how]
    root.write("may.csv.age", damaged)
    root.naming("may.csv.age")
    said = root.said()
    assert any(
        message in said
        for message in (
            "the encrypted list is damaged or cut short",
            "the list is encrypted for another key",
            "is not encrypted with age",
        )
    ), said
    assert keys.secret not in said


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (LIST, "the list is not encrypted with age, in spite of its name"),
        (b"", "the list is not encrypted with age, in spite of its name"),
        (
            b"age-encryption.org/v1\n-> scrypt c2FsdA 18\nx\n--- x\n",
            "the list is encrypted with a passphrase, not for a key",
        ),
    ],
    ids=["plain", "empty", "passphrase"],
)
def test_what_is_not_encrypted_for_a_key(root: Root, keys: Keys, data: bytes, message: str) -> None:
    """What no key could open is said to be that."""
    assert keys.secret
    root.write("may.csv.age", data)
    root.naming("may.csv.age")
    assert message in root.said()


def test_pins_are_of_what_lies_there(sealed: Root, keys: Keys) -> None:
    """A list that was encrypted anew is another file, though it says the same."""
    data = (sealed.path / "may.csv.age").read_bytes()
    sealed.naming("may.csv.age", f"sha256: {hashlib.sha256(data).hexdigest()}\ncount: 2")
    assert sealed.load().specs
    sealed.write("may.csv.age", keys.seal(LIST))
    assert "is not the list that was pinned" in sealed.said()


def test_a_changed_list_is_told_without_a_key(
    sealed: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a pin holds can be told by who cannot open the list."""
    monkeypatch.delenv("RECONCILER_AGE_KEY")
    sealed.naming("may.csv.age", f"sha256: {'0' * 64}\ncount: 2")
    said = sealed.said()
    assert "is not the list that was pinned" in said
    assert "it cannot be read, and had 2 contacts" in said


def test_mistakes_within_are_said_at_their_lines(root: Root, keys: Keys) -> None:
    """Lines and columns are those of the list itself, and numbers are masked as ever."""
    root.write("may.csv.age", keys.seal(LIST + b"4155550102,Meera\n"))
    root.naming("may.csv.age")
    said = root.said()
    assert said.startswith("batches/may.csv.age:4:1: contacts[2].phone_number: `415*****02`")


def test_without_secrets_nothing_is_opened(
    sealed: Root, monkeypatch: pytest.MonkeyPatch, reconciler: Callable[..., tuple[int, str]]
) -> None:
    """A check without secrets needs no key."""
    monkeypatch.delenv("RECONCILER_AGE_KEY")
    status, said = reconciler("validate", "--without-secrets")
    assert status == 0
    assert "`may.csv.age` is encrypted, and was not read" in said
    assert sealed.path.exists()
    assert reconciler("validate")[0] == 1
