"""Who a commit says it is from."""

import subprocess
from pathlib import Path

import pytest

from clusterd.commands.author import author, common_name
from clusterd.settings import Settings


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    key = ("-newkey", "rsa:2048", "-nodes", "-keyout", str(tmp_path / "key.pem"))
    made = ("-x509", "-days", "1", "-subj", "/O=ops/CN=alice", "-out", str(tmp_path / "cert.pem"))
    subprocess.run(["openssl", "req", *key, *made], check=True, capture_output=True)
    return tmp_path / "cert.pem"


def test_the_certificates_name_is_part_of_the_author(certificate: Path) -> None:
    found = author(Settings(cert=certificate))
    assert found.certificate == "alice"
    assert str(found).endswith(" (certificate alice)")


def test_without_a_certificate_nothing_is_said_of_one(tmp_path: Path) -> None:
    assert author(Settings()).certificate == ""
    (tmp_path / "bad.pem").write_text("no certificate")
    assert common_name(tmp_path / "bad.pem") == common_name(tmp_path / "none.pem") == ""


def test_who_called_sudo_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "bob")
    found = author(Settings())
    assert (found.sudo_user, str(found)) == ("bob", f"bob@{found.host} (as {found.user})")
