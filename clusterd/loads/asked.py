"""Who is asked, and how."""

from dataclasses import dataclass

from clusterd.model import Load


@dataclass(frozen=True, slots=True)
class Asked:
    """A real server to ask: its address and the port of its service, and what the virtual server says of load."""

    address: str
    port: int
    load: Load
