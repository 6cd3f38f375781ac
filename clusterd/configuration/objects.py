"""The objects of a configuration, kept as the JSON that etcd has of them and read when they are asked for.

As values they take fifteen times the memory, and hardly anybody looks at them: what a router works with is the model.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from clusterd.history import ObjectChange, changed_objects, there
from clusterd.sharing import patched

_QUICKLY = 1  # a level of zlib: the others take longer and save little


class Objects(Mapping[str, Any]):
    """Objects by name (``virtuals/web``). Each look makes an object anew: who needs one twice keeps it."""

    def __init__(self, packed: Mapping[str, bytes]) -> None:
        """Take what `packed` made of the value of each."""
        self._packed = packed

    @classmethod
    def of(cls, objects: Mapping[str, Any]) -> "Objects":
        """Return these objects in little memory."""
        return objects if isinstance(objects, cls) else cls(_packed(objects))

    def __getitem__(self, name: str) -> Any:
        return decoded(zlib.decompress(self._packed[name]))

    def __contains__(self, name: object) -> bool:
        return name in self._packed

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield the JSON of each object that is one, by name."""
        for name, value in self._packed.items():
            yield name, zlib.decompress(value).decode()

    def after(self, changes: Mapping[str, ObjectChange]) -> "Objects":
        """Return the objects after a commit with these changes."""
        fresh = _packed(there(changes))
        return Objects(patched(self._packed, fresh, changes.keys() - fresh.keys()))


def after(objects: Mapping[str, Any], changes: Mapping[str, ObjectChange]) -> Mapping[str, Any]:
    """Return objects after a commit with these changes, kept as they were."""
    return objects.after(changes) if isinstance(objects, Objects) else changed_objects(objects, changes)


def _packed(objects: Mapping[str, Any]) -> dict[str, bytes]:
    return {name: packed(json.dumps(value).encode()) for name, value in objects.items()}


def packed(value: bytes) -> bytes:
    """Return a value of etcd in little memory."""
    return zlib.compress(value, _QUICKLY)


def decoded(value: bytes) -> Any:
    """Return what a value of etcd says; where it is no JSON, something that no committed object is."""
    try:
        return json.loads(value.decode())
    except (ValueError, RecursionError):
        return value.hex()
