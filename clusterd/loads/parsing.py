"""What the sources answer, read by pure functions. A text that cannot be read is a ValueError that says why.

uptime(1) and rup(1) print "load average: 0.42, …" (with a comma for the point in some languages, "load averages:" on
BSD), ruptime(1) "load 0.42, …". HAProxy's agent-check answers words: "75%", "up", "ready", "drain", "maint", "down",
"stopped", "fail", and what follows a # is for people (HAProxy configuration manual, agent-check).
"""

import json
import math
import re
from typing import Any

from clusterd.weights.values import Reading

_AVERAGE = re.compile(r"\bload(?: averages?)?:?\s+(\d+(?:[.,]\d+)?)")
_SHARE = re.compile(r"(\d{1,3})%")
_FINE = ("up", "ready")
_AWAY = ("drain", "maint", "down", "stopped", "fail", "failed")
_QUOTED = 60


def average(text: str) -> float:
    """Return the load average over one minute that uptime, rup or ruptime printed."""
    found = _AVERAGE.search(text)
    if not found:
        raise ValueError(f"no load average in {_quoted(text)}")
    return float(found[1].replace(",", "."))


def uptime(text: str, at_s: float) -> Reading:
    """Return what `uptime` and then `nproc` printed."""
    last = text.split()[-1:]
    if not (last and last[0].isdecimal() and 0 < int(last[0]) < 100_000):
        raise ValueError(f"no number of processors in {_quoted(text)}")
    return Reading(at_s, average(text), int(last[0]))


def answer(text: str, at_s: float) -> Reading:
    """Return what a server answered by HTTP: a JSON object, or words of HAProxy's agent-check."""
    if text.lstrip().startswith("{"):
        return _object(text, at_s)
    return _words(text, at_s)


def _object(text: str, at_s: float) -> Reading:
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{_quoted(text)} is not JSON") from None
    load, cores, drain = data.get("load"), data.get("cores", 1), data.get("drain", False)
    if isinstance(load, bool) or not isinstance(load, int | float) or not (0 <= load < math.inf):
        raise ValueError(f"no load that is a number in {_quoted(text)}")
    if not isinstance(cores, int) or cores < 1:
        raise ValueError(f"cores is not a number of processors in {_quoted(text)}")
    return Reading(at_s, float(load), cores, drain="it asks for it" if drain is True else "")


def _words(text: str, at_s: float) -> Reading:
    words = text.partition("#")[0].lower().replace(",", " ").split()
    share, drain = None, ""
    for word in words:
        if found := _SHARE.fullmatch(word):
            share = int(found[1]) / 100
        elif word in _AWAY:
            drain = f"it says {word}"
        elif word not in _FINE:
            raise ValueError(f"{_quoted(text)} is neither JSON nor what HAProxy's agent-check knows")
    if not words:
        raise ValueError("the answer is empty")
    if share == 0:
        share, drain = None, drain or "it says 0%"
    return Reading(at_s, share=1.0 if share is None else share, drain=drain)


def _quoted(text: str) -> str:
    shown = text[:_QUOTED].encode("unicode_escape").decode()
    return f'"{shown}…"' if len(text) > _QUOTED else f'"{shown}"'
