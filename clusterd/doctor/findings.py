"""What a check found at one place."""

from dataclasses import dataclass
from typing import Literal

from clusterd.doctor.checks import CHECKS

Verdict = Literal["ok", "warn", "fail", "unknown"]
ORDER: tuple[Verdict, ...] = ("fail", "warn", "unknown", "ok")
CLOCK_S = 2.0  # what a Date of whole seconds, asked for and answered, cannot be wrong by


@dataclass(frozen=True, slots=True)
class Finding:
    """One check at one place: its verdict, what was seen, and how to mend it, "" where all is well."""

    check: str
    place: str
    verdict: Verdict
    what: str
    mend: str


def finding(check: str, place: str, verdict: Verdict, what: str, mend: str = "") -> Finding:
    """Return a finding; how to mend it is what the check says, unless there is something nearer."""
    return Finding(check, place, verdict, what, "" if verdict == "ok" else mend or CHECKS[check].mend)
