"""Pages that show: who sees which, what is on them, and that nothing typed or stored becomes markup."""

import re
from pathlib import Path

import pytest

from clusterd.document import from_data
from clusterd.errors import ConfigError, StoreUnavailable
from clusterd.observing import Local
from clusterd.overview import Observed, overview
from clusterd.store.contract import Delete, Put
from tests.clusterd.examples import manual
from tests.watchers.web.rig import Rig
from watchers.web.app import HEADERS

PAGES = (
    "/", "/topology", "/virtuals", "/servers", "/checks", "/redundancy", "/settings", "/history", "/history/1",
    "/account", "/document", "/new/router", "/new/virtual", "/routers/r1", "/virtuals/web", "/virtuals/web/check",
    "/virtuals/web/add", "/virtuals/web/servers/rs1", "/virtuals/web?as=text", "/virtuals/web/check?type=exec",
)  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_for_whoever_is_logged_in(rig: Rig, path: str) -> None:
    browser = await rig.logged_in("viewer")
    assert (await browser.get(path)).status_code == 200
    assert (await rig.browser().get(path)).status_code == 303
    for nothing in ("<script>", "style=", "http://", "https://", " onclick"):
        assert nothing not in browser.page


@pytest.mark.parametrize("path", ["/users"])
async def test_users_are_for_admins(rig: Rig, path: str) -> None:
    assert (await (await rig.logged_in("admin")).get(path)).status_code == 200
    browser = await rig.logged_in("operator")
    assert (await browser.get(path)).status_code == 403
    assert "this is for the role admin, and yours is operator" in browser.page


@pytest.mark.parametrize("path", ["/", "/login", "/nowhere", "/static/0/console.css", "/live/plain", "/favicon.ico"])
async def test_every_answer_has_the_headers_that_keep_others_out(rig: Rig, path: str) -> None:
    answer = await rig.browser().get(path)
    assert {name: answer.headers[name] for name in HEADERS} == dict(HEADERS)
    assert answer.headers["cache-control"]
    assert "strict-transport-security" not in answer.headers


async def test_files_are_kept_by_browsers_and_pages_are_not(rig: Rig) -> None:
    browser = await rig.logged_in("viewer")
    assert (await browser.get("/")).headers["cache-control"] == "no-store"
    (address,) = re.findall(r'href="(/static/[^"]+\.css)"', browser.page)
    assert "immutable" in (await browser.get(address)).headers["cache-control"]
    assert (await browser.get("/static/0/..%2Fapp.py")).status_code == 404
    assert (await browser.get("/static/0/nothing.css")).status_code == 404


@pytest.mark.parametrize(
    "path", ["/routers/r9", "/virtuals/x", "/virtuals/web/servers/x", "/virtuals/x/check", "/history/9", "/nowhere"]
)
async def test_what_is_not_there_is_said(rig: Rig, path: str) -> None:
    browser = await rig.logged_in("viewer")
    assert (await browser.get(path)).status_code == 404
    assert "Not Found" in browser.page


async def test_the_state_of_the_cluster_is_what_clusterd_status_tells(rig: Rig) -> None:
    await rig.put(
        rig.keys.router("r1"), role="active", head=1, applied=1, converged=True, ready=True, warnings=["too <i>"]
    )
    await rig.others.transact((), [Put(rig.keys.active(), b"r1")])
    verdict = {"up": False, "since": "2026-01-31T11:00:00Z", "detail": "refused <b>"}
    await rig.put(rig.keys.health("web", "rs1", "r1"), **verdict)
    await rig.sight.look()
    browser = await rig.logged_in("viewer")
    await browser.get("/")
    for said in (
        "router r2 is not alive",
        "refused &lt;b&gt;",
        "too &lt;i&gt;",
        "0 of 3 used",
        '<span class="dot active">active</span>',
    ):
        assert said in browser.page
    assert "<b>" not in browser.page


async def test_a_filter_shows_the_virtual_servers_with_all_its_words(rig: Rig) -> None:
    await rig.change("virtuals/mail", {"address": "1.2.3.9/24", "interface": "eth0", "port": 25})
    await rig.sight.look()
    browser = await rig.logged_in("viewer")
    for query, web, mail in (
        ("", True, True),
        ("?q=RS2", True, False),
        ("?q=1.2.3.9", False, True),
        ("?q=mail+rs2", False, False),
    ):
        await browser.get(f"/virtuals{query}")
        assert ('href="/virtuals/web"' in browser.page, 'href="/virtuals/mail"' in browser.page) == (web, mail)
    assert "None fits “mail rs2”" in browser.page


async def test_many_virtual_servers_are_shown_in_pages(tmp_path: Path) -> None:
    virtuals = {f"v{n:03}": {"address": "1.2.3.1/24", "interface": "eth0", "port": n + 1} for n in range(120)}
    rig = Rig(tmp_path)
    await rig.begin(from_data({"virtuals": virtuals}))
    browser = await rig.logged_in("viewer")
    for query, first, count in (
        ("", "v000", 50),
        ("?page=3", "v100", 20),
        ("?page=99", "v100", 20),
        ("?page=x", "v000", 50),
    ):
        await browser.get(f"/virtuals{query}")
        found = re.findall(r'<a href="/virtuals/(v\d+)">', browser.page)
        assert (found[0], len(found)) == (first, count)
    assert "page 1 of 3, 120 virtual servers" in browser.page


