"""A router like any other, but its kernel is in its own memory: it can be active without touching this host's."""

import asyncio
import signal

from clusterd import settings
from clusterd.clock import boottime_s
from clusterd.counters import Counters
from clusterd.dataplane.memory import MemoryPlane
from clusterd.keys import Keys
from clusterd.plane import DestinationKey, Key, Scope, ServiceKey
from watchers.kernel_writer import KernelWriter
from watchers.local_socket import LocalSocket, answer, planned
from watchers.router import Places, Router
from watchers.tasks import Tasks


async def main() -> None:
    """Run until SIGTERM, with the settings that the environment gives."""
    read = settings.read()
    store, kernel, tasks = settings.open_store(read), MemoryPlane(boottime_s), Tasks()
    places = Places(read.state_dir / "last.json", read.run_dir / "lease", read.lvs_cf)
    router = Router(read.router, store, Keys(read.cluster), KernelWriter(lambda: kernel), places)

    def count(scope: Scope) -> dict[Key, Counters]:
        return {
            key: Counters(connections=1, active=1)
            for key in kernel.read(scope)
            if isinstance(key, ServiceKey | DestinationKey)
        }

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, router.stop)
    tasks.supervise("socket", LocalSocket(read.socket, router.sight, lambda sight: answer(sight, count)).run)
    plans = LocalSocket(read.plan_socket, router.wanted, lambda wanted: planned(read.router, wanted, kernel.read))
    tasks.supervise("socket for plans", plans.run)
    try:
        await router.run()
    finally:
        await tasks.end()
        await store.close()


if __name__ == "__main__":
    asyncio.run(main())
