"""The console as a program: where it may listen, and how it starts and ends."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from clusterd.errors import ConfigError
from clusterd.settings import Settings
from tests.clusterd.probing.certificates import certificate
from tests.store.etcd_server import free_ports
from watchers.__main__ import SERVICES, main
from watchers.web.service import checked


@pytest.mark.parametrize("where", ["127.0.0.1:8480", "[::1]:8480"])
def test_on_this_host_alone_it_needs_no_tls(where: str) -> None:
    assert checked(Settings(web_listen=where), insecure_http=False).port == 8480


@pytest.mark.parametrize("where", ["0.0.0.0:8480", "[::]:8480", "192.0.2.1:8480"])
def test_beyond_it_does_unless_somebody_says_otherwise(where: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--insecure-http"):
        checked(Settings(web_listen=where), insecure_http=False)
    assert checked(Settings(web_listen=where), insecure_http=True)
    file = tmp_path / "any.pem"
    file.touch()
    assert checked(Settings(web_listen=where, web_cert=file, web_key=file), insecure_http=False)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"web_cert": "/nowhere"}, "go together"),
        ({"web_cert": "/nowhere", "web_key": "/nowhere"}, "there is no file /nowhere"),
        ({"web_user_header": "X-User"}, "needs web_proxies"),
        ({"web_listen": "here"}, "an address and a port"),
    ],
)
def test_settings_that_do_not_fit_are_told(given: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        checked(Settings.model_validate(given), insecure_http=False)


def test_it_is_one_of_the_services() -> None:
    said = CliRunner().invoke(main, ["web", "--help"])
    assert "--insecure-http" in said.output
    assert set(SERVICES) == {"agent", "router", "undoer", "web"}
    assert all(name in CliRunner().invoke(main, ["--help"]).output for name in SERVICES)
    assert CliRunner().invoke(main, ["nothing"]).exit_code == 2


def started(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    config = folder / "clusterd.toml"
    config.touch()
    (port,) = free_ports(1)
    more = {"CLUSTERD_CONFIG": str(config), "CLUSTERD_ENDPOINTS": f"http://127.0.0.1:{port}", **variables}
    return subprocess.Popen(
        [sys.executable, "-m", "watchers", "web", *arguments],
        env={**os.environ, **more},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_what_is_wrong_is_said_and_ends_it(tmp_path: Path) -> None:
    process = started(tmp_path, "--listen", "0.0.0.0:0")
    assert process.stderr
    with process:
        said = process.stderr.read()
    assert (process.returncode, "--insecure-http" in said, "Traceback" in said) == (1, True, False)


def test_over_tls_and_without_etcd_it_answers_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    file = str(certificate(tmp_path / "console.pem"))
    (port,) = free_ports(1)
    where = f"127.0.0.1:{port}"
    process = started(tmp_path, "--listen", where, "--cert", file, "--key", file)
    assert process.stderr
    with process:
        try:
            trusting = ssl.create_default_context(cafile=file)
            answer = None
            end_s = time.monotonic() + 30
            while answer is None and time.monotonic() < end_s:
                try:
                    answer = httpx.get(f"https://{where}/login", verify=trusting)
                except httpx.TransportError:
                    time.sleep(0.1)
            assert answer
            assert answer.status_code == 200
            assert "__Host-clusterd-door=" in answer.headers["set-cookie"]
            assert answer.headers["strict-transport-security"]
        finally:
            process.send_signal(signal.SIGTERM)
            said = process.stderr.read()
    assert process.returncode == 0
    assert "Traceback" not in said
    assert f"console of cluster main at https://{where}" in said


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = started(tmp_path, "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        assert process.stderr
        with process:
            said = process.stderr.read()
    assert process.returncode
    assert "address already in use" in said
    assert "Traceback" not in said
