"""Who may import whom, read from the source, so that nothing is run.

    errors ← pure ← store, dataplane, renderers ← commands | watchers

Changing the tables below is a decision about the architecture.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("clusterd", "renderers", "watchers")

PURE = tuple(
    f"clusterd.{name}"
    for name in (
        "errors",
        "sharing",
        "model",
        "groups",
        "document",
        "rules",
        "service_rules",
        "changes",
        "merge",
        "brakes",
        "past",
        "hashes",
        "history",
        "keys",
        "rights",
        "releases",
        "netfilter",
        "services",
        "plane",
        "filtering",
        "sysctls",
        "paths",
        "desired",
        "wishes",
        "plan",
        "election",
        "readiness",
        "health",
        "loads.asked",
        "loads.parsing",
        "verdicts",
        "checks",
        "timetable",
        "weights",
        "lvscf",
        "reading",
        "configuration.objects",
        "words",
        "places",
        "amounts",
        "keepalived",
        "ldirectord",
        "ipvsadm",
        "reports",
        "counters",
        "metrics",
        "traffic",
        "doctor",
        "overview",
        "handing_over",
        "explanation",
        "reference",
    )
) + tuple(
    f"watchers.web.{name}"
    for name in ("addresses", "attempts", "fields", "forms", "panels", "sessions", "topology", "wording")
)
# fmt: off
IMPURE = (  # modules that wait, fail by themselves, read a clock or throw dice
    "asyncio", "concurrent", "ftplib", "glob", "http", "logging", "multiprocessing", "os", "paramiko", "pathlib",
    "platform", "pwd", "queue", "random", "requests", "sched", "secrets", "select", "selectors", "shutil", "signal",
    "smtplib", "socket", "socketserver", "ssl", "subprocess", "sys", "tempfile", "threading", "time",
    "urllib.request", "uuid",
)
# fmt: on
ONE_DOOR = {
    "grpc": ("clusterd.store",),
    "etcd3": ("clusterd.store",),
    "google": ("clusterd.store",),
    "pyroute2": ("clusterd.dataplane",),
    "jinja2": ("renderers", "watchers.web.drawing"),
    "yaml": ("clusterd.document",),
    "tenacity": ("clusterd.configuration",),
    "paramiko": ("clusterd.loads",),
    "h11": ("clusterd.checks", "clusterd.loads"),
    "h2": ("clusterd.checks.grpc_health",),
    "dns": ("clusterd.checks.dns",),
    "argon2": ("clusterd.console_users",),
    "click": ("clusterd.commands", "watchers"),
    "prometheus_client": ("watchers.metrics",),
    "rich": ("clusterd.commands.tables",),
    "cryptography": ("clusterd.commands.author", "clusterd.checks.tls", "watchers.certificates"),
    "textual": ("clusterd.commands.top_view",),
    "starlette": ("watchers.web",),
    "uvicorn": ("watchers.web.service",),
}
FORBIDDEN = {  # what the modules below a name never import; the longest name that fits counts
    "clusterd": ("clusterd.commands", "renderers", "watchers"),
    "clusterd.__main__": ("renderers", "watchers"),
    "clusterd.commands": ("watchers",),
    "clusterd.store": ("clusterd.commands", "clusterd.configuration", "clusterd.dataplane", "renderers", "watchers"),
    "clusterd.dataplane": ("clusterd.commands", "clusterd.configuration", "clusterd.store", "renderers", "watchers"),
    "renderers": ("clusterd.commands", "clusterd.configuration", "clusterd.dataplane", "clusterd.store", "watchers"),
    "watchers": ("clusterd.commands",),
}


def within(module: str, *names: str) -> bool:
    """Tell whether a module is one of these or inside one of them."""
    return any(module == name or module.startswith(name + ".") for name in names)


def imports(module: str, source: str, package: bool = False) -> Iterator[str]:
    """Yield every dotted name that the source imports, wherever in it; of `from a import b` it is ``a.b``."""
    around = module.split(".") if package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = around[: len(around) - node.level + 1] if node.level else []
            origin = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def broken_laws(module: str, source: str, package: bool = False) -> list[str]:
    """Return a sentence for every import that the architecture forbids."""
    found = []
    place = max((name for name in FORBIDDEN if within(module, name)), key=len)
    for name in imports(module, source, package):
        if within(name, *FORBIDDEN[place]):
            found.append(f"{module} imports {name}: the arrows point the other way")
        doors = next((doors for library, doors in ONE_DOOR.items() if within(name, library)), None)
        if doors and not within(module, *doors):
            found.append(f"{module} imports {name}: only {', '.join(doors)} may")
        if within(module, *PURE):
            ours = within(name, *PACKAGES)
            bare = name in ("clusterd", "clusterd.__version__")
            if (ours and not bare and not within(name, *PURE)) or within(name, *IMPURE):
                found.append(f"{module} imports {name}: it is pure, and that is not")
    return found


def sources() -> list[tuple[str, Path]]:
    """Return the dotted name and the file of every module of the product."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return [(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), file) for file in files]


@pytest.mark.parametrize(("module", "file"), [pytest.param(*each, id=each[0]) for each in sources()])
def test_a_module_imports_only_what_it_may(module: str, file: Path) -> None:
    assert broken_laws(module, file.read_text(), file.name == "__init__.py") == []


def test_all_modules_are_looked_at() -> None:
    names = {module for module, _ in sources()}
    assert {"clusterd", "clusterd.model", "clusterd.store.etcd", "clusterd.commands.edit", "watchers"} <= names


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("clusterd.model", "import time"),
        ("clusterd.model", "from os import path"),
        ("clusterd.model", "from clusterd.store import contract"),
        ("clusterd.model", "def late():\n    from clusterd import configuration"),
        ("clusterd.lvscf.syntax", "import pathlib"),
        ("clusterd.plan", "if True:\n    import concurrent.futures"),
        ("clusterd.rules", "from .store import contract"),
        ("clusterd.configuration", "import renderers.lvscf"),
        ("clusterd.configuration", "from clusterd.commands import main"),
        ("clusterd.configuration", "import grpc.aio"),
        ("clusterd.store.etcd", "from clusterd.dataplane import ipvs"),
        ("clusterd.store.etcd", "from watchers import router"),
        ("clusterd.dataplane.ipvs", "import clusterd.store.etcd"),
        ("clusterd.commands.edit", "import watchers"),
        ("clusterd.commands.edit", "import yaml"),
        ("clusterd.commands.edit", "from pyroute2 import IPRoute"),
        ("clusterd.settings", "import click"),
        ("clusterd.health", "import h11"),
        ("renderers.lvscf", "import watchers.router"),
        ("renderers.lvscf", "from clusterd.store.etcd import EtcdStore"),
        ("watchers.router", "import jinja2"),
        ("watchers.router", "import tenacity"),
        ("watchers.router", "from clusterd.commands import edit"),
    ],
)
def test_the_law_notices_a_breach(module: str, source: str) -> None:
    assert broken_laws(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("clusterd.model", "import ipaddress\nfrom clusterd.errors import Problem\nfrom clusterd import rules"),
        ("clusterd.document", "import yaml"),
        ("clusterd.lvscf", "from .syntax import Parser"),
        ("clusterd.store.etcd", "import grpc\nfrom clusterd import errors"),
        ("clusterd.commands.render", "from renderers import lvscf\nimport click"),
        ("watchers.router", "import clusterd.configuration\nimport renderers\nimport asyncio"),
    ],
)
def test_the_law_leaves_what_is_allowed_alone(module: str, source: str) -> None:
    assert broken_laws(module, source, package=module == "clusterd.lvscf") == []
