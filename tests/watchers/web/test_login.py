"""Who gets in, and which requests count as theirs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clusterd import console_users
from clusterd.clock import boottime_s
from clusterd.console_users import User
from tests.watchers.web.rig import PASSWORD, Rig
from watchers.web.attempts import EACH_ADDRESS


async def test_whoever_has_the_password_gets_in(rig: Rig) -> None:
    browser = rig.browser()
    assert (await browser.get("/")).headers["location"] == "/login"
    done = await browser.log_in("viewer")
    assert (done.status_code, done.headers["location"]) == (303, "/")
    cookie = next(one for one in done.headers.get_list("set-cookie") if one.startswith("clusterd="))
    assert {part.strip().lower() for part in cookie.split(";")[1:]} == {"httponly", "path=/", "samesite=strict"}
    assert (await browser.get("/")).status_code == 200
    assert (await browser.get("/login")).headers["location"] == "/"


@pytest.mark.parametrize(("name", "word"), [("viewer", "wrong"), ("nobody", PASSWORD), ("viewer", ""), ("", "")])
async def test_nobody_else_does_and_is_not_told_which_was_wrong(rig: Rig, name: str, word: str) -> None:
    browser = rig.browser()
    assert (await browser.log_in(name, word)).status_code == 403
    assert "There is no such user with this password." in browser.page
    assert (await browser.get("/")).status_code == 303


async def test_over_tls_the_cookie_stays_there(rig: Rig) -> None:
    browser = rig.browser()
    browser.client.base_url = "https://console"
    done = await browser.log_in("viewer")
    cookie = next(one for one in done.headers.get_list("set-cookie") if one.startswith("__Host-clusterd="))
    assert "secure" in cookie.lower()
    assert done.headers["strict-transport-security"]


@pytest.mark.parametrize(
    ("wanted", "goes"),
    [
        ("/history", "/history"),
        ("/?q=a b", "/?q=a b"),
        ("//evil.example", "/"),
        ("/\\evil", "/"),
        ("https://x", "/"),
        ("/\n", "/"),
    ],
)
async def test_after_the_login_one_is_where_one_wanted_but_never_elsewhere(rig: Rig, wanted: str, goes: str) -> None:
    browser = rig.browser()
    await browser.get("/login")
    done = await browser.send("Log in", user="viewer", password=PASSWORD, next=wanted)
    assert done.headers["location"].replace("%20", " ") == goes


async def test_a_page_asks_for_a_login_and_comes_back(rig: Rig) -> None:
    browser = rig.browser()
    assert (await browser.get("/history?before=3")).headers["location"] == "/login?next=%2Fhistory%3Fbefore%3D3"
    await browser.get("/login?next=%2Fhistory%3Fbefore%3D3")
    assert (await browser.send("Log in", user="viewer", password=PASSWORD)).headers["location"] == "/history?before=3"


async def test_a_login_form_from_elsewhere_is_refused(rig: Rig) -> None:
    browser = rig.browser()
    await browser.get("/login")
    sent = {"user": "viewer", "password": PASSWORD}
    assert (await browser.post("/login", sent)).status_code == 403
    await browser.get("/login")
    browser.client.cookies.clear()
    assert (await browser.send("Log in", **sent)).status_code == 403


async def test_too_many_attempts_have_to_wait_whatever_the_password(rig: Rig) -> None:
    browser = rig.browser()
    users = [f"u{n}" for n in range(EACH_ADDRESS)]
    for user in users:
        await browser.log_in(user, "wrong wrong")
    last = await browser.log_in("viewer")
    assert (last.status_code, int(last.headers["retry-after"]) > 500) == (429, True)
    assert "Too many attempts" in browser.page
    assert (await rig.browser("192.0.2.9").log_in("viewer")).status_code == 303


async def test_many_attempts_at_once_are_no_way_around(rig: Rig) -> None:
    browsers = [rig.browser() for _ in range(EACH_ADDRESS + 5)]
    answers = await asyncio.gather(*(browser.log_in("viewer", "wrong wrong") for browser in browsers))
    assert sorted(answer.status_code for answer in answers) == [403] * EACH_ADDRESS + [429] * 5


async def test_a_good_login_takes_back_the_attempts(rig: Rig) -> None:
    for _ in range(3):
        for _ in range(EACH_ADDRESS - 1):
            rig.access._attempts.wait_s("192.0.2.1", "viewer", boottime_s())
        assert (await rig.browser().log_in("viewer")).status_code == 303


async def test_who_logs_out_is_out_everywhere_that_cookie_is(rig: Rig) -> None:
    browser = await rig.logged_in("viewer")
    stolen = dict(browser.client.cookies)
    await browser.get("/")
    assert (await browser.send("Log out")).headers["location"] == "/login"
    thief = rig.browser()
    thief.client.cookies.update(stolen)
    assert (await thief.get("/")).status_code == 303


@pytest.mark.parametrize("change", ["password", "removed"])
async def test_a_session_ends_with_the_password_or_the_user(rig: Rig, change: str) -> None:
    browser = await rig.logged_in("viewer")
    there = await console_users.read(rig.others, rig.keys)
    if change == "password":
        await console_users.put(rig.others, rig.keys, there, "viewer", User(role="viewer", hash="another"))
    else:
        await console_users.remove(rig.others, rig.keys, there, "viewer")
    assert (await browser.get("/")).status_code == 200
    await rig.sight.look()
    assert (await browser.get("/")).status_code == 303


async def test_another_role_counts_at_once(rig: Rig) -> None:
    browser = await rig.logged_in("viewer")
    assert (await browser.get("/users")).status_code == 403
    await rig.user("viewer", "admin")
    await rig.sight.look()
    assert (await browser.get("/users")).status_code == 200


async def test_without_users_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    await rig.sight.look()
    browser = rig.browser()
    await browser.get("/login")
    assert "clusterd console user add NAME --role admin" in browser.page


async def test_where_etcd_never_answered_nobody_can_be_looked_up(tmp_path: Path) -> None:
    browser = Rig(tmp_path).browser()
    assert (await browser.log_in("viewer")).status_code == 503
    assert "etcd does not answer" in browser.page


async def test_a_form_without_the_sessions_token_is_refused(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    fields = {"as": "drain", "seen": "1", "step": "review"}
    for token in ({}, {"form_token": "0" * 64}):
        assert (await browser.post("/virtuals/web/servers/rs1", {**fields, **token})).status_code == 403
    await browser.get("/virtuals/web/servers/rs1")
    assert (await browser.send("Drain")).status_code == 200


async def test_a_form_that_another_site_sends_is_refused_even_with_the_token(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get("/virtuals/web/servers/rs1")
    browser.client.headers["sec-fetch-site"] = "cross-site"
    assert (await browser.send("Drain")).status_code == 403


async def test_what_was_typed_is_shown_when_the_session_had_ended(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get("/virtuals/web/servers/rs1")
    browser.client.cookies.clear()
    assert (await browser.send("Show what changes", **{"f:weight": "<7>"})).status_code == 401
    assert "Your session has ended" in browser.page
    assert "&lt;7&gt;" in browser.page
    assert (await rig.committed()).number == 1


PROXY = {"web_proxies": "10.0.0.0/8", "web_user_header": "X-Remote-User"}


async def proxied(folder: Path) -> Rig:
    rig = Rig(folder, **PROXY)
    await rig.begin()
    return rig


async def test_a_trusted_proxy_names_the_user(tmp_path: Path) -> None:
    browser = (await proxied(tmp_path)).browser("10.0.0.1", **{"X-Remote-User": "operator"})
    assert (await browser.get("/virtuals/web/servers/rs1")).status_code == 200
    assert (await browser.send("Drain")).status_code == 200
    browser.client.headers["X-Remote-User"] = "viewer"
    assert (await browser.get("/")).status_code == 200
    assert '<span class="role">viewer</span>' in browser.page
    browser.client.headers["X-Remote-User"] = "nobody"
    assert (await browser.get("/")).status_code == 303


async def test_nobody_else_does(tmp_path: Path) -> None:
    rig = await proxied(tmp_path)
    assert (await rig.browser("192.0.2.1", **{"X-Remote-User": "admin"}).get("/")).status_code == 303
    plain = Rig(tmp_path, web_proxies="10.0.0.0/8")
    await plain.begin()
    assert (await plain.browser("10.0.0.1", **{"X-Remote-User": "admin"}).get("/")).status_code == 303


async def test_a_trusted_proxy_says_that_the_browser_speaks_tls(tmp_path: Path) -> None:
    rig = await proxied(tmp_path)
    for peer, secure in (("10.0.0.1", True), ("192.0.2.1", False)):
        done = await rig.browser(peer, **{"X-Forwarded-Proto": "https"}).get("/login")
        assert ("secure" in done.headers["set-cookie"].lower()) is secure


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"x" * 20_000, 413), (b"a=%ff", 400), (b"&".join(b"a%d=1" % n for n in range(2001)), 400)],
)
async def test_what_is_no_form_is_refused(rig: Rig, body: bytes, status: int) -> None:
    assert (await rig.browser().client.post("/login", content=body)).status_code == status


async def test_a_form_that_never_arrives_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b"a=1"
        await asyncio.sleep(60)

    monkeypatch.setattr("watchers.web.typed.WITHIN_S", 0.1)
    assert (await rig.browser().client.post("/login", content=slowly())).status_code == 408
