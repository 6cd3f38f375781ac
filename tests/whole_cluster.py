"""The whole cluster of docker-compose.yml, in the containers of whatever engine answers."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.store.engine import COMPOSE_FILE, docker

ROUTERS = ("r1", "r2")


class WholeCluster:
    """One project of Compose; calling it runs `docker compose` for that."""

    def __init__(self, name: str, *overrides: Path) -> None:
        files = [f"--file={file}" for file in (COMPOSE_FILE, *overrides)]
        self._options = ("compose", "--project-name", name, *files)

    def __call__(self, *arguments: str, check: bool = True) -> str:
        return docker(*self._options, *arguments, check=check)

    def run(self, service: str, *command: str) -> str:
        """Run a command beside a service's program, as its user."""
        user = ("--user", "clusterd") if service in ROUTERS else ()
        return self("exec", "-T", *user, service, *command, check=False)

    def status(self, wanted: Callable[[Any], bool], router: str = "r1") -> Any:
        """Return the status as a router sees it, once it is as wanted."""
        end_s = time.monotonic() + 60
        while True:
            out = self.run(router, "clusterd", "status", "--json")
            view = json.loads(out) if out.startswith("{") else {}
            if "routers" in view and wanted(view):
                return view
            assert time.monotonic() < end_s, out
            time.sleep(0.5)
