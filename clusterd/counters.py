"""What IPVS counted. Pure."""

from clusterd.reports import Report


class Counters(Report):
    """What IPVS counted at one router for a virtual server or a real server; rates are per second."""

    connections: int = 0  # since it was added
    active: int | None = None
    inactive: int | None = None
    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    connections_rate: int = 0
    packets_in_rate: int = 0
    packets_out_rate: int = 0
    bytes_in_rate: int = 0
    bytes_out_rate: int = 0


class Rates(Report):
    """What went on per second between two readings."""

    connections: float = 0.0
    packets_in: float = 0.0
    packets_out: float = 0.0
    bytes_in: float = 0.0
    bytes_out: float = 0.0


def rates(before: Counters, after: Counters, length_s: float) -> Rates:
    """Return what was counted per second in the time between two readings, which is above 0.

    A counter that is lower than before began anew with what it counts: all of it came since.
    """
    return Rates(
        **{
            name: (now - then if now >= then else now) / length_s
            for name in Rates.model_fields
            for then, now in [(getattr(before, name), getattr(after, name))]
        }
    )
