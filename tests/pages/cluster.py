"""A cluster for the commands of one page: an etcd, two routers with kernels in memory, and real servers that answer.

What a page calls 192.168.1.1 to .3, and its routers, are addresses of this host's loopback; floating ones are nowhere.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from clusterd.keys import Keys
from tests.pages.blocks import ROOT, files, manual
from tests.store.etcd_server import Member, etcdctl

ETCD = "http://192.168.1.10:2379"
NET = f"127.{1 + os.getpid() // 250 % 250}.{1 + os.getpid() % 250}"  # of this run alone
_SERVER = re.compile(r"\b192\.168\.1\.([123])\b")
_PUBLIC, _PRIVATE = re.compile(r"\b1\.2\.3\.([23])\b"), re.compile(r"\b192\.168\.1\.25([23])\b")


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class PageCluster:
    """Runs commands in a folder, as somebody on the host of router r1 does."""

    folder: Path
    etcd: str

    def here(self, text: str) -> str:
        """Return a text with the addresses that this cluster has."""
        for pattern, host in ((_SERVER, r"\1"), (_PUBLIC, r"10\1"), (_PRIVATE, r"20\1")):
            text = pattern.sub(f"{NET}.{host}", text)
        return text.replace(ETCD, self.etcd)

    def environment(self, router: str) -> dict[str, str]:
        """Return what programs on the host of a router are told."""
        own = {name: str(self.folder.parent / router) for name in ("CLUSTERD_RUN_DIR", "CLUSTERD_STATE_DIR")}
        (self.folder.parent / "clusterd.toml").touch()
        return own | {
            "CLUSTERD_CONFIG": str(self.folder.parent / "clusterd.toml"),
            "CLUSTERD_ENDPOINTS": self.etcd,
            "CLUSTERD_ROUTER": router,
            "CLUSTERD_LOG_FORMAT": "text",
            "ETCDCTL_API": "3",
            "ETCDCTL_ENDPOINTS": self.etcd,
            "EDITOR": "true",
            "HOME": str(self.folder.parent),
            "PATH": f"{self.folder.parent / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }

    def run(self, typed: str, code: int = 0) -> str:
        """Type it into a shell; return what is printed."""
        done = subprocess.run(
            ["bash", "-ec", self.here(typed)],
            cwd=self.folder,
            env=self.environment("r1"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, f"{typed}: ends with {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def settle(self) -> None:
        """Wait until both routers are ready and have applied the last commit, and one of them is active."""
        end_s = time.monotonic() + 30
        while True:
            lines = etcdctl(self.etcd, "get", "--prefix", "--print-value-only", Keys("main").routers_prefix).split("\n")
            told = [json.loads(line) for line in lines if line]
            applied = [router["ready"] and router["applied"] == router["head"] for router in told]
            if applied == [True, True] and "active" in [router["role"] for router in told]:
                return
            assert time.monotonic() < end_s, told
            time.sleep(0.2)


@contextmanager
def page_cluster(folder: Path, page: str, live: bool) -> Iterator[PageCluster]:
    """Have a cluster for a page, with the files that it shows; `live`: routers and real servers, too."""
    here, bin_ = folder / "here", folder / "bin"
    here.mkdir()
    bin_.mkdir()
    (bin_ / "clusterd").write_text(f'#!/bin/sh\nexec {sys.executable} -m clusterd "$@"\n')
    (bin_ / "clusterd").chmod(0o755)
    with ExitStack() as stack:
        cluster = PageCluster(here, stack.enter_context(Member(folder / "etcd")).endpoint)
        for name, text in ({"cluster.yaml": manual()} | files(page)).items():
            (here / name).write_text(cluster.here(text))
        for number in (1, 2, 3) if live else ():
            server = stack.enter_context(ThreadingHTTPServer((f"{NET}.{number}", 80), _Page))
            Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
        for router in ("r1", "r2") if live else ():
            stack.enter_context(_router(cluster, router))
        yield cluster


@contextmanager
def _router(cluster: PageCluster, name: str) -> Iterator[None]:
    (cluster.folder.parent / name).mkdir()
    program = [sys.executable, "-m", "tests.pages.router_in_memory"]
    with subprocess.Popen(program, cwd=ROOT, env=cluster.environment(name)) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)
