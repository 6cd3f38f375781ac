"""Small changes that keep a text nearly what it was, so that reading it gets far before something is wrong."""

import re
from collections.abc import Sequence
from random import Random

_WORD = re.compile(rb"[A-Za-z0-9_.$@~-]+|[^A-Za-z0-9_.$@~\s-]")
_ODD = [
    *(str(number).encode() for number in (0, 1, -1, 255, 256, 65535, 65536, 2**31, 2**63, 10**18, 10**40)),
    *(b"0x10", b"1e9", b"nan", b"inf", b"1.5", b"0.0.0.0", b"255.255.255.255", b"1.2.3.4/33", b"1.2.3.4/0", b"::1"),
    *(b"fe80::1/64", b"1.2.3.1-1.2.3.9", b"1.2.3.250-1", b"/24", b"", b" ", b"\t", b"\n", b"\r", b"\0", b"\xff"),
    *(b'"', b"'", b"\\", b"{", b"}", b"${", b"$", b"=", b"#", b"!", b":", b"[", b"]", b"->", b"- ", b"&a ", b"*a"),
    *("\u2028 \x85 \ufeff \U0001f600 \u0663".encode().split() or [b""]),
    *(b"\xed\xa0\x80", b"(", b"(?i)", b"[[:alpha:]]", b"*", b"(a+)+$", b"a" * 300, b"{" * 40, b"@x ", b"~SEQ(a,1,9) "),
]


def mutated(random: Random, texts: Sequence[bytes]) -> bytes:
    """Return one of the texts after a few changes."""
    text = random.choice(texts)
    words = sorted(set(_WORD.findall(b"\n".join(texts)))) + _ODD
    for _ in range(random.choice((1, 1, 2, 3, 8, 30))):
        text = random.choice(_CHANGES)(random, text, words)
    return text[:100_000]


def _span(random: Random, text: bytes) -> tuple[int, int]:
    start = random.randint(0, len(text))
    return start, min(len(text), start + random.choice((1, 2, 8, 40, 200)))


def _cut(random: Random, text: bytes, _words: Sequence[bytes]) -> bytes:
    start, end = _span(random, text)
    return text[:start] + text[end:]


def _doubled(random: Random, text: bytes, _words: Sequence[bytes]) -> bytes:
    start, end = _span(random, text)
    at = random.randint(0, len(text))
    return text[:at] + text[start:end] * random.choice((1, 1, 2, 20)) + text[at:]


def _replaced_word(random: Random, text: bytes, words: Sequence[bytes]) -> bytes:
    found = list(_WORD.finditer(text))
    if not found:
        return random.choice(words)
    one = random.choice(found)
    return text[: one.start()] + random.choice(words) + text[one.end() :]


def _added_word(random: Random, text: bytes, words: Sequence[bytes]) -> bytes:
    at = random.randint(0, len(text))
    return text[:at] + random.choice((b"", b" ")) + random.choice(words) + random.choice((b"", b" ", b"\n")) + text[at:]


def _flipped(random: Random, text: bytes, _words: Sequence[bytes]) -> bytes:
    if not text:
        return bytes([random.randrange(256)])
    at = random.randrange(len(text))
    return text[:at] + bytes([random.randrange(256)]) + text[at + 1 :]


def _moved_line(random: Random, text: bytes, _words: Sequence[bytes]) -> bytes:
    found = text.split(b"\n")
    line = found.pop(random.randrange(len(found)))
    for _ in range(random.choice((0, 1, 1, 2))):
        found.insert(random.randint(0, len(found)), line)
    return b"\n".join(found)


_CHANGES = (_cut, _doubled, _replaced_word, _replaced_word, _added_word, _flipped, _moved_line)
