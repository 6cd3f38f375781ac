"""Netlink attributes and IPVS items as bytes, and the conversation with a kernel that this machine has: nlctrl."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd.dataplane import genetlink
from clusterd.dataplane.genetlink import GenericNetlink
from clusterd.dataplane.netlink import ACK, HEAD, Layout, attribute, attributes, nested
from clusterd.errors import ApplyError

KINDS = st.integers(1, 0x3FFF)
FOUND = st.lists(st.tuples(KINDS, st.binary(max_size=9)), max_size=5)


@given(FOUND)
def test_attributes_are_read_as_they_were_written(pairs: list[tuple[int, bytes]]) -> None:
    data = b"".join(attribute(kind, payload) for kind, payload in pairs)
    assert len(data) % 4 == 0
    assert list(attributes(data)) == pairs
    assert list(attributes(b"head" + data, 4)) == pairs


@given(FOUND, KINDS)
def test_an_attribute_may_hold_others(pairs: list[tuple[int, bytes]], kind: int) -> None:
    inner = [attribute(number, payload) for number, payload in pairs]
    ((outer, payload),) = attributes(nested(kind, *inner))
    assert outer == kind
    assert list(attributes(payload)) == pairs


@given(st.binary(max_size=60))
def test_no_bytes_make_reading_raise_or_go_on_for_ever(data: bytes) -> None:
    assert len(list(attributes(data))) <= len(data) // 4


FIELDS = ((1, "16s"), (2, "2s"), (13, "B"), (3, "I"), (11, "H"))
VALUES = (b"address".ljust(16, b"\0"), b"\x1f\x90", 2, 0xFFFFFFFF, 10)


def test_attributes_of_fixed_lengths_are_the_same_bytes_in_one_go_as_one_by_one() -> None:
    one_by_one = b"".join(
        attribute(kind, struct.pack("=" + code, value)) for (kind, code), value in zip(FIELDS, VALUES, strict=True)
    )
    layout = Layout(*FIELDS)
    assert layout.pack(*VALUES) == one_by_one
    assert layout.pack(*VALUES) == one_by_one  # what was packed before does not stay
    assert layout.unpack(one_by_one + attribute(7, b"more")) == VALUES


@given(FOUND)
def test_other_attributes_are_not_taken_for_those_of_a_layout(pairs: list[tuple[int, bytes]]) -> None:
    data = b"".join(attribute(kind, payload) for kind, payload in pairs)
    assert Layout((1, "I"), (2, "I")).unpack(attribute(1, b"four") + data[:7]) is None
    assert Layout((0x4000, "I")).unpack(data) is None


def test_the_kernel_names_its_families() -> None:
    netlink = GenericNetlink("nlctrl")
    (reply,) = netlink.ask(3, attribute(2, b"nlctrl\0"), ACK)
    assert dict(attributes(reply))[2] == b"nlctrl\0"
    assert struct.unpack("=H", dict(attributes(reply))[1]) == (16,)
    assert len(netlink.ask(3)) >= 1
    assert netlink.ask(3, attribute(2, b"nlctrl\0"), ACK, HEAD) == [reply[HEAD:]]
    netlink.close()


def test_an_unknown_family_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ApplyError, match="the kernel has no NO_SUCH: No such file"):
        GenericNetlink("NO_SUCH")


def test_of_many_messages_those_that_were_refused_are_told_by_their_position() -> None:
    netlink = GenericNetlink("nlctrl")
    good, bad = (3, attribute(2, b"nlctrl\0")), (3, attribute(2, b"NO_SUCH\0"))
    messages = [bad if number in (0, 150, 999) else good for number in range(1000)]
    assert netlink.send(messages) == {0: 2, 150: 2, 999: 2}
    assert netlink.send([]) == {}
    netlink.close()


def test_a_kernel_that_does_not_answer_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    netlink = GenericNetlink("nlctrl")
    netlink._netlink._socket.settimeout(0.05)
    with pytest.raises(ApplyError, match="did not answer"):
        list(netlink._netlink._receive())
    netlink.close()
    monkeypatch.setattr(genetlink, "_CTRL_ATTR_FAMILY_ID", 999)
    with pytest.raises(ApplyError, match="no answer"):
        GenericNetlink("nlctrl")
