"""Durations as people write them: 30s, 10m, 2h, 1d, 1h30m."""

import re

import click

LONGEST_S = 366 * 86400
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]{{1,9}}){unit})?" for unit in _UNITS))
_EXAMPLES = "write 30s, 10m, 2h, 1d or 1h30m"


def seconds(_context: click.Context, _parameter: click.Parameter, said: str | None) -> int | None:
    """Return an option's duration in seconds, None where it was not given."""
    try:
        return None if said is None else duration_s(said)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def duration_s(text: str) -> int:
    """Return a duration in seconds. Raises ValueError, with a sentence for whoever wrote it."""
    found = _DURATION.fullmatch(text)
    if text.isdecimal():
        raise ValueError(f"{text!r} has no unit: {_EXAMPLES}")
    if not found or not text:
        raise ValueError(f"{text!r} is not a duration: {_EXAMPLES}")
    length_s = sum(int(number or 0) * _UNITS[unit] for unit, number in found.groupdict().items())
    if not 0 < length_s <= LONGEST_S:
        raise ValueError(f"{text!r} is not between 1s and {LONGEST_S // _UNITS['d']}d")
    return length_s
