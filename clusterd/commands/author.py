"""Who types the command: as the system knows them, and as etcd does."""

import os
import pwd
import socket
from pathlib import Path

from clusterd.history import Author
from clusterd.settings import Settings


def author(settings: Settings) -> Author:
    """Return who commits, from where, and under which certificate."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    sudo_user = os.environ.get("SUDO_USER", "")
    return Author(
        user=user,
        host=socket.gethostname(),
        pid=os.getpid(),
        sudo_user="" if sudo_user == user else sudo_user.encode("utf-8", "replace").decode(),
        certificate=common_name(settings.cert) if settings.cert else "",
    )


def common_name(file: Path) -> str:
    """Return the common name of a certificate in PEM, "" where there is none; the connection tells what is wrong."""
    from cryptography import x509  # here, since most calls have no certificate and it takes a while to load
    from cryptography.x509.oid import NameOID

    try:
        names = x509.load_pem_x509_certificate(file.read_bytes()).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (OSError, ValueError):
        return ""
    return str(names[0].value) if names else ""
