"""Lists that lie elsewhere: what the network can do to them, and what nobody may learn."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

import pytest

from reconciler.spec.lists import remote
from reconciler.spec.lists.places import Place, shown
from tests.sources.conftest import TLS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sources.conftest import Root, Store

LIST = b"phone_number,callee_name\n+14155550100,Asha\n+14155550101,Ravi\n"
PIN = f"sha256: {hashlib.sha256(LIST).hexdigest()}\ncount: 2"


@pytest.fixture
def listed(root: Root, store: Store) -> Root:
    """Give a root with a list in the store."""
    store.objects["/lists/may.csv"] = LIST
    root.naming("s3://lists/may.csv", PIN)
    return root


@pytest.mark.parametrize(
    "faults",
    [["500", "503", ""], ["cut", ""], ["429", ""]],
    ids=["the server fails twice", "the connection breaks in the middle", "too many requests"],
)
def test_what_passes_is_tried_again(listed: Root, store: Store, faults: list[str]) -> None:
    """A failure that passes is none: the list is read after it, whole."""
    store.faults = list(faults)
    assert listed.load().specs
    assert len(store.asked) == len(faults)


@pytest.mark.parametrize(
    ("fault", "message", "asked"),
    [
        ("500", "was not given: the server answered 500", 3),
        ("401", "may not be read with these credentials", 1),
        ("403", "may not be read with these credentials", 1),
        ("404", "is not there", 1),
        ("301", "is in another region", 1),
        ("lengthless", "the server does not say how long it is", 1),
    ],
)
def test_what_does_not_pass_is_said(
    listed: Root, store: Store, fault: str, message: str, asked: int
) -> None:
    """What keeps a list from being read is said in our words; nothing a server said is shown."""
    store.faults = [fault]
    said = listed.said()
    assert said.startswith("batches/a.yaml:3:9: contacts.file: `s3://lists/may.csv` ")
    assert message in said
    assert "swordfish" not in said
    assert store.url not in said
    assert len(store.asked) == asked


def test_a_list_that_never_comes_whole_is_refused(listed: Root, store: Store) -> None:
    """A connection that breaks again and again gives no half list."""
    store.ranges = False
    store.faults = ["cut"]
    assert "contacts.file: `s3://lists/may.csv` broke off" in listed.said()


@pytest.mark.parametrize("chunks", [[LIST[:30]], [LIST, LIST]], ids=["less", "more"])
def test_what_a_store_says_of_a_lists_length_is_compared(
    listed: Root, monkeypatch: pytest.MonkeyPatch, chunks: list[bytes]
) -> None:
    """Bytes that are fewer or more than were announced are no list."""

    class Answer:
        meta: ClassVar = {"size": len(LIST)}

        def stream(self, min_chunk_size: int) -> list[bytes]:
            assert min_chunk_size
            return chunks

    monkeypatch.setattr("obstore.get", lambda *_: Answer())
    assert f"broke off: {sum(map(len, chunks))} of {len(LIST)} bytes came" in listed.said()


def test_silence_is_not_waited_for(
    listed: Root, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that says nothing is given up after a while."""
    monkeypatch.setattr(remote, "_SILENCE", timedelta(milliseconds=200))
    monkeypatch.setitem(remote._RETRIES, "max_retries", 0)
    store.faults = ["silence"]
    assert "did not come in time" in listed.said()


