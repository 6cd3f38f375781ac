"""An etcd that asks for logins, set up by the command itself, and what each login may do in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clusterd.store.endpoints import Credentials
from clusterd.store.etcd import EtcdStore
from tests.clusterd.command_line import CommandLine
from tests.store.authority import Authority
from tests.store.etcd_server import Member

QUICK = ("--bcrypt-cost", "4")
DOCUMENT = """\
cluster: {{heartbeat: {{deadtime_s: 10, keepalive_s: 0.5, port: {port}}}}}
routers:
  r1: {{public: 127.0.0.1, priority: 100}}
  r2: {{public: 127.0.0.2, priority: 50}}
virtuals:
  web:
    address: 10.9.8.1/24
    interface: wan
    port: 80
    check: {{type: tcp, interval_s: 0.2, timeout_s: 0.2, fall: 1, rise: 1}}
    load: {{source: agent}}
    servers: {{rs1: {{address: 127.0.0.1, port: {port}, weight: 2}}}}
"""


@dataclass(frozen=True)
class Guarded:
    """A member with authentication, and a folder with the passwords of its users."""

    member: Member
    clusterd: CommandLine
    passwords: Path

    def name(self, user: str) -> str:
        """Return the user's whole name; people and root have short ones."""
        return user if user in ("root", "alice", "bob") else f"clusterd-{self.clusterd.cluster}-{user}"

    def variables(self, user: str) -> dict[str, str]:
        """Return the settings that log a user in."""
        return {
            "CLUSTERD_USER": self.name(user),
            "CLUSTERD_PASSWORD_FILE": str(self.passwords / self.name(user)),
        }

    def store(self, user: str) -> EtcdStore:
        """Return a connection of a user."""
        login = Credentials(user=self.name(user), password_file=self.passwords / self.name(user))
        return EtcdStore([self.clusterd.endpoint], login, probe_s=1.0)


@dataclass(frozen=True)
class Certified(Guarded):
    """The same, but everybody is known by a client certificate, and only root by a password, too."""

    authority: Authority

    def issue(self, user: str, valid_s: float = 3600) -> tuple[Path, Path]:
        """Give a user a new certificate."""
        return self.authority.issue(user, self.name(user), valid_s=valid_s)

    def variables(self, user: str) -> dict[str, str]:
        """Return the settings by which a user is known."""
        folder = self.authority.folder
        files = {"CACERT": self.authority.file, "CERT": folder / f"{user}.pem", "KEY": folder / f"{user}.key"}
        return {f"CLUSTERD_{name}": str(file) for name, file in files.items()}

    def store(self, user: str) -> EtcdStore:
        """Return a connection of a user."""
        folder = self.authority.folder
        known = Credentials(
            ca_file=self.authority.file, cert_file=folder / f"{user}.pem", key_file=folder / f"{user}.key"
        )
        return EtcdStore([self.clusterd.endpoint], known, probe_s=1.0)


@contextmanager
def certified(folder: Path, document: str) -> Iterator[Certified]:
    """Run an etcd that asks for client certificates, with logins; alice is an operator, bob a viewer."""
    authority = Authority(folder / "tls")
    cert, key = authority.issue("server", "etcd")
    options = ("--cert-file", str(cert), "--key-file", str(key), "--trusted-ca-file", str(authority.file))
    with Member(folder, extra=(*QUICK, *options, "--client-cert-auth"), scheme="https") as member:
        clusterd = CommandLine(member.endpoint, "main", folder)
        made = Certified(member, clusterd, folder, authority)
        for user in ("alice", "bob", "router-r1", "router-r2"):
            made.issue(user)
        password = clusterd.file("root", "the way back in\n")
        for command in (
            ("init", "-f", clusterd.file("first.yaml", document)),
            ("auth", "setup", "--operator", "alice", "--viewer", "bob"),
            ("auth", "enable", "--root-password-file", password),
        ):
            ended = clusterd(*command, **made.variables("alice"))
            assert ended.code == 0, ended.err
        yield made


@contextmanager
def guarded(folder: Path, document: str, extra: tuple[str, ...] = ()) -> Iterator[Guarded]:
    """Run an etcd, commit a document, and have alice as an operator and bob as a viewer."""
    with Member(folder, extra=(*QUICK, *extra)) as member:
        clusterd, passwords = CommandLine(member.endpoint, "main", folder), folder / "passwords"
        assert clusterd("init", "-f", clusterd.file("first.yaml", document)).code == 0
        made = clusterd("auth", "setup", "--operator", "alice", "--viewer", "bob", "--passwords", str(passwords))
        assert made.code == 0, made.err
        (passwords / "root").write_text("the way back in\n")
        enabled = clusterd("auth", "enable", "--root-password-file", str(passwords / "root"))
        assert enabled.code == 0, enabled.err
        yield Guarded(member, clusterd, passwords)
