"""The command ``clusterd`` for tests: in this process where that is enough, else as a process of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from clusterd.commands import main
from clusterd.keys import Keys
from tests.clusterd.examples import MANUAL
from tests.store.etcd_server import etcdctl

PROGRAM = (sys.executable, "-m", "clusterd")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class CommandLine:
    """The command, for one cluster; `folder` is home and place for files."""

    endpoint: str
    cluster: str
    folder: Path

    @property
    def keys(self) -> Keys:
        return Keys(self.cluster)

    @property
    def environment(self) -> dict[str, str]:
        config = self.folder / "clusterd.toml"
        config.touch()
        return {
            "CLUSTERD_CONFIG": str(config),
            "CLUSTERD_ENDPOINTS": self.endpoint,
            "CLUSTERD_CLUSTER": self.cluster,
            "HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "PATH": os.environ["PATH"],
        }

    def __call__(self, *arguments: str, given: str | bytes = "", **variables: str) -> Ended:
        """Run the command in this process, without a terminal."""
        environment = {**dict.fromkeys(("VISUAL", "EDITOR", "SUDO_USER")), **self.environment, **variables}
        result = CliRunner().invoke(main, arguments, input=given, env=environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        """Start the command as a process of its own."""
        environment = {**self.environment, **options.pop("variables", {})}
        return subprocess.Popen([*PROGRAM, *arguments], env=environment, text=True, **options)

    def file(self, name: str, text: str) -> str:
        """Return the path of a new file with this text."""
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def script(self, text: str) -> str:
        """Return the path of a shell script that can be an editor; $1 is the file."""
        path = Path(self.file("editor.sh", f"#!/bin/sh\n{text}\n"))
        path.chmod(0o755)
        return str(path)

    def begin(self) -> None:
        """Commit the manual's cluster."""
        assert self("init", "-f", self.file("manual.yaml", MANUAL)).code == 0

    def kept(self) -> list[Path]:
        """Return the texts that were kept."""
        return sorted((self.folder / "cache" / "clusterd").glob("*"))

    def state(self) -> list[str]:
        """Return all keys, values and revisions of this cluster."""
        fields = etcdctl(self.endpoint, "get", "--prefix", self.keys.prefix, "-w", "fields")
        wanted = ('"Key', '"Value', '"ModRev', '"CreateRev')  # and not the answer's own revision and term
        return [line for line in fields.splitlines() if line.startswith(wanted)]

    def content(self) -> str:
        """Return all keys and values of this cluster."""
        return etcdctl(self.endpoint, "get", "--prefix", self.keys.prefix)
