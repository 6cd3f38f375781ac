"""What systemd is told of a service (sd_notify(3), sd_watchdog_enabled(3)): ready, how it is, alive, stopping.

Each is a datagram to the socket that systemd names in the environment; without one nobody is told. A service is alive
as long as its own work goes on, not only its process: `run` says so only while `well` does.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, MutableMapping

from watchers.logs import tagged

log = logging.getLogger(__name__)

LOOK_S = 1.0


class Notifier:
    """Tells systemd. What it needs is taken out of the environment, so that no child of ours speaks for us."""

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        usec, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        mine = usec.isdigit() and pid in ("", str(os.getpid()))
        self.every_s = min(LOOK_S, int(usec) / 3e6) if mine else LOOK_S

    def tell(self, **fields: str) -> None:
        """Send some fields, such as READY="1". That nobody listens stops nothing."""
        if not self._address:
            return
        text = "\n".join(f"{name}={' '.join(value.split())}" for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as door:
                door.sendto(text.encode(), self._address)
        except OSError as error:
            log.debug("systemd was not told: %s", error, extra=tagged("socket"))

    async def run(self, well: Callable[[], bool], status: Callable[[], str]) -> None:
        """Tell, for ever: ready as soon as all is well, then that it still is, and the status whenever it changes."""
        said, ready = "", False
        while True:
            if well():
                fields = {"WATCHDOG": "1"} | ({} if ready else {"READY": "1"})
                now = status()
                self.tell(**fields, **({"STATUS": now} if now != said else {}))
                said, ready = now, True
            await asyncio.sleep(self.every_s)