async def test_the_history_tells_who_from_where_why_and_what(rig: Rig) -> None:
    for weight in (3, 4):
        await rig.change("virtuals/web/servers/rs1/weight", weight)
    await rig.put(rig.keys.applied(2, "r1"), seen="2026-01-31T12:00:00.100Z", applied="2026-01-31T12:00:00.300Z")
    await rig.sight.look()
    browser = await rig.logged_in("viewer")
    await browser.get("/history")
    assert re.findall(r'href="/history/(\d+)">\d+</a></th>', browser.page) == ["3", "2", "1"]
    assert "bob@r2" in browser.page
    await browser.get("/history?before=3")
    assert re.findall(r'href="/history/(\d+)">\d+</a></th>', browser.page) == ["2", "1"]
    await browser.get("/history/2")
    for said in ("bob&#39;s reason", "~ virtuals/web/servers/rs1/weight: 2 -&gt; 3", "12:00:00.300"):
        assert said in browser.page
    assert "Go back to commit" not in browser.page


async def test_of_many_commits_the_earlier_ones_are_on_further_pages(rig: Rig) -> None:
    for weight in range(100, 152):
        await rig.change("virtuals/web/servers/rs1/weight", weight)
    await rig.sight.look()
    browser = await rig.logged_in("viewer")
    await browser.get("/history")
    assert 'href="/history?before=4"' in browser.page
    await browser.get("/history?before=4")
    assert re.findall(r'href="/history/(\d+)">\d+</a></th>', browser.page) == ["3", "2", "1"]


async def test_a_missing_record_is_said(rig: Rig) -> None:
    await rig.change("virtuals/web/servers/rs1/weight", 3)
    await rig.others.transact((), [Delete(rig.keys.history(1))])
    await rig.sight.look()
    browser = await rig.logged_in("viewer")
    await browser.get("/history")
    assert "the record is missing" in browser.page


@pytest.mark.parametrize("path", PAGES)
async def test_while_etcd_is_away_pages_say_so_and_show_what_was_known_last(rig: Rig, path: str) -> None:
    browser = await rig.logged_in("operator")
    rig.etcd.down = True
    await rig.sight._without(StoreUnavailable("etcd is not there"))
    assert (await browser.get(path)).status_code == (503 if path.startswith("/history") else 200)
    assert "etcd is away" in browser.page
    if path in ("/", "/topology", "/servers"):
        assert "rs1" in browser.page
        assert "last known" in browser.page


async def test_while_etcd_is_away_a_router_on_this_host_tells(tmp_path: Path, rig: Rig) -> None:
    view = overview("main", 1, manual(), Observed(told_by="router r7"))
    told = Local(router="r7", overview=view, objects={"cluster": {}, "routers/r7": {"public": "1.2.3.7"}})

    async def local(_socket: Path) -> Local:
        return told

    browser = await rig.logged_in("viewer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("watchers.web.sight.local", local)
        await rig.sight._without(StoreUnavailable("gone"))
    await browser.get("/")
    assert "this is what router r7 knows" in browser.page


@pytest.mark.parametrize("path", ["/", "/topology", "/virtuals", "/servers", "/checks", "/history"])
async def test_without_a_configuration_pages_say_how_to_begin(tmp_path: Path, path: str) -> None:
    rig = Rig(tmp_path)
    await rig.user("viewer", "viewer")
    await rig.sight.look()
    browser = await rig.logged_in("viewer")
    assert (await browser.get(path)).status_code == 200
    assert "no configuration yet" in browser.page
    assert (await browser.get("/settings")).status_code == 503


async def test_what_cannot_be_read_is_said_and_is_not_taken_for_etcd_being_away(rig: Rig) -> None:
    browser = await rig.logged_in("viewer")
    await rig.others.transact((), [Put(rig.keys.head, b"what?")])
    with pytest.raises(ConfigError) as caught:
        await rig.sight.look()
    await rig.sight._without(caught.value)
    await browser.get("/")
    assert "not up to date" in browser.page
    assert "not a head that clusterd wrote" in browser.page
    assert "rs1" in browser.page


@pytest.mark.parametrize("path", ["/", "/virtuals/web", "/users", "/account", "/login"])
async def test_a_browser_may_ask_for_the_head_alone(rig: Rig, path: str) -> None:
    browser = await rig.logged_in("admin")
    assert (await browser.client.head(path)).status_code in (200, 303)


async def test_a_fault_is_no_traceback_on_the_page(rig: Rig) -> None:
    browser = await rig.logged_in("viewer")
    rig.console.sight.now = None  # type: ignore[assignment] # a fault of ours
    answer = await browser.get("/topology")
    assert answer.status_code == 500
    assert "Traceback" not in browser.page
