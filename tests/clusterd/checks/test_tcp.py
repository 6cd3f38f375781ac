"""The tcp check: a connection is enough."""

import asyncio

from clusterd.health import Observation
from clusterd.model import TcpCheck
from clusterd.probing import probe
from tests.clusterd.checks.servers import saying, serving

CHECK = TcpCheck(type="tcp", timeout_s=1)


async def test_a_server_that_accepts_is_good_even_if_it_says_nothing() -> None:
    async with serving(saying(then_s=9)) as port:
        assert await probe("127.0.0.1", port, CHECK) == Observation(True, "accepted a connection")


async def test_the_connection_is_reset_so_that_no_time_wait_stays() -> None:
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
            ended.set_result("closed")
        except ConnectionResetError:
            ended.set_result("reset")

    async with serving(serve) as port:
        await probe("127.0.0.1", port, CHECK)
        assert await asyncio.wait_for(ended, 1) == "reset"
