"""When the certificates of a router's settings end."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography import x509

from clusterd.settings import Settings

NAMES = ("cacert", "cert", "metrics_cert", "metrics_client_ca")


def ends(settings: Settings) -> dict[str, float]:
    """Return when each certificate ends, seconds since 1970, by its setting; of a file with several, the first end.

    One that cannot be read is left out: whoever uses it says what is wrong.
    """
    return dict(_ends({name: getattr(settings, name) for name in NAMES}))


def _ends(files: Mapping[str, Path | None]) -> Iterator[tuple[str, float]]:
    for name, file in files.items():
        try:
            found = x509.load_pem_x509_certificates(file.read_bytes()) if file else []
        except (OSError, ValueError):
            continue
        if found:
            yield name, min(one.not_valid_after_utc.timestamp() for one in found)