def test_all_of_it_has_a_deadline(
    listed: Root, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes on in there, a list is given up when its time is over."""
    monkeypatch.setattr(remote, "DEADLINE", timedelta(milliseconds=200))
    store.faults = ["silence"]
    assert "did not come within" in listed.said()


def test_a_list_that_is_too_long_is_not_taken(
    listed: Root, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list over the limit is refused by what the server says of its length."""
    monkeypatch.setattr(remote, "MAX_LIST", len(LIST) - 1)
    assert f"the file has {len(LIST)} bytes" in listed.said()
    assert len(store.asked) == 1


def test_a_list_that_changed_is_refused_with_both_figures(listed: Root, store: Store) -> None:
    """What was reviewed is what is called: another list gives no spec, and shows nobody in it."""
    store.objects["/lists/may.csv"] = LIST + b"+14155550102,Meera\n"
    said = listed.said()
    assert "batches/a.yaml:4:11: contacts.sha256: " in said
    assert f"not `{hashlib.sha256(LIST).hexdigest()[:12]}…`; it has 3 contacts, not 2" in said
    assert "reconciler pin batches/a.yaml" in said
    assert "Meera" not in said


@pytest.mark.parametrize(
    ("data", "length"),
    [
        (LIST[:-20], "it has 1 contact, not 2"),
        (LIST.decode().encode("utf-16"), "it has mistakes in it"),
        (LIST.replace(b"\n", b"\r\n"), "it has 2 contacts, as many as were pinned"),
        (LIST.replace(b"01,Ravi", b"02,Ravi"), "it has 2 contacts, as many as were pinned"),
        (b"PK\x03\x04" + LIST, "it cannot be read"),
        (b"", "it has mistakes in it"),
    ],
    ids=["truncated", "re-encoded", "other line ends", "swapped", "a workbook", "empty"],
)
def test_every_other_list_is_refused(listed: Root, store: Store, data: bytes, length: str) -> None:
    """Truncated, re-encoded, swapped: what is not the pinned bytes gives no spec."""
    store.objects["/lists/may.csv"] = data
    said = listed.said()
    assert "is not the list that was pinned" in said
    assert length in said


def test_a_wrong_count_is_refused(listed: Root) -> None:
    """The second figure is checked too: bytes alone tell no reviewer how many people they are."""
    listed.naming("s3://lists/may.csv", PIN.replace("count: 2", "count: 3"))
    said = listed.said()
    assert "batches/a.yaml:5:10: contacts.count: " in said
    assert "has 2 contacts, not 3 as it was pinned" in said


def test_nothing_is_created_from_a_list_that_changed(
    listed: Root, store: Store, reconciler: Callable[..., tuple[int, str]]
) -> None:
    """Apply does nothing about a spec whose list is not the one that was reviewed."""
    store.objects["/lists/may.csv"] = LIST.replace(b"Ravi", b"Meera")
    status, said = reconciler("apply", "--sandbox", "--yes")
    assert status == 1
    assert "is not the list that was pinned" in said
    assert not list(listed.path.rglob("state.json"))


def test_what_a_list_says_wrongly_is_said_at_its_line(root: Root, store: Store) -> None:
    """Mistakes in a pinned list are shown with its address, line and column; numbers masked."""
    wrong = LIST + b"4155550102,Meera\n+14155550100,Asha\n"
    store.objects["/lists/may.csv"] = wrong
    root.naming("s3://lists/may.csv", f"sha256: {hashlib.sha256(wrong).hexdigest()}\ncount: 4")
    places = [(one.file, one.line, one.column) for one in root.load().diagnostics]
    assert places == [("s3://lists/may.csv", 4, 1), ("s3://lists/may.csv", 5, 1)]
    assert all("415555" not in one.message for one in root.load().diagnostics)


def test_without_a_pin_nothing_is_fetched(root: Root, store: Store) -> None:
    """A list elsewhere that is not pinned is refused before anybody is asked for it."""
    root.naming("s3://lists/may.csv")
    assert "must be pinned: `sha256` and `count` are missing" in root.said()
    assert store.asked == []


def test_without_secrets_nothing_is_fetched(
    listed: Root, store: Store, reconciler: Callable[..., tuple[int, str]]
) -> None:
    """A check without secrets says which lists it left unread, and is content with the rest."""
    loaded = listed.load(secrets=False)
    assert not loaded.specs
    assert not loaded.errors
    (warning,) = loaded.diagnostics
    assert "lies elsewhere, and was not read; by its pin it has 2 contacts" in warning.message
    status, said = reconciler("validate", "--without-secrets")
    assert status == 0
    assert "was not read" in said
    listed.naming("s3://lists/may.csv")
    assert reconciler("validate", "--without-secrets")[0] == 1
    assert store.asked == []


def test_https_takes_redirects_and_no_credentials(root: Root, store: Store) -> None:
    """A web server is asked for the very address, with no credentials, and may send elsewhere."""
    store.objects["/list%20s/may.csv"] = LIST
    store.faults = ["302", ""]
    store.location = "/list%20s/may.csv"
    root.naming(f"{store.url}/old/may.csv", PIN)
    (spec,) = root.load().specs
    assert spec.contacts == 2
    assert [path for path, _ in store.asked] == ["/old/may.csv", "/list%20s/may.csv"]
    assert not any("authorization" in headers for _, headers in store.asked)


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        ("loopback.pem", ""),
        ("loopback.pem", "whose certificate is not trusted; if a proxy or a private authority"),
        ("elsewhere.pem", "whose certificate is for another name; check the address"),
        ("expired.pem", "whose certificate is not valid; has it expired?"),
    ],
)
def test_a_server_has_to_show_a_certificate(
    root: Root, store: Store, monkeypatch: pytest.MonkeyPatch, certificate: str, said: str
) -> None:
    """A server is believed by an authority in SSL_CERT_FILE, and else it is said what is wrong."""
    trusted = "trusted" not in said
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "authority.pem"))
    store.objects["/may.csv"] = LIST
    store.encrypt(certificate)
    root.naming(f"{store.url}/may.csv", PIN)
    if said:
        assert f"`{store.url}/may.csv` lies on a server {said}" in root.said()
        assert ("SSL_CERT_FILE" in root.said()) != trusted
    else:
        assert root.load().specs
    assert bool(store.asked) == (not said)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("http://list.example/may.csv", "is redirected to an address that is not encrypted"),
        ("/may.csv", "is redirected from one address to the next without end"),
    ],
)
def test_where_a_redirect_leads_in_vain(
    root: Root, store: Store, monkeypatch: pytest.MonkeyPatch, location: str, message: str
) -> None:
    """A redirect that is not followed is said to be one, and where it leads is not shown."""
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "authority.pem"))
    store.faults = ["302"]
    store.location = location
    store.encrypt("loopback.pem")
    root.naming(f"{store.url}/may.csv", PIN)
    said = root.said()
    assert f"`{store.url}/may.csv` {message}" in said
    assert "name the " in said
    assert "list.example" not in said


