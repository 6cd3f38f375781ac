"""Mappings that share most of what they hold: what is other, and the next one made of the last."""

from hypothesis import given
from hypothesis import strategies as st

from clusterd.document import from_data
from clusterd.model import others
from clusterd.sharing import changed_keys, patched
from tests.clusterd.test_model import WEB

names = st.text("abc", max_size=2)


class Thing:
    """Equal to every other, and told apart all the same."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


@given(st.sets(names), st.sets(names), st.sets(names))
def test_a_key_is_changed_where_the_two_do_not_have_the_very_same_object(
    known: set[str], fresh: set[str], gone: set[str]
) -> None:
    before = {name: Thing() for name in known}
    after = patched(before, {name: Thing() for name in fresh}, gone)
    assert after.keys() == (known | fresh) - gone
    assert changed_keys(before, after) == (fresh - gone) | (known & gone)
    assert changed_keys(before, before) == changed_keys(before, dict(before)) == frozenset()
    assert before.keys() == known


def test_the_virtual_servers_that_are_others_are_those_of_the_two_that_are_asked_about_whoever_asked_before() -> None:
    first = from_data({"virtuals": {"web": WEB, "mail": {**WEB, "port": 25}}})
    web = first.virtuals["web"]
    second = first.model_copy(update={"virtuals": {**first.virtuals, "web": web.model_copy(update={"port": 81})}})
    third = second.model_copy(update={"virtuals": {"web": web}})
    for _ in range(2):
        assert others(first, second) == others(second, first) == {"web"}
        assert others(first, third) == {"mail"}
        assert others(second, third) == {"web", "mail"}
        assert others(first, first) == frozenset()
