"""The router service with a fault to call for: SIGUSR1 hangs its event loop, `python -m tests.lab.hanging_router`.

Everything else of the process goes on: its other threads, its prober, its sockets.
"""

import signal
import time
from types import FrameType

from watchers.service import main

HANG_S = 12.0


def _hang(_number: int, _frame: FrameType | None) -> None:
    time.sleep(HANG_S)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _hang)
    main()
