"""The rebuilt messages of etcd3 are etcd's: compared with etcd's .proto files, copied here as data."""

import os
import subprocess
import sys

import pytest
from google.protobuf.descriptor import FieldDescriptor

from clusterd.store._etcd3 import rpc

# message: name=number:type …; * repeated, @oneof, a capital begins a message's name, e. an enum's.
# From etcd's api/mvccpb/kv.proto and api/etcdserverpb/rpc.proto of 3.4, as far as clusterd uses them.
SCHEMA = """
KeyValue: key=1:bytes create_revision=2:int64 mod_revision=3:int64 version=4:int64 value=5:bytes lease=6:int64
Event: type=1:e.EventType kv=2:KeyValue prev_kv=3:KeyValue
ResponseHeader: cluster_id=1:uint64 member_id=2:uint64 revision=3:int64 raft_term=4:uint64
RangeRequest: key=1:bytes range_end=2:bytes limit=3:int64 revision=4:int64 sort_order=5:e.SortOrder \
 sort_target=6:e.SortTarget serializable=7:bool keys_only=8:bool count_only=9:bool min_mod_revision=10:int64 \
 max_mod_revision=11:int64 min_create_revision=12:int64 max_create_revision=13:int64
RangeResponse: header=1:ResponseHeader kvs=2:*KeyValue more=3:bool count=4:int64
PutRequest: key=1:bytes value=2:bytes lease=3:int64 prev_kv=4:bool ignore_value=5:bool ignore_lease=6:bool
PutResponse: header=1:ResponseHeader prev_kv=2:KeyValue
DeleteRangeRequest: key=1:bytes range_end=2:bytes prev_kv=3:bool
DeleteRangeResponse: header=1:ResponseHeader deleted=2:int64 prev_kvs=3:*KeyValue
RequestOp: request_range=1:RangeRequest@request request_put=2:PutRequest@request \
 request_delete_range=3:DeleteRangeRequest@request request_txn=4:TxnRequest@request
ResponseOp: response_range=1:RangeResponse@response response_put=2:PutResponse@response \
 response_delete_range=3:DeleteRangeResponse@response response_txn=4:TxnResponse@response
Compare: result=1:e.CompareResult target=2:e.CompareTarget key=3:bytes version=4:int64@target_union \
 create_revision=5:int64@target_union mod_revision=6:int64@target_union value=7:bytes@target_union \
 lease=8:int64@target_union range_end=64:bytes
TxnRequest: compare=1:*Compare success=2:*RequestOp failure=3:*RequestOp
TxnResponse: header=1:ResponseHeader succeeded=2:bool responses=3:*ResponseOp
WatchRequest: create_request=1:WatchCreateRequest@request_union cancel_request=2:WatchCancelRequest@request_union \
 progress_request=3:WatchProgressRequest@request_union
WatchCreateRequest: key=1:bytes range_end=2:bytes start_revision=3:int64 progress_notify=4:bool \
 filters=5:*e.FilterType prev_kv=6:bool watch_id=7:int64 fragment=8:bool
WatchCancelRequest: watch_id=1:int64
WatchProgressRequest:
WatchResponse: header=1:ResponseHeader watch_id=2:int64 created=3:bool canceled=4:bool compact_revision=5:int64 \
 cancel_reason=6:string fragment=7:bool events=11:*Event
LeaseGrantRequest: TTL=1:int64 ID=2:int64
LeaseGrantResponse: header=1:ResponseHeader ID=2:int64 TTL=3:int64 error=4:string
LeaseRevokeRequest: ID=1:int64
LeaseRevokeResponse: header=1:ResponseHeader
LeaseKeepAliveRequest: ID=1:int64
LeaseKeepAliveResponse: header=1:ResponseHeader ID=2:int64 TTL=3:int64
AuthenticateRequest: name=1:string password=2:string
AuthenticateResponse: header=1:ResponseHeader token=2:string
"""
ENUMS = {
    "EventType": ("PUT", "DELETE"),
    "SortOrder": ("NONE", "ASCEND", "DESCEND"),
    "SortTarget": ("KEY", "VERSION", "CREATE", "MOD", "VALUE"),
    "CompareResult": ("EQUAL", "GREATER", "LESS", "NOT_EQUAL"),
    "CompareTarget": ("VERSION", "CREATE", "MOD", "VALUE", "LEASE"),
    "FilterType": ("NOPUT", "NODELETE"),
}
SCALARS = {
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT64: "uint64",
}
METHODS = {
    "KVStub": {"Range", "Txn"},
    "WatchStub": {"Watch"},
    "LeaseStub": {"LeaseGrant", "LeaseRevoke", "LeaseKeepAlive"},
    "AuthStub": {"Authenticate"},
}


