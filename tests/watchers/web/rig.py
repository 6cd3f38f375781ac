"""The console upon a store in memory, and browsers that have no JavaScript: they fill in the forms of its pages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import argon2
import httpx

from clusterd import configuration, console_users
from clusterd.configuration import Committed
from clusterd.console_users import Role, User
from clusterd.history import Author, Signature
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.places import with_values
from clusterd.reports import encoded
from clusterd.settings import Settings
from clusterd.store.contract import Put
from clusterd.store.memory import MemoryStore
from tests.clusterd.examples import manual
from watchers.web.access import Access
from watchers.web.app import made
from watchers.web.console import Console
from watchers.web.sight import Sight
from watchers.web.streams import Streams

PASSWORD = "correct horse"  # noqa: S105 - of users that only tests have
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
OTHER = Signature(Author(user="bob", host="r2"), NOW, "bob's reason")
URL = "http://console"


@cache
def hashed() -> User:
    """Return a viewer with the password, by a hash that is cheap to compare."""
    return User(role="viewer", hash=argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD))


class Rig:
    """One console. `etcd` is the console's connection, `others` somebody else's to the same data."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.others = MemoryStore()
        self.etcd = self.others.connect()
        self.keys = Keys("main")
        self.sight = Sight(self.etcd, self.keys, folder / "main.sock")
        self.access = Access(Settings(**settings), self.sight)
        self.streams = Streams(self.sight, heartbeat_s=0.2)
        self.console = Console(self.etcd, self.keys, self.sight, self.access, self.streams, "web1")
        self.app = made(self.console)

    async def begin(self, cluster: Cluster | None = None) -> None:
        """Commit the manual's cluster, make a user of each role, and let the console look."""
        await configuration.commit(self.others, self.keys, None, cluster or manual(), OTHER)
        for role in console_users.ROLES:
            await self.user(role, role)
        await self.sight.look()

    async def user(self, name: str, role: Role) -> None:
        there = await console_users.read(self.others, self.keys)
        await console_users.put(self.others, self.keys, there, name, hashed().model_copy(update={"role": role}))

    async def put(self, key: str, **value: Any) -> None:
        await self.others.transact((), [Put(key, encoded(value))])

    async def committed(self) -> Committed:
        found = await configuration.read(self.others, self.keys)
        assert found
        return found

    async def change(self, path: str, value: Any) -> None:
        """Commit as somebody else."""
        base = await self.committed()
        await configuration.commit(self.others, self.keys, base, with_values(base.cluster, [(path, value)]), OTHER)

    def browser(self, peer: str = "192.0.2.1", **headers: str) -> "Browser":
        """Return a browser without a session."""
        transport = httpx.ASGITransport(app=self.app, client=(peer, 1), raise_app_exceptions=False)
        return Browser(httpx.AsyncClient(transport=transport, base_url=URL, headers=headers))

    async def logged_in(self, name: str = "admin") -> "Browser":
        """Return the browser of a user who has logged in."""
        browser = self.browser()
        assert (await browser.log_in(name)).status_code == 303
        return browser


@dataclass
class Form:
    """A form of a page: where it goes, and what its inputs hold."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)  # name, value, text


class Browser:
    """Somebody's browser; `page` is what it shows."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.page = ""
        self.status = 0

    async def get(self, path: str) -> httpx.Response:
        return self._shown(await self.client.get(path))

    async def post(self, path: str, fields: Mapping[str, str], **headers: str) -> httpx.Response:
        return self._shown(await self.client.post(path, data=dict(fields), headers=headers))

    async def send(self, button: str, **typed: str | None) -> httpx.Response:
        """Type into the form that has this button, None takes an input away, and press it."""
        form = next(one for one in forms(self.page) if any(button in text for _, _, text in one.buttons))
        name, value, _ = next(each for each in form.buttons if button in each[2])
        fields: dict[str, str | None] = {**form.fields, **({name: value} if name else {}), **typed}
        return await self.post(form.action, {key: text for key, text in fields.items() if text is not None})

    async def log_in(self, user: str, password: str = PASSWORD) -> httpx.Response:
        await self.get("/login")
        return await self.send("Log in", user=user, password=password)

    def _shown(self, response: httpx.Response) -> httpx.Response:
        self.page, self.status = response.text, response.status_code
        return response


def forms(page: str) -> list[Form]:
    """Return the forms of a page."""
    reader = _Forms()
    reader.feed(page)
    return reader.found


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._select = self._area = ""
        self._text: list[str] = []
        self._button: tuple[str, str] | None = None
        self._option: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(has.get("action", "")))
        if not self.found:
            return
        fields = self.found[-1].fields
        if tag == "input" and has.get("name"):
            if has.get("type") != "checkbox":
                fields[has["name"]] = has.get("value", "")
            elif "checked" in has:
                fields[has["name"]] = "on"
        elif tag == "select":
            self._select = has["name"]
        elif tag == "option" and self._select and ("selected" in has or self._select not in fields):
            self._text, self._option = [], has.get("value")
            fields.setdefault(self._select, "")
            self._area = f"option:{self._select}"
        elif tag == "textarea":
            self._text, self._area = [], has["name"]
        elif tag == "button":
            self._text, self._button = [], (has.get("name", ""), has.get("value", ""))

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        text = "".join(self._text)
        if tag == "option" and self._area.startswith("option:"):
            self.found[-1].fields[self._area.removeprefix("option:")] = text if self._option is None else self._option
            self._area = ""
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self.found[-1].fields[self._area] = text.removeprefix("\n").replace("\n", "\r\n")
        elif tag == "button" and self._button:
            self.found[-1].buttons.append((*self._button, text))
            self._button = None
