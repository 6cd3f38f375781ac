"""The datagrams between routers: what is sealed with the key is read, and nothing else is."""

import hmac
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from watchers.envelope import LARGEST_BYTES, Message, Question, Reply, Sign, seal, unseal

KEY = b"the routers' common key"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=63)
NUMBERS = st.integers(0, 2**63)
MESSAGES: st.SearchStrategy[Message] = (
    st.builds(Question, TEXT, TEXT, TEXT, NUMBERS, st.floats(0, 3600))
    | st.builds(Reply, TEXT, TEXT, TEXT, st.booleans())
    | st.builds(Sign, TEXT, TEXT, NUMBERS, NUMBERS)
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def forged(body: bytes) -> bytes:
    """Return a datagram of somebody who has the key."""
    return hmac.digest(KEY, body, "sha256") + body


@given(MESSAGES)
def test_what_is_sealed_is_read_again(message: Message) -> None:
    assert unseal(seal(message, KEY), KEY) == message


def test_a_message_of_the_longest_names_fits_into_a_datagram() -> None:
    longest = Question("z" * 63, "g" * 63, "f" * 16, 2**63, 1800.123456789)
    assert len(seal(longest, KEY)) <= LARGEST_BYTES


@given(MESSAGES, st.binary(max_size=40))
def test_another_key_is_not_heard_and_no_key_neither(message: Message, key: bytes) -> None:
    if key != KEY:
        assert unseal(seal(message, KEY), key) is None
    assert unseal(seal(message, b""), b"") is None


@given(MESSAGES, st.data())
def test_an_altered_byte_is_noticed(message: Message, data: st.DataObject) -> None:
    datagram = bytearray(seal(message, KEY))
    position = data.draw(st.integers(0, len(datagram) - 1))
    datagram[position] ^= data.draw(st.integers(1, 255))
    assert unseal(bytes(datagram), KEY) is None
    assert unseal(seal(message, KEY)[:position], KEY) is None


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(datagram: bytes) -> None:
    assert unseal(datagram, KEY) is None
    assert unseal(forged(datagram), KEY) is None or datagram.startswith(b"{")


@given(JSON, st.sampled_from(["question", "reply", "sign", 1]), st.booleans())
def test_no_message_of_somebody_with_the_key_makes_it_raise(value: Any, kind: Any, whole: bool) -> None:
    fields = {
        "kind": kind,
        "token": value,
        "group": value,
        "sender": value,
        "name": value,
        "number": value,
        "for_s": value,
        "agreed": value,
    }
    message = unseal(forged(json.dumps(fields if whole else value).encode()), KEY)
    assert message is None or whole
    if isinstance(message, Reply):
        assert message.agreed is (value is True)


def test_numbers_too_large_and_brackets_too_deep_are_not_read() -> None:
    fields = {"kind": "question", "sender": "r1", "group": "default", "name": "q", "for_s": 1}
    assert unseal(forged(json.dumps({**fields, "number": float("inf")}).encode()), KEY) is None
    assert unseal(forged(b"[" * 100_000), KEY) is None
