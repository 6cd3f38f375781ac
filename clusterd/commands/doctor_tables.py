"""What `clusterd doctor` shows, as tables: what is worst first; places of which the same is to be said share a row."""

from collections.abc import Iterator, Sequence

from clusterd.commands.streams import MOST_PLACES, some
from clusterd.commands.tables import Cell, Part, Rows
from clusterd.doctor import CHECKS, ORDER, Finding

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "unknown": "yellow"}
_TITLES = ("CHECK", "PLACE", "RESULT", "WHAT, AND HOW TO MEND IT")


def drawn(found: Sequence[Finding]) -> list[Part]:
    """Return the findings as a table."""
    return [Rows(_TITLES, list(_rows(found)), ("PLACE",))]


def _rows(found: Sequence[Finding]) -> Iterator[list[Cell | str]]:
    together: dict[tuple[str, str, str, str], list[Finding]] = {}
    for one in sorted(found, key=lambda one: ORDER.index(one.verdict)):
        what = "" if one.verdict == "ok" else one.what
        together.setdefault((one.check, one.verdict, what, one.mend), []).append(one)
    for (check, verdict, _, mend), same in together.items():
        told = "; ".join(list(dict.fromkeys(one.what for one in same))[:MOST_PLACES])
        places = some([one.place for one in same])
        yield [check, places, Cell(verdict, _STYLES[verdict]), f"{told} → {mend}" if mend else told]


def listed() -> list[Part]:
    """Return the checks, each with what it looks at and how to mend what it finds."""
    parts: list[Part] = []
    for name, check in CHECKS.items():
        parts += [Cell(f"{name} ({check.where})", "bold"), Cell(f"  {check.looks}"), Cell(f"  → {check.mend}", "dim")]
    return parts
