"""etcd's messages and service stubs, out of the published etcd3 0.12.0, on today's protobuf.

The generated files of that release cannot be imported with protobuf 4 or later, but each of them holds the serialized
description of its .proto file as a literal. The literals are read (nothing in those files is executed), the fields
that etcd has gained since are added, and the message classes are built in a descriptor pool of their own, so that
another etcd library in the same process is not disturbed. The result is registered as `etcd3.etcdrpc`, which makes
the rest of etcd3 importable too. Any other release of etcd3 is imported as it is.

`rpc` has every message by its name in etcd's .proto files, the values of the top-level enums, and `KVStub`,
`WatchStub`, … which work on channels of grpc.aio.
"""

import ast
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

MODULE = "etcd3.etcdrpc"
PATCHED_RELEASE = "0.12.0"
PACKAGE = "etcdserverpb"

_BOOL = FieldDescriptorProto.TYPE_BOOL
_INT64 = FieldDescriptorProto.TYPE_INT64
_MESSAGE = FieldDescriptorProto.TYPE_MESSAGE

# What etcd 3.4 … 3.7 added and clusterd uses or can meet: message, field, number, type, oneof.
_NEW_MESSAGES = ("WatchProgressRequest", "UserAddOptions")
_ADDED = (
    ("WatchCreateRequest", "watch_id", 7, _INT64, ""),
    ("WatchCreateRequest", "fragment", 8, _BOOL, ""),
    ("WatchRequest", "progress_request", 3, _MESSAGE, "request_union"),
    ("WatchResponse", "fragment", 7, _BOOL, ""),
    ("UserAddOptions", "no_password", 1, _BOOL, ""),
    ("AuthUserAddRequest", "options", 3, _MESSAGE, ""),
)
_TYPES = {"progress_request": "WatchProgressRequest", "options": "UserAddOptions"}


def _description(path: Path) -> FileDescriptorProto:
    """Return the description of a .proto file that a generated module carries; ImportError where there is none."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "serialized_pb" and isinstance(node.value, ast.Call):
            literal = node.value.args[0]
            if isinstance(literal, ast.Constant) and isinstance(literal.value, str):
                return FileDescriptorProto.FromString(literal.value.encode("latin1"))
    raise ImportError(f"{path} has no serialized description: reinstall etcd3=={PATCHED_RELEASE}")


def _modernise(rpc_file: FileDescriptorProto) -> None:
    """Add what etcd has gained since etcd3 was released."""
    for name in _NEW_MESSAGES:
        rpc_file.message_type.add(name=name)
    messages = {message.name: message for message in rpc_file.message_type}
    for message_name, name, number, kind, oneof in _ADDED:
        message = messages[message_name]
        field = message.field.add(name=name, number=number, type=kind, label=FieldDescriptorProto.LABEL_OPTIONAL)
        if kind == _MESSAGE:
            field.type_name = f".{PACKAGE}.{_TYPES[name]}"
        if oneof:
            field.oneof_index = [declared.name for declared in message.oneof_decl].index(oneof)


def _stub(service: Any, class_of: Callable[[str], Any]) -> type:
    """Return a stub class like those that gRPC's generator writes, for one service."""

    def __init__(self: Any, channel: Any) -> None:  # noqa: N807 - becomes the constructor of the class made below
        for method in service.method:
            sides = (method.client_streaming, method.server_streaming)
            kind = "_".join("stream" if streaming else "unary" for streaming in sides)
            multicallable = getattr(channel, kind)(
                f"/{PACKAGE}.{service.name}/{method.name}",
                request_serializer=class_of(method.input_type.lstrip(".")).SerializeToString,
                response_deserializer=class_of(method.output_type.lstrip(".")).FromString,
            )
            setattr(self, method.name, multicallable)

    return type(f"{service.name}Stub", (), {"__init__": __init__})


def _module(files: tuple[FileDescriptorProto, ...]) -> ModuleType:
    """Build the classes of all files in a pool of their own, and return them as one module."""
    pool = DescriptorPool()
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())

    def class_of(name: str) -> Any:
        return GetMessageClass(pool.FindMessageTypeByName(name))

    module = ModuleType(MODULE, "etcd's messages and stubs, rebuilt by clusterd.store._etcd3.")
    module.__path__ = []
    for file in files:
        for message in file.message_type:
            setattr(module, message.name, class_of(f"{file.package}.{message.name}"))
        for enum in file.enum_type:
            for value in enum.value:
                setattr(module, value.name, value.number)
        for service in file.service:
            setattr(module, f"{service.name}Stub", _stub(service, class_of))
    return module


def _load() -> Any:
    """Return etcd's messages and stubs; ImportError where etcd3 was imported before this module could help it."""
    if importlib.metadata.version("etcd3") != PATCHED_RELEASE:
        return importlib.import_module(MODULE)
    if "etcd3" in sys.modules or MODULE in sys.modules:
        raise ImportError(
            "etcd3 was imported before clusterd.store: its own messages lack fields that clusterd needs. "
            "Import clusterd.store.etcd first, or do not import etcd3 in this program."
        )
    spec = importlib.util.find_spec("etcd3")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"the files of etcd3 are not where its metadata says: reinstall etcd3=={PATCHED_RELEASE}")
    folder = Path(spec.submodule_search_locations[0]) / "etcdrpc"
    files = tuple(_description(folder / f"{name}_pb2.py") for name in ("kv", "auth", "rpc"))
    _modernise(files[-1])
    module = _module(files)
    sys.modules[MODULE] = module
    return module


rpc: Any = _load()
