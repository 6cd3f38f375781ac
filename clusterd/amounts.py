"""Amounts as people read them: how long ago something was, how many bytes."""

from datetime import UTC, datetime

_STEPS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def lasting(length_s: float) -> str:
    """Return a length of time in its largest unit: 3 d, 5 h, 12 min, 40 s."""
    for step_s, unit in _STEPS:
        if length_s >= step_s:
            return f"{int(length_s // step_s)} {unit}"
    return "0 s"


def age(time: str, now: datetime) -> str:
    """Return how long ago a UTC time was, "" where the text is no time."""
    try:
        then = datetime.fromisoformat(time)
    except ValueError:
        return ""
    return lasting((now - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds())


def size(count_bytes: int) -> str:
    """Return a number of bytes with three digits or so: 812 B, 1.4 MB."""
    number = float(count_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
