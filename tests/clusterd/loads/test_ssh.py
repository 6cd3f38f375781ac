"""Load by ssh from a real ssh server on loopback: host keys are enforced, connections kept, and time is limited."""

import asyncio
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from clusterd.loads.sources import Asked, read
from clusterd.model import Load

UPTIME = " 10:02:56 up 12 days,  1:02,  3 users,  load average: 0.42, 0.30, 0.20\n4\n"


class Door(paramiko.ServerInterface):  # type: ignore[misc]  # paramiko has no types
    """Lets in who has the key, and answers commands with `text`; None: not at all."""

    def __init__(self, key: paramiko.PKey, text: str | None) -> None:
        self._key, self._text = key, text

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = username == "clusterd" and key == self._key
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED  # type: ignore[no-any-return]

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED  # type: ignore[no-any-return]

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if self._text is not None:
            threading.Timer(0.05, self._answer, (channel, self._text)).start()  # the request is answered first
        return True

    def _answer(self, channel: paramiko.Channel, text: str) -> None:
        channel.sendall(text.encode())
        channel.send_exit_status(0)
        channel.close()


class Host:
    """An ssh server with keys of its own."""

    def __init__(self, folder: Path) -> None:
        self.text: str | None = UPTIME
        self.connections = 0
        self._transports: list[paramiko.Transport] = []
        self._host_key, client_key = paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate()
        self._client_key = client_key
        self.key_file, self.known_hosts = folder / "key", folder / "known_hosts"
        client_key.write_private_key_file(str(self.key_file))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.know(self._host_key)
        threading.Thread(target=self._serve, daemon=True).start()

    def know(self, key: paramiko.PKey) -> None:
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {key.get_name()} {key.get_base64()}\n")

    def hang_up(self) -> None:
        for transport in self._transports:
            transport.close()

    def close(self) -> None:
        if self._socket.fileno() < 0:
            return
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.hang_up()

    def asked(self, **more: object) -> Asked:
        said = {"port": self.port, "key_file": str(self.key_file), "known_hosts": str(self.known_hosts)}
        return Asked("127.0.0.1", 80, Load.model_validate({"source": "ssh", "timeout_s": 3.0, **said, **more}))

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            transport = paramiko.Transport(connection)
            transport.add_server_key(self._host_key)
            transport.start_server(event=threading.Event(), server=Door(self._client_key, self.text))
            self._transports.append(transport)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    made.close()


async def test_uptime_and_nproc_are_asked_on_one_kept_connection(host: Host) -> None:
    for _ in range(3):
        reading = await read(host.asked())
        assert (getattr(reading, "load", reading), getattr(reading, "cores", 0)) == (0.42, 4)
    assert host.connections == 1


async def test_after_the_end_of_a_connection_there_is_another_one(host: Host) -> None:
    await read(host.asked())
    host.hang_up()
    assert isinstance(await read(host.asked()), str)
    assert getattr(await read(host.asked()), "load", 0) == 0.42
    assert host.connections == 2


async def test_a_host_with_another_key_than_in_known_hosts_is_not_asked(host: Host) -> None:
    host.know(paramiko.ECDSAKey.generate())
    assert await read(host.asked()) == "its host key is another than in known_hosts"


async def test_a_host_that_known_hosts_does_not_have_is_not_asked(host: Host) -> None:
    host.known_hosts.write_text("")
    assert "not found in known_hosts" in str(await read(host.asked()))
    host.known_hosts.unlink()
    assert await read(host.asked()) == "no such file or directory"


async def test_a_host_that_does_not_let_us_in_says_so(host: Host) -> None:
    assert await read(host.asked(user="stranger")) == "it does not let us in"


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], object]]:
    """An ssh agent, and what gives it a key."""
    place = tmp_path / "agent"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
    monkeypatch.setenv("HOME", str(tmp_path))  # where no key is
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.DEVNULL) as process:
        while not place.exists():
            time.sleep(0.01)
        yield lambda file: subprocess.run(["ssh-add", "-q", str(file)], check=True)
        process.terminate()


async def test_without_a_key_file_the_ssh_agent_is_asked(host: Host, agent: Callable[[Path], object]) -> None:
    assert await read(host.asked(key_file=None)) == "No authentication methods available"
    agent(host.key_file)
    assert getattr(await read(host.asked(key_file=None)), "load", 0) == 0.42


async def test_a_key_that_is_none_is_told(host: Host) -> None:
    host.key_file.write_text("no key")
    assert str(await read(host.asked()))
    host.key_file.unlink()
    assert await read(host.asked()) == "no such file or directory"


async def test_a_question_waits_for_the_last_one_only_for_its_time(host: Host) -> None:
    host.text = None
    answers = await asyncio.gather(*(read(host.asked(timeout_s=0.5)) for _ in range(2)))
    assert sorted(map(str, answers))[0] == "no answer within 0.5 s"


async def test_a_host_that_does_not_answer_costs_its_own_time_only(host: Host, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other, host.text = Host(tmp_path / "other"), None
    hanging = asyncio.create_task(read(host.asked(timeout_s=2)))
    try:
        assert getattr(await read(other.asked()), "load", 0) == 0.42
        assert not hanging.done()
    finally:
        other.close()
    assert await hanging == "no answer within 2 s"


async def test_what_is_no_uptime_is_told_and_the_connection_kept(host: Host) -> None:
    host.text = "Welcome to rs1\n"
    for _ in range(2):
        assert "no number of processors" in str(await read(host.asked()))
    assert host.connections == 1


async def test_a_closed_port_is_told(host: Host) -> None:
    host.close()
    assert "connect" in str(await read(host.asked())).lower()
