"""TLS of a check, at least 1.2: by OpenSSL over buffers in memory, so that the sockets stay the engine's."""

import ssl
from functools import lru_cache

from clusterd.checks.dialogue import Encrypt

_CHUNK_BYTES = 65536


class TlsFailed(Exception):
    """The handshake or a record was not good. Its text is for people."""


class Tls:
    """One side of one connection. Bytes go in as they came, and come out as they are to be sent.

    Raises TlsFailed: `Encrypt.ca_file` that cannot be read is one, too.
    """

    def __init__(self, wanted: Encrypt) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            context = _context(wanted.verify, wanted.ca_file, wanted.protocols)
            self._object = context.wrap_bio(self._in, self._out, server_hostname=wanted.server_name)
        except (OSError, ValueError) as error:
            raise TlsFailed(f"TLS cannot begin: {error}") from error
        self.established = False

    def take(self, data: bytes) -> None:
        """Take in what came; b"" is the end."""
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()

    def outgoing(self) -> bytes:
        """Return what is to be sent now."""
        return self._out.read()

    def handshake(self) -> bool:
        """Go on with the handshake, and tell whether it is done."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except (OSError, ValueError) as error:
            raise TlsFailed(_in_words(error)) from error
        self.established = True
        return True

    def certificate(self) -> bytes:
        """Return the other side's certificate (DER)."""
        return self._object.getpeercert(binary_form=True) or b""

    def encrypt(self, data: bytes) -> None:
        """Put something into what is to be sent."""
        self._object.write(data)

    def decrypted(self) -> bytes | None:
        """Return what has come so far: None where it is nothing yet, b"" where nothing more will come."""
        try:
            return self._object.read(_CHUNK_BYTES)
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except OSError as error:
            raise TlsFailed(_in_words(error)) from error


def _in_words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLEOFError):
        return "closed the connection in the TLS handshake"
    reason = getattr(error, "reason", None) or str(error)
    return f"does not speak TLS with us: {str(reason).lower().replace('_', ' ')}"


@lru_cache(maxsize=256)
def _context(verify: bool, ca_file: str | None, protocols: tuple[str, ...]) -> ssl.SSLContext:
    """Return a context for all checks that want the same. A `ca_file` is read once, until the prober is restarted."""
    context = ssl.create_default_context(cafile=ca_file)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
