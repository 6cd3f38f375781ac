"""The console in a real Chromium, before a real etcd."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from clusterd.history import utc
from tests.clusterd import live
from tests.clusterd.command_line import CommandLine
from tests.store.etcd_server import ETCD, Member
from tests.watchers.web.chromium import (
    NARROW,
    PASSWORD,
    PROGRAM,
    SHORT_MS,
    Person,
    chromium,
    console,
    person,
    router_beside,
)
from watchers.web.service import ENDING_S

pytestmark = [
    pytest.mark.etcd,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(ETCD is None, reason="the etcd program is not on PATH (Debian: etcd-server)"),
    pytest.mark.skipif(not PROGRAM.exists(), reason="there is no /usr/bin/chromium (Debian: chromium)"),
]

RS1 = "/virtuals/web/servers/rs1"
LOW = (1280, 500)  # window of a picture
PAGES = (
    "/", "/topology", "/virtuals", "/virtuals/web", "/virtuals/web?as=text", "/servers", RS1, "/checks",
    "/virtuals/web/check", "/redundancy", "/routers/r1", "/settings", "/history", "/history/1", "/users", "/account",
    "/new/virtual",
)  # fmt: skip


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    with Member(tmp_path_factory.mktemp("etcd")) as running:
        yield running


@pytest.fixture(scope="module")
def clusterd(member: Member, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """The manual's cluster, with routers that say all is well, and a user of each role."""
    clusterd = CommandLine(member.endpoint, "main", tmp_path_factory.mktemp("console"))
    clusterd.begin()
    live.alive(clusterd)
    word = clusterd.file("word", f"{PASSWORD}\n")
    for role in ("viewer", "operator", "admin"):
        assert clusterd("console", "user", "add", role, "--role", role, "--password-file", word).code == 0
    return clusterd


@pytest.fixture(scope="module")
def url(clusterd: CommandLine) -> Iterator[str]:
    with console(clusterd) as address:
        yield address


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


def weight(clusterd: CommandLine, server: str = "rs1") -> int:
    found = live.value(clusterd, clusterd.keys.config_object(1, "virtuals/web"))
    return int(found["servers"][server]["weight"])


def verdict(clusterd: CommandLine, server: str, up: bool, since: str = "2026-01-31T10:00:00Z") -> None:
    told = {"up": up, "since": since, "detail": "status 200" if up else "connection refused"}
    for router in ("r1", "r2"):
        live.put(clusterd, clusterd.keys.health("web", server, router), told)


async def test_a_wrong_password_is_told_and_the_right_one_leads_in_by_the_keyboard_alone(
    browser: Browser, url: str
) -> None:
    async with person(browser, url) as viewer:
        await viewer.log_in("viewer", "wrong wrong")
        await viewer.sees("There is no such user with this password.")
        assert await viewer.page.input_value("#user") == "viewer"
        viewer.complaints.clear()  # Chromium tells of the 403
        await viewer.page.keyboard.type(PASSWORD)  # the cursor is in its field
        await viewer.page.keyboard.press("Enter")
        await viewer.page.get_by_role("heading", name="Monitoring").wait_for()
        await viewer.page.keyboard.press("Tab")
        assert await viewer.page.evaluate("document.activeElement.textContent") == "Skip to the content"
        await viewer.page.keyboard.press("Enter")
        assert await viewer.page.evaluate("document.activeElement.id") == "main"


async def test_a_server_that_fails_is_seen_without_reloading(browser: Browser, url: str, clusterd: CommandLine) -> None:
    async with person(browser, url) as viewer:
        await viewer.log_in("viewer")
        await viewer.sees("live")
        await viewer.page.evaluate("window.notReloaded = true")
        await viewer.page.focus(f'a[href="{RS1}"]')
        verdict(clusterd, "rs1", up=False)
        began_s = time.monotonic()
        detail = viewer.page.locator("td.detail", has_text="connection refused").first
        await detail.wait_for()
        print(f"seen {time.monotonic() - began_s:.2f} s after it was written")
        assert await viewer.page.inner_text(f'tr:has(a[href="{RS1}"]) .dot') == "down"
        verdict(clusterd, "rs1", up=True)
        await detail.wait_for(state="detached")
        assert await viewer.page.evaluate("window.notReloaded")
        assert await viewer.page.evaluate("document.activeElement.getAttribute('href')") == RS1


async def test_the_console_ends_soon_although_somebody_looks(browser: Browser, clusterd: CommandLine) -> None:
    with console(clusterd) as address:
        viewer = Person(await browser.new_page(), address)
        await viewer.log_in("viewer")
        await viewer.sees("live")
        began_s = time.monotonic()
    assert time.monotonic() - began_s < ENDING_S
    await viewer.sees("connection lost, trying again")
    await viewer.page.context.close()


async def test_connections_and_rates_are_those_of_the_router_beside_it(
    browser: Browser, url: str, clusterd: CommandLine
) -> None:
    async with person(browser, url) as viewer, router_beside(clusterd):
        await viewer.log_in("viewer")
        await viewer.sees("312 conns, 41/s, 88.0 kB/s in, 1.9 MB/s out")
        await viewer.sees("Connections and rates are those of router r1.")
        await viewer.open("/topology")
        await viewer.sees("web: up, weight 1, 107 conns")