def test_nothing_travels_unencrypted(
    listed: Root, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint that is not encrypted and not this machine is not even asked."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example:9000")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    said = listed.said()
    assert "would travel unencrypted" in said
    assert "on this machine" in said
    assert store.asked == []


def test_what_cannot_be_reached_is_said(listed: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not there is said to be out of reach."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert "cannot be reached" in listed.said()


def test_a_store_without_an_account_says_what_to_set(root: Root) -> None:
    """Credentials that are missing are named by the variables that hold them."""
    root.naming("az://lists/may.csv", PIN)
    said = root.said()
    assert "needs credentials, and there are none" in said
    assert "AZURE_STORAGE_ACCOUNT_NAME" in said


def test_azure_and_google_are_read(
    root: Root, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`az://` and `gs://` lead to their stores, by the variables that those use."""
    store.objects |= {"/lists/may.csv": LIST, "/lists/may%2Ecsv": LIST}
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "lists")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c3dvcmRmaXNo")
    monkeypatch.setenv("AZURE_ENDPOINT", store.url)
    root.naming("az://lists/may.csv", PIN)
    assert root.load().specs
    account = {
        "gcs_base_url": store.url,
        "disable_oauth": True,
        "client_email": "",
        "private_key": "",
        "private_key_id": "",
    }
    (tmp_path / "account.json").write_text(json.dumps(account), "utf-8")
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "account.json"))
    monkeypatch.setattr(remote, "_on_this_machine", lambda _: True)
    root.naming("gs://lists/may.csv", PIN)
    assert root.load().specs
    assert len(store.asked) == 2


def test_an_answer_of_the_api_is_not_worth_fetching_again(listed: Root, store: Store) -> None:
    """A contact that the API complains about is located at the field that names the list."""
    from reconciler.spec.locate import locate  # noqa: PLC0415 - here only

    (spec,) = listed.load().specs
    where = locate(listed.path, spec, ("contacts", 1, "phone_number"))
    assert where == ("batches/a.yaml", 3, 9)
    assert len(store.asked) == 1


def test_ctrl_c_is_heard_while_a_list_is_awaited(listed: Root, store: Store) -> None:
    """Whoever stops a command that waits for a server gets the prompt back."""
    store.faults = ["silence"]
    command = [sys.executable, "-m", "reconciler", "--batches", str(listed.path), "validate"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        asked = threading.Event()
        while not store.asked:
            assert process.poll() is None
            asked.wait(0.01)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=20) == 130


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("https://asha:swordfish@lists.example/a.csv", "https://lists.example/a.csv"),
        ("https://lists.example/a.csv?sig=swordfish#x", "https://lists.example/a.csv"),
        ("https://lists.example?sig=sword/fish", "https://lists.example"),
        ("s3://lists/a@b.csv", "s3://lists/a@b.csv"),
        ("contacts/a@b.csv", "contacts/a@b.csv"),
    ],
)
def test_an_address_is_shown_without_secrets(address: str, seen: str) -> None:
    """A password and a signature are in nothing that is shown."""
    assert shown(address) == seen


def test_reading_leaves_nothing_on_disk(
    listed: Root, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A list that lies elsewhere is kept in memory only."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert listed.load().specs
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before


def test_whatever_goes_wrong_within_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in the thread that reads is a bug, not a silence."""

    def bug(_place: Place, _into: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(remote, "_read", bug)
    with pytest.raises(ZeroDivisionError):
        remote.fetch(Place("s3://lists/may.csv", "s3", ".csv", sealed=False))
