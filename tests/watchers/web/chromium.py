"""A real Chromium before a real console: what somebody at a browser does, and what the browser complains about."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import axe_playwright_python
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

from clusterd.counters import Counters
from clusterd.desired import destination_key, service_key
from clusterd.observing import Local
from clusterd.overview import Observed, overview
from clusterd.plane import Key
from tests.clusterd.command_line import CommandLine
from tests.clusterd.examples import manual
from tests.store.etcd_server import free_ports

PROGRAM = Path("/usr/bin/chromium")
PASSWORD = "correct horse"  # noqa: S105 - of users that only tests have
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
WIDE, NARROW = (1280, 800), (360, 740)
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
SHORT_MS = 10_000
Scheme = Literal["light", "dark"]


@contextmanager
def console(clusterd: CommandLine) -> Iterator[str]:
    """Run the console as a process of its own, and give its address."""
    (port,) = free_ports(1)
    environment = {**os.environ, **clusterd.environment, "CLUSTERD_WEB_LISTEN": f"127.0.0.1:{port}"}
    environment["CLUSTERD_RUN_DIR"] = str(clusterd.folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "watchers", "web"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr
        said = process.stderr.readline()
        assert "console of cluster" in said, said
        _listened_at(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        said = process.communicate(timeout=30)[1]
    assert "Traceback" not in said, said


def _listened_at(port: int) -> None:
    """Wait until somebody listens there: the console tells its address a moment before."""
    end_s = time.monotonic() + SHORT_MS / 1000
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            assert time.monotonic() < end_s
            time.sleep(0.02)
        else:
            return


@asynccontextmanager
async def router_beside(clusterd: CommandLine) -> AsyncIterator[None]:
    """Have a router on the console's host that tells what it counts."""
    virtual = manual().virtuals["web"]
    together = Counters(active=312, connections_rate=41, bytes_in_rate=88_000, bytes_out_rate=1_900_000)
    counted: dict[Key, Counters] = {service_key(virtual): together}
    for name, active, rate in (("rs1", 205, 28), ("rs2", 107, 13)):
        one = Counters(active=active, connections_rate=rate, bytes_in_rate=rate * 2100, bytes_out_rate=rate * 46_000)
        counted[destination_key(virtual, name)] = one
    view = overview(clusterd.cluster, 1, manual(), Observed(counters=counted, counted_by="r1"))
    line = Local(router="r1", overview=view).model_dump_json().encode() + b"\n"

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(line)
        writer.close()

    server = await asyncio.start_unix_server(answer, clusterd.folder / f"{clusterd.cluster}.sock")
    try:
        yield
    finally:
        server.close()


@dataclass
class Person:
    """Somebody at a browser. `complaints` are what its console said, and what it asked others than us for."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(SHORT_MS)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)

    async def open(self, path: str) -> None:
        await self.page.goto(self.url + path)

    async def log_in(self, name: str, password: str = PASSWORD) -> None:
        await self.open("/login")
        await self.page.fill("#user", name)
        await self.page.fill("#password", password)
        await self.page.click("text=Log in")

    async def press(self, button: str) -> None:
        """Press a button, and wait for the page that comes."""
        async with self.page.expect_navigation():
            await self.page.get_by_role("button", name=button).click()

    async def sees(self, text: str) -> None:
        """Wait until the page says this."""
        await self.page.get_by_text(text).first.wait_for()

    async def text(self) -> str:
        return await self.page.inner_text("main")

    async def barriers(self) -> list[str]:
        """Return what axe finds by all that WCAG 2.2 AA and good practice ask for; of colours, in dark too."""
        await self.page.evaluate(AXE.read_text())
        found = await self._axe({"type": "tag", "values": TAGS})
        await self.page.emulate_media(color_scheme="dark")
        found += await self._axe({"type": "rule", "values": ["color-contrast"]})
        await self.page.emulate_media(color_scheme="light")
        return found

    async def _axe(self, only: dict[str, Any]) -> list[str]:
        options = {"runOnly": only, "resultTypes": ["violations"]}
        found: dict[str, Any] = await self.page.evaluate("options => axe.run(document, options)", options)
        return [f"{one['id']}: {node['html']}" for one in found["violations"] for node in one["nodes"]]

    async def overflows(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(await self.page.evaluate(wider))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(self.url):
            self.complaints.append(f"asked {request.url}")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=PROGRAM)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def person(
    browser: Browser, url: str, size: tuple[int, int] = WIDE, scheme: Scheme = "light"
) -> AsyncIterator[Person]:
    """Have somebody with a window and cookies of their own; nothing may have been complained about at the end."""
    context = await browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    somebody = Person(await context.new_page(), url)
    try:
        yield somebody
        assert somebody.complaints == []
    finally:
        await context.close()
