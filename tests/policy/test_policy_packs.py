"""Packs: each rule cites its source, is in the documentation, and holds for its people alone."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.guarding import People, layers_of
from reconciler.model import Request
from reconciler.spec.config.packs import NOTICE, pack
from reconciler.spec.config.policy import PACKS, Policy

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "reconciler" / "spec" / "config" / "packs"

FLORIDA, TEXAS, TORONTO, MUMBAI = "+13055550123", "+12145550123", "+14165550123", "+919876543210"
ABOUT = {
    "us-tcpa": {FLORIDA, TEXAS},
    "us-fl": {FLORIDA},
    "us-regf": {FLORIDA, TEXAS},
    "in-trai": {MUMBAI},
    "in-rbi": {MUMBAI},
}


def rules_in(policy: Policy) -> set[str]:
    """Name the rules that a policy switches on."""
    return {name for name in policy.model_fields_set if name not in {"packs", "warn"}}


def test_every_file_is_a_pack_that_can_be_named() -> None:
    """A data file that nobody can name would be a rule that never holds."""
    assert {path.stem for path in DATA.glob("*.yaml")} == set(PACKS) == set(ABOUT)


@pytest.mark.parametrize("name", PACKS)
def test_every_rule_cites_its_source_and_a_date(name: str) -> None:
    """Whoever is refused can look up why; no source stands there for nothing."""
    rules = pack(name)
    assert rules_in(rules.policy) == set(rules.sources)
    for source in rules.sources.values():
        assert re.search(r"\b(19|20)\d\d\b", source), source
    assert rules.as_of >= date(2026, 11, 1)
    assert rules.scope.regions or rules.scope.prefixes


@pytest.mark.parametrize("name", PACKS)
def test_packs_hold_no_switches(name: str) -> None:
    """A pack only has rules: it neither warns only nor brings others."""
    policy = pack(name).policy
    assert policy.warn == ()
    assert policy.packs == ()


@pytest.mark.parametrize("name", PACKS)
def test_the_documentation_has_every_rule(name: str) -> None:
    """The page says of each pack what it is about, each rule, and where that is from."""
    page = (ROOT / "docs" / "policy.md").read_text("utf-8")
    rules = pack(name)
    rows = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
    assert len(rows) == len(rules.sources)
    for rule, source in rules.sources.items():
        (row,) = [line for line in rows if f"| `{rule}` |" in line]
        assert source in row
        assert rules.title in row
    assert NOTICE in page


@pytest.mark.parametrize("name", PACKS)
def test_every_rule_says_that_it_is_no_legal_advice(name: str) -> None:
    """The pack says so of itself, and so does whatever it refuses."""
    _, layer = layers_of(Policy.model_validate({"packs": [name]}))
    assert pack(name).notice == NOTICE
    assert all(source.endswith(NOTICE) for source in layer.sources.values())


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_is_about_its_people(name: str) -> None:
    """People of other places are not counted, and so not judged."""
    numbers = [FLORIDA, TEXAS, TORONTO, MUMBAI]
    layers = layers_of(Policy.model_validate({"packs": [name]}))
    people = People(Path(), layers, secrets=True)
    for number in numbers:
        contacts = [{"phone_number": number, "call_variables": {"callee_name": "A"}}]
        request = Request(1, {"campaign_id": "c"}, contacts, "")  # type: ignore[arg-type] # a dict
        _, crowd = people.crowds([request])
        assert (crowd.people == 1) is (number in ABOUT[name]), number


@given(st.lists(st.sampled_from([FLORIDA, TEXAS, TORONTO, MUMBAI]), max_size=8))
def test_everybody_is_counted_once_for_each_pack(numbers: list[str]) -> None:
    """A pack's people are those of its place, however the list is mixed."""
    layers = layers_of(Policy.model_validate({"packs": list(PACKS)}))
    contacts = [{"phone_number": n, "call_variables": {"callee_name": "A"}} for n in numbers]
    request = Request(1, {"campaign_id": "c"}, contacts, "")  # type: ignore[arg-type] # a dict
    own, *crowds = People(Path(), layers, secrets=True).crowds([request])
    assert own.people == len(numbers)
    counts = Counter(numbers)
    for name, crowd in zip(PACKS, crowds, strict=True):
        assert crowd.people == sum(counts[number] for number in ABOUT[name])


def test_without_the_metadata_a_pack_is_about_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody can tell whose country it is, the rules hold for all: guards fail closed."""
    monkeypatch.setattr("reconciler.cli.guarding.locator", lambda: None)
    layers = layers_of(Policy.model_validate({"packs": ["in-rbi"]}))
    contacts = [{"phone_number": TEXAS, "call_variables": {"callee_name": "A"}}]
    request = Request(1, {"campaign_id": "c"}, contacts, "")  # type: ignore[arg-type] # a dict
    assert People(Path(), layers, secrets=True).crowds([request])[1].people == 1


def test_the_layers_say_which_version_refuses() -> None:
    """A refusal names the pack and its version."""
    (_, layer) = layers_of(Policy.model_validate({"packs": ["us-fl"]}))
    assert re.fullmatch(r"us-fl \d+", layer.pack)
