"""A password is where it has to be and nowhere else: not in logs, files, keys, the environment or `ps`."""

import asyncio
import os
import sys
from pathlib import Path
from subprocess import PIPE, STDOUT

import pytest

from tests.clusterd.guarded import DOCUMENT, Guarded, guarded
from tests.store.etcd_server import free_ports

pytestmark = pytest.mark.etcd


def holding(folder: Path, secret: str, but: Path) -> list[Path]:
    """Return the files below a folder that hold a secret, but those below another one, and etcd's own."""
    ours = (file for file in folder.rglob("*") if not {but, folder / "etcd" / "m0"}.intersection(file.parents))
    files = [file for file in ours if file.is_file()]
    return [file for file in files if secret.encode() in file.read_bytes()]


def seen_in_proc(secrets: set[str]) -> list[str]:
    """Return the processes that show one of the secrets in their command lines or environments."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                shown = (process / name).read_text(errors="replace")
                if any(secret in shown for secret in secrets):
                    found.append(f"{process.name}: {name}")
            except OSError:  # it has ended
                continue
    return found


async def started(made: Guarded, service: str, user: str, folder: Path) -> asyncio.subprocess.Process:
    """Start a service with the login of a user, saying all that it can say."""
    settings = {
        "CLUSTERD_DATA_PLANE": "dry_run",
        "CLUSTERD_ROUTER": user.partition("-")[2] or user,
        "CLUSTERD_STATE_DIR": str(folder / "state"),
        "CLUSTERD_RUN_DIR": str(folder / "run"),
    }
    environment = made.clusterd.environment | made.variables(user) | settings
    command = (sys.executable, "-m", "watchers", service, *(["--verbose"] if service == "router" else []))
    return await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=STDOUT)


async def test_passwords_and_the_routers_secret_are_nowhere_but_in_their_files(tmp_path: Path) -> None:
    context = guarded(tmp_path / "etcd", DOCUMENT.format(port=free_ports(1)[0]))
    (tmp_path / "etcd").mkdir()
    made = await asyncio.to_thread(context.__enter__)
    try:
        outputs = await _lived(made, tmp_path)
        logins = {file.name: file.read_text().strip() for file in made.passwords.iterdir()}
        root = made.store("root")
        keys = (await root.snapshot("/")).entries
        await root.close()
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)
    assert len(logins) == 8
    for user, password in logins.items():
        assert password not in outputs, user
        assert not [entry.key for entry in keys if password.encode() in entry.value], user
        assert holding(tmp_path, password, made.passwords) == [], user
    secret = next(entry.value for entry in keys if entry.key == made.clusterd.keys.peer_key).decode()
    assert secret not in outputs
    assert [entry.key for entry in keys if secret.encode() in entry.value] == [made.clusterd.keys.peer_key]
    files = holding(tmp_path, secret, made.passwords)
    assert {(file.name, file.stat().st_mode & 0o077) for file in files} <= {("main.json", 0)}, "the last good one"


async def _lived(made: Guarded, folder: Path) -> str:
    """Let services and commands run with logins, one of them wrong; return all that they say."""
    passwords = {file.read_text().strip() for file in made.passwords.iterdir()}
    services = [
        await started(made, "router", "router-r1", folder),
        await started(made, "agent", "agent-rs1", folder / "agent"),
        await started(made, "undoer", "undoer", folder),
    ]
    said = ""
    for command in (
        ("set", "virtuals/web/scheduler=rr", "--yes"),
        *(("status",), ("log",), ("show-commit", "2"), ("render", "lvs.cf"), ("show",), ("events",)),
    ):
        process = made.clusterd.start(*command, variables=made.variables("alice"), stdout=PIPE, stderr=STDOUT)
        assert seen_in_proc(passwords) == [], f"{command}: ps shows it"
        said += (await asyncio.to_thread(process.communicate))[0]
    wrong = made.passwords / made.name("agent-rs1")
    right = wrong.read_text()
    wrong.write_text("not-the-password\n")
    refused = await started(made, "agent", "agent-rs1", folder / "other")
    await asyncio.sleep(2)
    wrong.write_text(right)
    for service in (*services, refused):
        assert service.returncode is None
        service.terminate()
    said += "".join([(await service.communicate())[0].decode() for service in (*services, refused)])
    assert "check the user and the password" in said
    assert "not-the-password" not in said
    return said + os.linesep