async def test_a_weight_is_changed_and_is_in_etcd(browser: Browser, url: str, clusterd: CommandLine) -> None:
    async with person(browser, url) as operator:
        await operator.log_in("operator")
        await operator.open(RS1)
        await operator.page.fill("#f-weight", "-3")
        await operator.press("Show what changes")
        assert "must be at least 0, not -3" in await operator.text()
        operator.complaints.clear()  # Chromium tells of the 422
        await operator.page.click("text=weight >> nth=0")
        assert await operator.page.input_value("#f-weight") == "-3"
        await operator.page.fill("#f-weight", "5")
        await operator.press("Show what changes")
        assert "~ virtuals/web/servers/rs1/weight: 2 -> 5" in await operator.text()
        await operator.page.fill("#message", "it got another processor")
        await operator.press("Commit")
        await operator.sees("Committed: commit 2.")
        assert weight(clusterd) == 5
        record = live.value(clusterd, clusterd.keys.history(2))
        assert (record["author"]["user"], record["message"]) == ("operator", "it got another processor")


async def test_two_browsers_contradict_each_other(browser: Browser, url: str, clusterd: CommandLine) -> None:
    async with person(browser, url) as first, person(browser, url) as second:
        for one, name in ((first, "operator"), (second, "admin")):
            await one.log_in(name)
            await one.open(RS1)
        await first.page.fill("#f-weight", "7")
        await first.press("Show what changes")
        await first.press("Commit")
        await second.page.fill("#f-weight", "8")
        await second.page.fill("#f-upper_threshold", "100")
        await second.press("Show what changes")
        second.complaints.clear()  # Chromium tells of the 409
        told = await second.text()
        assert "Somebody else committed what contradicts this" in told
        assert "by operator@127.0.0.1" in told
        assert "yours is 8, theirs is 7, it was 5" in told
        assert await second.page.input_value("#f-upper_threshold") == "100"
        await second.press("Show what changes")
        await second.press("Commit")
        await second.sees("Committed")
        assert weight(clusterd) == 8


async def test_an_earlier_commit_is_brought_back(browser: Browser, url: str, clusterd: CommandLine) -> None:
    async with person(browser, url) as operator:
        await operator.log_in("operator")
        await operator.open("/history/1")
        await operator.press("Go back to commit 1")
        assert "weight: 8 -> 2" in await operator.text()
        await operator.press("Commit")
        await operator.sees("back to commit 1")
        assert weight(clusterd) == 2


async def test_a_viewer_can_look_and_not_edit(browser: Browser, url: str) -> None:
    async with person(browser, url) as viewer:
        await viewer.log_in("viewer")
        await viewer.open(RS1)
        assert await viewer.page.is_disabled("#f-weight")
        assert await viewer.page.get_by_role("button").all_inner_texts() == ["Log out"]


async def test_no_page_has_a_barrier_in_light_or_in_dark(browser: Browser, url: str, clusterd: CommandLine) -> None:
    verdict(clusterd, "rs3", up=False)
    async with person(browser, url) as admin:
        await admin.open("/login")
        assert await admin.barriers() == []
        await admin.log_in("admin")
        for path in PAGES:
            await admin.open(path)
            assert await admin.barriers() == [], path
        await admin.open(RS1)
        for value in ("many", "3"):  # the form with a fault, and what would change
            await admin.page.fill("#f-weight", value)
            await admin.press("Show what changes")
            assert await admin.barriers() == [], value
        admin.complaints.clear()  # Chromium tells of the 422


async def test_every_page_fits_a_phone(browser: Browser, url: str) -> None:
    async with person(browser, url, NARROW) as admin:
        await admin.log_in("admin")
        for path in PAGES:
            await admin.open(path)
            assert (path, await admin.overflows()) == (path, 0)


async def test_pictures_for_the_docs(
    browser: Browser, url: str, clusterd: CommandLine, request: pytest.FixtureRequest
) -> None:
    said = request.config.getoption("--screenshots")
    if said is None:
        pytest.skip("pictures are only made for --screenshots")
    folder = Path(said)
    since = [utc(datetime.now(UTC) - timedelta(minutes=minutes)) for minutes in (190, 260)]
    number = live.value(clusterd, clusterd.keys.head)["number"]
    live.report(clusterd, "r1", role="active", since=since[0], head=number, applied=number)
    live.report(clusterd, "r2", since=since[1], head=number, applied=number)
    for server, up, minutes in (("rs1", True, 250), ("rs2", True, 40), ("rs3", False, 3)):
        verdict(clusterd, server, up, utc(datetime.now(UTC) - timedelta(minutes=minutes)))
    async with (
        router_beside(clusterd),
        person(browser, url, LOW) as admin,
        person(browser, url, NARROW, "dark") as phone,
    ):
        await admin.log_in("admin")
        await phone.log_in("viewer")
        for one, path, name in (
            (admin, "/", "monitoring"),
            (admin, "/topology", "topology"),
            (admin, RS1, "server"),
            (phone, "/", "phone"),
        ):
            await one.open(path)
            await one.sees("live")
            if name == "server":
                await one.page.fill("#f-weight", "3")
                await one.press("Show what changes")
                name = "confirm"
            await one.page.screenshot(path=folder / f"console-{name}.png")


async def test_while_etcd_is_away_the_page_says_so_and_goes_on_afterwards(
    browser: Browser, url: str, member: Member
) -> None:
    async with person(browser, url) as viewer:
        await viewer.log_in("viewer")
        well = viewer.page.locator("#state", has_text="commit")
        await well.wait_for()
        member.kill()
        await viewer.page.get_by_text("etcd is away").first.wait_for(timeout=3 * SHORT_MS)
        assert "rs1" in await viewer.text()
        await asyncio.to_thread(member.start)
        await well.wait_for(timeout=3 * SHORT_MS)
