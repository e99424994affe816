from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.state import overlay
from reconciler.state.overlay import Overlay, changed, laid_over

names = st.sampled_from("abcdefgh")
changes = st.lists(st.tuples(names, st.none() | st.integers(1, 9), st.booleans()), max_size=20)


@settings(deadline=None)
@given(st.dictionaries(names, st.integers(1, 9)), changes, st.sampled_from([1, 3, 1_000]))
def test_a_changed_mapping_is_like_a_changed_dict(
    start: dict[str, int], steps: list[tuple[str, int | None, bool]], most: int
) -> None:
    """After any changes, walked in between or not, it says what a copied dict would say."""
    untouched = dict(start)
    versions: list[tuple[Overlay[int], dict[str, int]]] = []
    mapping, expected = Overlay(start, {}), dict(start)
    before, overlay._MOST = overlay._MOST, most
    try:
        for name, value, walked in steps:
            mapping, expected = laid_over(mapping, name, value), dict(expected)
            if value is None:
                expected.pop(name, None)
            else:
                expected[name] = value
            if walked:
                assert set(mapping) == set(expected)
            assert mapping.get(name) == value
            versions.append((mapping, expected))
    finally:
        overlay._MOST = before
    for each, said in versions:
        assert {name: each[name] for name in "abcdefgh" if name in each} == said
        assert sorted(each.items()) == sorted(said.items())
        assert dict(zip(each.keys(), each.values(), strict=True)) == said
        assert len(each) == len(said)
        assert each == said
        assert said == each
        assert each == Overlay(dict(said), {})
    for one, said in versions:
        for other, told in [*versions, (start, start)]:
            differing = {n for n in said.keys() | told.keys() if said.get(n) != told.get(n)}
            assert changed(one, other) == changed(other, one) == differing
    assert start == untouched, "what lies below is never changed"


def test_a_plain_mapping_is_laid_over_as_it_is() -> None:
    """Neither the dict nor the mapping that it is made of changes, and it shows what it says."""
    below = {"a": 1}
    above = laid_over(below, "b", 2)
    assert below == {"a": 1}
    assert repr(above) == "Overlay({'a': 1, 'b': 2})"
    assert above != {"a": 1}
    assert above != 1
