"""Generic netlink: families of the kernel that are found by their names (linux/genetlink.h). Knows nothing of IPVS."""

import struct
from collections.abc import Sequence

from clusterd.dataplane.netlink import ACK, DUMP, Netlink, attribute, attributes
from clusterd.errors import ApplyError

_NETLINK_GENERIC = 16  # linux/netlink.h
_GENL_ID_CTRL, _CTRL_GETFAMILY, _CTRL_ATTR_FAMILY_ID, _CTRL_ATTR_FAMILY_NAME = 16, 3, 1, 2
_HEADER = struct.Struct("=BBH")  # genlmsghdr


class GenericNetlink:
    """A socket to one family of generic netlink. Raises ApplyError where the kernel does not have the family."""

    def __init__(self, family: str, version: int = 1) -> None:
        self._netlink = Netlink(_NETLINK_GENERIC)
        self._version = version
        self._family = _GENL_ID_CTRL
        try:
            self._family = self._family_id(family)
        except OSError as error:
            self._netlink.close()
            raise ApplyError(f"the kernel has no {family}: {error.strerror}; modprobe ip_vs loads it") from error

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    def _family_id(self, family: str) -> int:
        name = attribute(_CTRL_ATTR_FAMILY_NAME, family.encode() + b"\0")
        for reply in self.ask(_CTRL_GETFAMILY, name, ACK):
            for kind, payload in attributes(reply):
                if kind == _CTRL_ATTR_FAMILY_ID:
                    return int(struct.unpack("=H", payload)[0])
        raise OSError(0, "no answer")

    def _body(self, command: int, body: bytes) -> bytes:
        return _HEADER.pack(command, self._version, 0) + body

    def ask(self, command: int, body: bytes = b"", flags: int = DUMP, skip: int = 0) -> list[bytes]:
        """Send one request and return the attributes of each answer, less the bytes at its beginning that are skipped.

        Raises OSError with the kernel's errno.
        """
        return self._netlink.ask(self._family, self._body(command, body), flags, _HEADER.size + skip)

    def send(self, messages: Sequence[tuple[int, bytes]]) -> dict[int, int]:
        """Send many (command, body) and return {position: errno} of those that the kernel refused."""
        return self._netlink.send(self._family, [self._body(*message) for message in messages])
