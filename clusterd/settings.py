"""Where etcd is and who we are: a file, then the environment, then the command line; the later one wins.

The file is /etc/clusterd/clusterd.toml, or what CLUSTERD_CONFIG names. Every setting is a key of the file
(``endpoints = ["http://etcd1:2379"]``) and a variable (``CLUSTERD_ENDPOINTS=http://etcd1:2379,http://etcd2:2379``).
"""

import difflib
import os
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, IPvAnyNetwork, ValidationError

from clusterd.errors import ConfigError, Problem
from clusterd.model import Name
from clusterd.store.contract import Store

if TYPE_CHECKING:
    from clusterd.store.accounts import EtcdAccounts
    from clusterd.store.endpoints import Credentials

FILE = Path("/etc/clusterd/clusterd.toml")
FILE_VARIABLE = "CLUSTERD_CONFIG"
PREFIX = "CLUSTERD_"
PATIENCE_S = 5.0  # within which etcd answers a call, over all its members


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class Settings(BaseModel):
    """The settings of every program of clusterd: from `router` on for the services, `web_…` for the console alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: Name = Field("main", description="which cluster: its keys are below /clusterd/<cluster>/")
    endpoints: Annotated[tuple[str, ...], BeforeValidator(_split), Field(min_length=1)] = Field(
        ("http://127.0.0.1:2379",), description="the members of etcd"
    )
    cacert: Path | None = Field(None, description="the CA certificate that etcd's is verified with")
    cert: Path | None = Field(None, description="the client certificate")
    key: Path | None = Field(None, description="the client certificate's key")
    user: str = Field("", description="etcd's user, for a login with a password")
    password_file: Path | None = Field(None, description="a file with that user's password")
    router: Name = Field(
        default_factory=lambda: socket.gethostname().partition(".")[0], description="this router's name in the document"
    )
    state_dir: Path = Field(Path("/var/lib/clusterd"), description="what must outlive a restart")
    run_dir: Path = Field(Path("/run/clusterd"), description="the socket, and what a restart needs")
    data_plane: Literal["kernel", "dry_run"] = Field(
        "kernel", description="whether a router writes to its kernel, or only works out what it would write"
    )
    lvs_cf: Path = Field(
        default_factory=lambda given: given["state_dir"] / "lvs.cf", description="where lvs.cf is written"
    )
    metrics: str = Field("", description="where Prometheus may ask, as address:port; nowhere without it")
    metrics_cert: Path | None = Field(None, description="the certificate for that, which makes it TLS")
    metrics_key: Path | None = Field(None, description="that certificate's key")
    metrics_client_ca: Path | None = Field(None, description="whose certificates those who ask must have")
    metrics_series: int = Field(10_000, ge=0, description="how many series virtual and real servers may have")
    log_format: Literal["auto", "text", "json", "journal"] = Field("auto", description="how services write their log")

    web_listen: str = Field("127.0.0.1:8480", description="address and port at which the console listens")
    web_cert: Path | None = Field(None, description="the console's certificate, for https")
    web_key: Path | None = Field(None, description="the key of the console's certificate")
    web_proxies: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(_split)] = Field(
        (), description="addresses of reverse proxies before the console, whose headers are believed"
    )
    web_user_header: str = Field("", description="header in which these proxies name the user they have asked")
    web_idle_s: float = Field(1800.0, gt=0, description="seconds after which a session that nobody uses ends")
    web_session_s: float = Field(43200.0, gt=0, description="seconds after which every session ends")

    @property
    def login(self) -> bool:
        """Whether etcd can know who we are: by a password, or by the name in a certificate."""
        return bool(self.user or self.cert)

    @property
    def socket(self) -> Path:
        """Where the router on this host tells what it knows of the cluster."""
        return self.run_dir / f"{self.cluster}.sock"

    @property
    def plan_socket(self) -> Path:
        """Where the router on this host tells what it would do to its kernel now."""
        return self.run_dir / f"{self.cluster}.plan.sock"


def read(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings. `flags` come from the command line; None there means not given.

    Raises ConfigError with every problem; its path says whether the file, a variable or an option is wrong.
    """
    variables = os.environ if environ is None else environ
    named = variables.get(FILE_VARIABLE)
    file = Path(named) if named else FILE
    problems: list[Problem] = []
    origins: dict[str, str] = {}
    values: dict[str, Any] = {}
    options = {key: value for key, value in (flags or {}).items() if value is not None}
    for source, given in (
        ("file", _from_file(file, required=bool(named))),
        ("variable", _from_variables(variables, problems)),
        ("option", options),
    ):
        for key, value in given.items():
            values[key] = value
            origins[key] = _origin(source, key, file)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        for detail in error.errors():
            if detail["type"] == "default_factory_not_called":
                continue  # lvs_cf, when what it comes from is wrong
            key = str(detail["loc"][0])
            unknown = detail["type"] == "extra_forbidden"
            message = "unknown key" + _known(key) if unknown else f"{detail['msg']}, not {detail['input']!r}"
            problems.append(Problem(0, origins.get(key, key), message))
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return settings


def open_store(settings: Settings) -> Store:
    """Return a connection to etcd, to be closed; ConfigError where a file or an endpoint cannot be used."""
    from clusterd.store.etcd import EtcdStore  # here, since it loads gRPC, which most commands can do without

    return EtcdStore(settings.endpoints, credentials(settings), timeout_s=PATIENCE_S)


def open_accounts(settings: Settings) -> "EtcdAccounts":
    """Return a connection to etcd for its users and roles, to be closed; ConfigError as `open_store` raises it."""
    from clusterd.store.accounts import EtcdAccounts

    return EtcdAccounts(settings.endpoints, credentials(settings))


def credentials(settings: Settings) -> "Credentials":
    """Return who we are to etcd."""
    from clusterd.store.endpoints import Credentials

    return Credentials(
        user=settings.user,
        password_file=settings.password_file,
        ca_file=settings.cacert,
        cert_file=settings.cert,
        key_file=settings.key,
    )


def _origin(source: str, key: str, file: Path) -> str:
    if source == "file":
        return f"{file}: {key}"
    return PREFIX + key.upper() if source == "variable" else "--" + key.replace("_", "-")


def _from_file(file: Path, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except FileNotFoundError as error:
        if not required:
            return {}
        raise ConfigError([Problem(0, FILE_VARIABLE, f"there is no file {file}")]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(0, str(file), f"cannot be read: {error}")]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Problem(0, str(file), f"not valid TOML: {error}")]) from error


def _from_variables(variables: Mapping[str, str], problems: list[Problem]) -> dict[str, str]:
    """Return the settings among the variables. A foreign CLUSTERD_… is nobody's problem, a misspelt one is."""
    found: dict[str, str] = {}
    for name, value in variables.items():
        key = name.removeprefix(PREFIX).lower()
        if not name.startswith(PREFIX) or name == FILE_VARIABLE:
            continue
        if key in Settings.model_fields:
            found[key] = value
        elif difflib.get_close_matches(key, Settings.model_fields, n=1, cutoff=0.8):
            problems.append(Problem(0, name, "unknown variable" + _known(key, PREFIX)))
    return found


def _known(key: str, prefix: str = "") -> str:
    near = difflib.get_close_matches(key.lower(), Settings.model_fields, n=1)
    spelled = [prefix + (word.upper() if prefix else word) for word in near or Settings.model_fields]
    return f"; did you mean {spelled[0]}?" if near else f"; known here: {', '.join(spelled)}"
