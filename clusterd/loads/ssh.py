"""Commands on real servers by ssh, and load by `uptime` and `nproc`: on one kept connection to each host.

Host keys are enforced: a host whose key is not in the known_hosts file is not talked to. paramiko blocks, so it works
in a bounded number of threads, each step with a time limit; a host that hangs holds up one of them and no other host.
"""

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import paramiko

from clusterd.clock import boottime_s
from clusterd.loads.asked import Asked
from clusterd.loads.parsing import uptime
from clusterd.weights.values import Reading

COMMAND = "LC_ALL=C uptime && nproc"
THREADS = 16
PORT = 22
USER = "clusterd"
KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"
LIMIT_BYTES = 65536

logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # what goes wrong is told as the reason


@dataclass(frozen=True, slots=True)
class Printed:
    """What a command printed."""

    text: str


@dataclass(slots=True)
class Session:
    """One host as one user, and the connection to it. Only one thread at a time uses it."""

    asked: Asked
    lock: threading.Lock = field(default_factory=threading.Lock)
    client: paramiko.SSHClient | None = None

    def ask(self, command: str) -> Printed | str:
        """Run a command, on the kept connection if there is one. A connection that fails is not kept."""
        if not self.lock.acquire(timeout=self.asked.load.timeout_s):
            return "the last question is not answered yet"
        try:
            if self.client is None:
                self.client = self._connected()
            return Printed(self._output(self.client, command))
        except ValueError as error:
            return str(error)
        except paramiko.UnknownKeyType:
            return f"{self.asked.load.key_file} is no private key"
        except TimeoutError:
            self._drop()
            return f"no answer within {self.asked.load.timeout_s:g} s"
        except (paramiko.SSHException, OSError, EOFError) as error:
            self._drop()
            return _in_words(error)
        finally:
            self.lock.release()

    def _connected(self) -> paramiko.SSHClient:
        load, client = self.asked.load, paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            client.load_system_host_keys(load.known_hosts or KNOWN_HOSTS)
            key = paramiko.PKey.from_path(load.key_file) if load.key_file else None
            client.connect(
                self.asked.address,
                load.port or PORT,
                load.user or USER,
                pkey=key,
                allow_agent=key is None,
                look_for_keys=key is None,
                timeout=load.timeout_s,
                banner_timeout=load.timeout_s,
                auth_timeout=load.timeout_s,
                channel_timeout=load.timeout_s,
            )
        except BaseException:
            client.close()
            raise
        return client

    def _output(self, client: paramiko.SSHClient, command: str) -> str:
        _, out, _ = client.exec_command(command, timeout=self.asked.load.timeout_s)
        try:
            text: bytes = out.read(LIMIT_BYTES)
            return text.decode(errors="replace")
        finally:
            out.channel.close()

    def _drop(self) -> None:
        if self.client is not None:
            self.client.close()
            self.client = None


_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ssh")
_sessions: dict[tuple[str, int | None, str | None, str | None, str | None], Session] = {}


async def read(asked: Asked) -> Reading | str:
    """Return what the real server's uptime and nproc print."""
    answer = await printed(asked, COMMAND)
    try:
        return uptime(answer.text, boottime_s()) if isinstance(answer, Printed) else answer
    except ValueError as error:
        return str(error)


async def printed(asked: Asked, command: str) -> Printed | str:
    """Return what a shell's command prints on the real server, or in words why it could not be run there."""
    load = asked.load
    key = (asked.address, load.port, load.user, load.key_file, load.known_hosts)
    session = _sessions.get(key)
    if session is None or session.asked.load.timeout_s != load.timeout_s:
        session = _sessions[key] = Session(asked)
    return await asyncio.get_running_loop().run_in_executor(_threads, session.ask, command)


def _in_words(error: Exception) -> str:
    match error:
        case paramiko.BadHostKeyException():
            return "its host key is another than in known_hosts"
        case paramiko.AuthenticationException():
            return "it does not let us in"
        case OSError(strerror=str(words)):
            return words.lower()
        case _:
            return str(error) or type(error).__name__
