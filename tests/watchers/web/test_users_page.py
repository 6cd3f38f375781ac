"""The users of the console, as admins and everybody else see them."""

from clusterd import console_users
from clusterd.console_users import User
from tests.watchers.web.rig import PASSWORD, Rig

NEW = "long enough"


async def users(rig: Rig) -> dict[str, User]:
    return dict((await console_users.read(rig.others, rig.keys)).by_name)


async def test_an_admin_adds_changes_and_removes_users(rig: Rig) -> None:
    browser = await rig.logged_in("admin")
    await browser.get("/users")
    assert (await browser.send("Add", name="carol", role="operator", password=NEW)).status_code == 303
    await browser.get("/users")
    assert (await browser.send("Add", name="dave", proxied="on")).status_code == 303
    found = await users(rig)
    assert console_users.fits(found["carol"], NEW)
    assert (found["carol"].role, found["dave"].hash) == ("operator", "")
    await browser.get("/users")
    token = {"form_token": browser.page.split('name="form_token" value="')[1][:64]}
    await browser.post("/users", {**token, "name": "carol", "role": "viewer", "step": "role"})
    await browser.post("/users", {**token, "name": "carol", "password": "even longer", "step": "password"})
    await browser.post("/users", {**token, "name": "dave", "step": "remove"})
    found = await users(rig)
    assert (found["carol"].role, "dave" in found) == ("viewer", False)
    assert console_users.fits(found["carol"], "even longer")


async def test_what_cannot_be_done_is_told_and_the_name_stays(rig: Rig) -> None:
    browser = await rig.logged_in("admin")
    before = await users(rig)
    for typed, told in (
        ({"name": "carol", "password": "short"}, "must have 10 to 1024 characters"),
        ({"name": "a/b", "password": NEW}, "has letters, digits"),
        ({"name": "viewer", "password": NEW}, "there is a user viewer already"),
        ({"name": "carol", "role": "emperor", "password": NEW}, "is one of viewer, operator, admin"),
    ):
        await browser.get("/users")
        await browser.send("Add", **typed)
        assert (browser.status, told in browser.page) == (422, True), told
        assert f'value="{typed["name"]}"' in browser.page
    token = {"form_token": browser.page.split('name="form_token" value="')[1][:64]}
    for sent, told in (
        ({"name": "admin", "step": "remove"}, "admin is the only admin"),
        ({"name": "nobody", "step": "role", "role": "admin"}, "there is no user nobody"),
    ):
        await browser.post("/users", {**token, **sent})
        assert (browser.status, told in browser.page) == (422, True)
    assert (await browser.post("/users", {**token, "name": "admin"})).status_code == 400
    assert await users(rig) == before


async def test_everybody_changes_their_own_password_with_the_old_one(rig: Rig) -> None:
    browser, elsewhere = await rig.logged_in("viewer"), await rig.logged_in("viewer")
    new = {"password": NEW, "repeated": NEW}
    for typed, told in (
        ({"old": "wrong", **new}, "the old password is wrong"),
        ({"old": PASSWORD, "password": NEW, "repeated": "other"}, "both new passwords"),
        ({"old": PASSWORD, "password": "short", "repeated": "short"}, "10 to 1024"),
    ):
        await browser.get("/account")
        await browser.send("Change", **typed)
        assert (browser.status, told in browser.page) == (422, True)
    await browser.get("/account")
    assert (await browser.send("Change", old=PASSWORD, **new)).headers["location"] == "/account?changed=1"
    await browser.get("/account?changed=1")
    assert "Your password is changed" in browser.page
    assert (await elsewhere.get("/")).status_code == 303
    assert console_users.fits((await users(rig))["viewer"], "long enough")


async def test_who_comes_by_the_proxy_has_none_to_change(rig: Rig) -> None:
    rig = Rig(rig.sight._socket.parent, web_proxies="10.0.0.0/8", web_user_header="X-Remote-User")
    await rig.begin()
    there = await console_users.read(rig.others, rig.keys)
    await console_users.put(rig.others, rig.keys, there, "viewer", User(role="viewer"))
    await rig.sight.look()
    browser = rig.browser("10.0.0.1", **{"X-Remote-User": "viewer"})
    await browser.get("/account")
    assert "A reverse proxy asks for your password." in browser.page
