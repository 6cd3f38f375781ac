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
