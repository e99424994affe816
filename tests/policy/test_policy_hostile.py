"""A policy that somebody slipped up on, or means harm with: refused with every mistake, or read."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import InvalidSpecs
from reconciler.spec.config.policy import Policy
from reconciler.spec.config.settings import Settings, load_settings

FIELDS = sorted(Policy.model_fields)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["1h", "-1", "0", "24:00", "09:00-21:00", "2026-02-30", "+91", "IN", "*", "99999999d"]
    ),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                ["batch", "apply", "above", "needed", "required", "within", "calls", "callee"]
            )
            | st.text(max_size=8),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
POLICIES = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), VALUES, max_size=4)


def read(text: str | bytes) -> Settings:
    """Read settings from a file of these contents."""
    with TemporaryDirectory() as directory:
        data = text if isinstance(text, bytes) else text.encode()
        Path(directory, "reconciler.yaml").write_bytes(data)
        return load_settings(Path(directory), shown="batches")


@settings(max_examples=300)
@given(POLICIES)
def test_whatever_is_written_is_read_or_refused(policy: dict[str, Any]) -> None:
    """Nothing that can be written down makes anything but a policy or a list of mistakes."""
    try:
        made = read(json.dumps({"policy": policy}))
    except InvalidSpecs as error:
        found = [each.message for each in error.diagnostics]
    else:
        found = ["read"] if isinstance(made.policy, Policy) else []
    assert found
    assert all(found)


@pytest.mark.parametrize(
    "text",
    [
        "policy:\n" + "".join(f"  campaigns: [{'a, ' * n}b]\n" for n in (200_000,)),
        "policy: " + "[" * 5_000 + "]" * 5_000,
        "policy: " + "{a: " * 500 + "1" + "}" * 500,
        "policy: &a {packs: *a}",
        "policy: {max_batches: 1}\npolicy: {max_batches: 100000}",
        "policy: {max_batches: 1, max_batches: 100000}",
        "policy: !!python/object/apply:os.system [true]",
        b"policy: {campaigns: [\xff\xfe]}",
        "policy: {approval: {above: 1e3}}",
        "policy: {max_contacts: {day: 0x10}}",
        "policy: {max_contacts: {day: 1_000}}",
        "policy: {max_batches: '\uff13'}",
        "policy: {scheduled_start: {lead_time: -1h}}",
        "policy: {scheduled_start: {required: maybe}}",
        "policy: {warn: [suppression, suppression]}",
        "policy: {warn: all}",
        "policy: {packs: ../../../etc/passwd}",
        "policy: {packs: [../../etc/passwd]}",
        "policy: {countries: ['+', '+0', in, IND]}",
        "policy: {approval: {above: 1, approvers: ['']}}",
        "policy: {frequency: {calls: 0, within: 1d}}",
        "policy: {scrubbed: {within: soon}}",
        "policy:",
        "policy: ~",
        "policy:\n# max_batches: 3\nparallelism: 2\n",
        "policy: {campaigns: }",
        "policy: {suppression: ~, max_batches: 3}",
        "policy:\n  approval:\n    above: 3\n    approvers:\n",
        "force: true",
    ],
    ids=lambda text: repr(text[:40]),
)
def test_no_slip_of_the_pen_loses_a_rule(text: str | bytes) -> None:
    """What is no policy is refused as a whole, soon, with the place and without a traceback."""
    with pytest.raises(InvalidSpecs) as caught:
        read(text)
    assert all(each.file == "batches/reconciler.yaml" for each in caught.value.diagnostics)
    assert len(caught.value.diagnostics) < 60


def test_an_empty_policy_has_no_rule() -> None:
    """A root may say that it has none."""
    assert read("policy: {}").policy == Policy()


def test_an_empty_list_allows_nobody() -> None:
    """`campaigns: []` is written, so the rule is on, and no campaign is on its list."""
    policy = read("policy: {campaigns: []}").policy
    assert policy is not None
    assert policy.campaigns == ()