def spelled(field: FieldDescriptor) -> str:
    """Return a field in the words of the schema above."""
    if field.message_type:
        kind = field.message_type.name
    elif field.enum_type:
        assert ENUMS[field.enum_type.name] == tuple(value.name for value in field.enum_type.values)
        assert [value.number for value in field.enum_type.values] == list(range(len(field.enum_type.values)))
        kind = f"e.{field.enum_type.name}"
    else:
        kind = SCALARS[field.type]
    oneof = f"@{field.containing_oneof.name}" if field.containing_oneof else ""
    return f"{field.name}={field.number}:{'*' if field.is_repeated else ''}{kind}{oneof}"


@pytest.mark.parametrize("line", SCHEMA.strip().splitlines(), ids=lambda line: line.partition(":")[0])
def test_a_message_has_exactly_the_fields_of_etcd(line: str) -> None:
    name, _, fields = line.partition(":")
    descriptor = getattr(rpc, name).DESCRIPTOR
    assert sorted(spelled(field) for field in descriptor.fields) == sorted(fields.split())


def test_every_stub_has_its_methods_at_the_paths_of_etcd() -> None:
    class Paths:
        """Takes down what a stub asks a channel for."""

        def __init__(self) -> None:
            self.seen: list[tuple[str, str]] = []

        def __getattr__(self, kind: str) -> object:
            return lambda path, **_: self.seen.append((kind, path))

    for stub, methods in METHODS.items():
        paths = Paths()
        getattr(rpc, stub)(paths)
        assert {path for _, path in paths.seen} >= {f"/etcdserverpb.{stub[:-4]}/{method}" for method in methods}
        streams = {path.rpartition("/")[2] for kind, path in paths.seen if kind == "stream_stream"}
        assert streams == methods & {"Watch", "LeaseKeepAlive"}


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python of its own, where nothing has been imported."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def test_etcd3_imported_first_is_an_import_error_that_says_what_to_do() -> None:
    # Of protobuf's implementations only the one in pure Python can import etcd3 as it is.
    done = run("import etcd3, clusterd.store.etcd", PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python")
    assert "ImportError: etcd3 was imported before clusterd.store" in done.stderr
    assert "Import clusterd.store.etcd first" in done.stderr


def test_etcd3_imported_afterwards_works_and_uses_the_same_messages() -> None:
    done = run(
        "import clusterd.store.etcd, etcd3\n"
        "from clusterd.store._etcd3 import rpc\n"
        "assert etcd3.etcdrpc is rpc\n"
        "print((etcd3.client().transactions.version('a') > 0).build_message().key)"
    )
    assert (done.stdout.strip(), done.stderr) == ("b'a'", "")


def test_another_library_may_have_etcds_messages_in_the_common_pool() -> None:
    done = run(
        "from google.protobuf import descriptor_pool, descriptor_pb2\n"
        "file = descriptor_pb2.FileDescriptorProto(name='rpc.proto', package='etcdserverpb')\n"
        "file.message_type.add(name='RangeRequest')\n"
        "descriptor_pool.Default().AddSerializedFile(file.SerializeToString())\n"
        "from clusterd.store._etcd3 import rpc\n"
        "print(rpc.RangeRequest(key=b'a').key)"
    )
    assert (done.stdout.strip(), done.stderr) == ("b'a'", "")


def test_the_store_in_memory_needs_neither_grpc_nor_etcd3() -> None:
    done = run(
        "import sys, clusterd.store.memory\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('grpc', 'etcd3', 'google')])"
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
