"""The answers of gRPC's health service, well made and not, without a network."""

import h2.config
import h2.connection
import pytest

from clusterd.checks.dialogue import Encrypt, Step
from clusterd.checks.grpc_health import judged, request, status_of
from clusterd.health import Observation
from clusterd.model import GrpcCheck
from tests.clusterd.checks.playing import Unfinished, encrypted, play, said

GRPC = GrpcCheck(type="grpc")
GOOD = {":status": "200", "grpc-status": "0"}
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"


@pytest.mark.parametrize(
    ("headers", "message", "ok", "detail"),
    [
        (GOOD, b"\0\0\0\0\x02\x08\x01", True, "says SERVING"),
        (GOOD, b"\0\0\0\0\x02\x08\x03", False, "says SERVICE_UNKNOWN"),
        (GOOD, b"\0\0\0\0\x02\x08\x07", False, "says 7"),
        (GOOD, b"", False, 'answered "", which is no HealthCheckResponse'),
        ({":status": "503"}, b"", False, "HTTP 503, expected gRPC"),
        ({":status": "200", "grpc-status": "12"}, b"", False, "gRPC status 12"),
        ({":status": "200", "grpc-status": "14", "grpc-message": "no"}, b"", False, "gRPC status 14: no"),
    ],
)
def test_an_answer_is_judged(headers: dict[str, str], message: bytes, ok: bool, detail: str) -> None:
    assert judged(headers, message) == Observation(ok, detail)


@pytest.mark.parametrize(
    "message", [b"", b"\x01\0\0\0\0", b"\0\0\0\0\x02\x08", b"\0\0\0\0\x02\x10\x01", b"\0\0\0\0\x01\x08"]
)
def test_what_is_no_response_has_no_status(message: bytes) -> None:
    assert status_of(message) is None


def test_a_name_of_any_length_is_asked_for_with_its_length() -> None:
    assert request("") == b"\0\0\0\0\0"
    assert request("a") == b"\0\0\0\0\x03\x0a\x01a"
    assert request("x" * 200) == b"\0\0\0\0\xcb\x0a\xc8\x01" + b"x" * 200


def test_a_call_that_is_given_up_is_told() -> None:
    steps: list[Step] = []
    with pytest.raises(Unfinished):
        play(GRPC, steps=steps)
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    server.initiate_connection()
    server.receive_data(b"".join(said(steps)))
    server.reset_stream(1, error_code=7)
    assert play(GRPC, server.data_to_send()) == Observation(False, "gave the call up with HTTP/2 error 7")


def test_a_breach_of_the_protocol_is_told_in_words() -> None:
    data_on_stream_0 = b"\0\0\x01\0\0\0\0\0\0x"
    found = play(GRPC, SETTINGS, data_on_stream_0)
    assert not found.ok
    assert found.detail.startswith("does not speak HTTP/2 with us: ")


def test_http_2_is_offered_in_tls() -> None:
    steps: list[Step] = []
    check = GrpcCheck(type="grpc", tls=True, server_name="shop.example.org")
    with pytest.raises(Unfinished):
        play(check, b"DER", SETTINGS, steps=steps)
    assert encrypted(steps) == [Encrypt("shop.example.org", protocols=("h2",))]


def test_an_answer_in_pieces_is_put_together() -> None:
    with pytest.raises(Unfinished):
        play(GRPC, SETTINGS[:4], SETTINGS[4:])
