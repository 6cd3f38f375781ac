"""A router in numbers, as Prometheus gets them: a real scrape of a running router, and what must not disturb it."""

import asyncio
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from clusterd.counters import Counters
from clusterd.metrics import ALL, COMMON_LABELS, PROCESS
from clusterd.plane import DestinationKey, Key, Scope, Service
from clusterd.settings import Settings
from tests.clusterd.checks.servers import free_port
from tests.clusterd.probing.certificates import certificate
from tests.promtool import promtool
from tests.watchers.test_router import DOCUMENT, KEYS, Rig, rig, until
from watchers import kernel_follower, metrics
from watchers.kernel_writer import KernelWriter
from watchers.metrics import Endpoint, counting
from watchers.problems import Problems
from watchers.router import Router
from watchers.tasks import Tasks

__all__ = ["rig"]  # the fixture
LABELS = {metric.name: metric.labels for metric in ALL}


def settings(**more: Any) -> Settings:
    return Settings.model_validate({"metrics": f"127.0.0.1:{free_port()}", **more})


def get(place: Settings, tls: ssl.SSLContext | None = None) -> str:
    url = f"{'https' if tls else 'http'}://{place.metrics}/metrics"
    with urllib.request.urlopen(url, timeout=20, context=tls) as answer:  # noqa: S310
        return str(answer.read().decode())


async def scraped(place: Settings, tls: ssl.SSLContext | None = None) -> dict[tuple[str, ...], float]:
    """Every sample of a scrape by its name and its own labels' values."""
    return samples(await asyncio.to_thread(get, place, tls))


def samples(text: str) -> dict[tuple[str, ...], float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            own = LABELS.get(sample.name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count"), ())
            found[(sample.name, *(sample.labels[label] for label in own))] = sample.value
    return found


@asynccontextmanager
async def told(rig: Rig, place: Settings) -> AsyncIterator[Router]:
    """A router that tells its figures, as the service puts it together."""

    def counters(_: Scope) -> Mapping[Key, Counters]:
        keys = [
            key for key, item in rig.kernel.items.items() if isinstance(key, DestinationKey) or type(item) is Service
        ]
        return {key: Counters(connections=3, active=1, inactive=2, bytes_in=100) for key in keys}

    writer = KernelWriter(lambda: rig.kernel, None, counters)
    rig.router = router = Router("r1", rig.store, KEYS, writer, rig.places)
    rig.running = asyncio.create_task(router.run())
    tasks = Tasks()
    tasks.supervise("metrics", Endpoint(place, router.figures, router.problems).run)
    tasks.supervise("counting", lambda: counting(writer, router.scope))
    try:
        yield router
    finally:
        await tasks.end()


async def answered(place: Settings, tls: ssl.SSLContext | None = None) -> dict[tuple[str, ...], float]:
    """The first scrape that is answered."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await scraped(place, tls)
            except OSError:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def telling(place: Settings, problems: Problems, figures: Any = None) -> AsyncIterator[None]:
    """An endpoint alone."""
    task = asyncio.create_task(Endpoint(place, figures, problems).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "COUNTED_S", 0.2)
    monkeypatch.setattr(metrics, "AGAIN_S", 0.2)
    monkeypatch.setattr(kernel_follower, "LOOK_S", 0.5)


# --- what is told -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
async def test_every_metric_that_is_documented_is_told_and_no_other(rig: Rig, tmp_path: Path) -> None:
    file = certificate(tmp_path / "metrics.pem")
    place = settings(metrics_cert=file, metrics_key=file, metrics_client_ca=file)
    tls = ssl.create_default_context(cafile=str(file))
    tls.load_cert_chain(file)
    text = DOCUMENT.format(port=rig.port)
    base = await rig.commit(text)
    async with told(rig, place):
        await rig.serving()
        await rig.commit(text.replace("weight: 2", "weight: 7"), base)
        await rig.told(lambda status: status["applied"] == 2)
        async with asyncio.timeout(10):
            late = {("clusterd_lease_margin_lowest_seconds",), ("clusterd_server_connections_total", "web", "rs1")}
            while not late <= (await answered(place, tls)).keys():
                await asyncio.sleep(0.1)
        page = await asyncio.to_thread(get, place, tls)
    histograms = {metric.name for metric in ALL if metric.kind == "histogram"}
    names = {name for name, *_ in samples(page)}
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    assert names == ({metric.name for metric in ALL} - histograms) | parts | set(PROCESS)
    assert all(
        set(COMMON_LABELS) <= set(sample.labels)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name not in PROCESS
    )
    assert promtool("check", "metrics", given=page) == ""


@pytest.mark.usefixtures("quick")
async def test_a_commit_a_takeover_drift_and_a_server_that_had_to_stay_are_counted(rig: Rig) -> None:
    place = settings()
    text = DOCUMENT.format(port=rig.port)
    base = await rig.commit(text)
    async with told(rig, place):
        await rig.serving()
        async with asyncio.timeout(10):
            while not (found := await answered(place))["clusterd_takeovers_total", "first start"]:
                await asyncio.sleep(0.05)
        assert found["clusterd_commit_applied_number",] == found["clusterd_converged",] == 1
        assert found["clusterd_active", "default"] == 1
        assert found["clusterd_takeovers_total", "first start"] == found["clusterd_takeover_seconds_count",] == 1
        assert found["clusterd_convergence_seconds_count",] == 0, "what it found at its start did not come just now"
        assert 0 < found["clusterd_lease_margin_seconds",] <= found["clusterd_lease_ttl_seconds",] == 3
        assert found["clusterd_server_weight", "web", "rs1"] == 2
        assert found["clusterd_server_up", "web", "rs1"] == found["clusterd_virtual_servers_up", "web"] == 1
        assert found["clusterd_prober_starts_total",] == 1
        assert found["clusterd_store_call_seconds_count", "transact"] > 0
        assert found["clusterd_store_silence_seconds",] < 3
        assert found["clusterd_drift_repairs_total",] == found["clusterd_could_not_depool_total", "web"] == 0
        done = found["clusterd_kernel_operations_total",]
        await rig.commit(text.replace("weight: 2", "weight: 7"), base)
        await rig.told(lambda status: status["applied"] == 2)
        gone = next(key for key in rig.kernel.items if isinstance(key, DestinationKey))
        del rig.kernel.items[gone]
        rig.web.close()
        async with asyncio.timeout(20):
            while (
                not (found := await scraped(place))["clusterd_drift_repairs_total",]
                or not found["clusterd_could_not_depool_total", "web"]
            ):
                await asyncio.sleep(0.1)
        assert found["clusterd_drift_repairs_total",] == found["clusterd_events_total", "drift"] == 1
        assert found["clusterd_could_not_depool_total", "web"] == found["clusterd_virtual_servers_kept", "web"] == 1
        assert found["clusterd_server_up", "web", "rs1"] == 0
        assert found["clusterd_server_weight", "web", "rs1"] == 7
        assert found["clusterd_kernel_operations_total",] == done + 2
        assert found["clusterd_kernel_operations_failed_total",] == 0
        assert found["clusterd_convergence_seconds_count",] == 1
        stages = [found["clusterd_convergence_stage_seconds_sum", stage] for stage in ("seen", "planned", "applied")]
        assert sum(stages) == pytest.approx(found["clusterd_convergence_seconds_sum",])
        assert found["clusterd_virtual_connections_total", "web"] == 3
        assert found["clusterd_ipvs_counters_age_seconds",] < 20


async def test_a_router_without_a_configuration_tells_that(rig: Rig) -> None:
    place = settings()
    async with told(rig, place):
        found = await answered(place)
        assert (found["clusterd_commit_seen_number",], found["clusterd_ready",]) == (0, 0)
    await rig.stop()


# --- what must not disturb the router -----------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
async def test_a_port_in_use_is_a_problem_in_the_status_of_a_router_that_works_until_it_is_free(rig: Rig) -> None:
    place = settings()
    with socket.create_server(("127.0.0.1", int(place.metrics.rpartition(":")[2]))):
        await rig.commit(DOCUMENT.format(port=rig.port))
        async with told(rig, place):
            await rig.serving()
            problem = f"metrics cannot be told at {place.metrics}: [Errno 98] Address already in use"
            status = await rig.told(lambda status: problem in status.get("problems", ()))
    assert status["role"] == "active"


@pytest.mark.usefixtures("quick")
async def test_as_soon_as_the_port_is_free_metrics_are_told() -> None:
    place, problems = settings(), Problems()
    holder = socket.create_server(("127.0.0.1", int(place.metrics.rpartition(":")[2])))
    async with telling(place, problems):
        await until(lambda: problems.has("metrics"))
        holder.close()
        await until(lambda: not problems.has("metrics"))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"metrics": "9642"}, "it must be address:port, as 127.0.0.1:9642 or [::1]:9642"),
        ({"metrics": "localhost:9642"}, "it must be address:port"),
        ({"metrics": "127.0.0.1:99999"}, "it must be address:port"),
        ({"metrics": "192.0.2.1:9642"}, "Cannot assign requested address"),
        ({"metrics_cert": "/nowhere.pem"}, "TLS needs metrics_cert and metrics_key"),
        ({"metrics_client_ca": "/nowhere.pem"}, "TLS needs metrics_cert and metrics_key"),
        ({"metrics_cert": "/nowhere.pem", "metrics_key": "/nowhere.pem"}, "the files for TLS cannot be used"),
    ],
)
async def test_what_cannot_be_done_is_said(given: dict[str, str], problem: str) -> None:
    problems = Problems()
    async with telling(settings(**given), problems):
        await until(lambda: problems.has("metrics"))
    assert problem in problems.all()[0]


async def test_a_router_that_does_not_answer_is_an_error_for_who_asks(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_ANSWER_S", 0.2)
    place = settings()
    async with told(rig, place):
        await answered(place)
        asking = asyncio.get_running_loop().run_in_executor(None, get, place)
        time.sleep(1)  # noqa: ASYNC251 - the router hangs
        with pytest.raises(urllib.error.HTTPError, match="503") as raised:
            await asking
        raised.value.close()
        assert await scraped(place)
    await rig.stop()


def hung_up(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


async def test_clients_that_say_nothing_hold_up_nobody_unless_they_are_many(rig: Rig, tmp_path: Path) -> None:
    file = certificate(tmp_path / "metrics.pem")
    place = settings(metrics_cert=file, metrics_key=file)
    tls = ssl.create_default_context(cafile=str(file))
    where = ("127.0.0.1", int(place.metrics.rpartition(":")[2]))
    async with told(rig, place):
        await answered(place, tls)
        silent = [socket.create_connection(where) for _ in range(7)]
        assert await scraped(place, tls)
        silent.append(socket.create_connection(where))
        with socket.create_connection(where, 5) as ninth:
            assert await asyncio.to_thread(hung_up, ninth)
        for one in silent:
            one.close()
        assert await answered(place, tls)
    await rig.stop()


async def test_with_a_client_ca_only_who_has_a_certificate_of_it_is_answered(rig: Rig, tmp_path: Path) -> None:
    server = certificate(tmp_path / "server.pem")
    friend, stranger = certificate(tmp_path / "friend.pem"), certificate(tmp_path / "stranger.pem")
    place = settings(metrics_cert=server, metrics_key=server, metrics_client_ca=friend)

    def client(of: Path | None) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=str(server))
        if of:
            made.load_cert_chain(of)
        return made

    async with told(rig, place):
        assert await answered(place, client(friend))
        for refused in (client(None), client(stranger)):
            with pytest.raises(OSError, match=r"."):
                await scraped(place, refused)
        with pytest.raises(OSError, match=r"."):
            await scraped(place)
        assert await scraped(place, client(friend))
    await rig.stop()


async def test_a_certificate_that_is_replaced_counts_from_the_next_connection_on(rig: Rig, tmp_path: Path) -> None:
    file = certificate(tmp_path / "metrics.pem")
    place = settings(metrics_cert=file, metrics_key=file)
    async with told(rig, place):
        before = await answered(place, ssl.create_default_context(cafile=str(file)))
        certificate(file, days=60)
        after = await scraped(place, ssl.create_default_context(cafile=str(file)))
        ends = ("clusterd_certificate_expiry_timestamp_seconds", "metrics_cert")
        assert after[ends] - before[ends] == pytest.approx(30 * 86400, abs=60)
        file.write_text("no certificate")
        with pytest.raises(OSError, match=r"."):
            await scraped(place, ssl.create_default_context())
        certificate(file)
        assert await scraped(place, ssl.create_default_context(cafile=str(file)))
    await rig.stop()


async def test_metrics_are_told_over_ipv6_as_well(rig: Rig) -> None:
    place = settings(metrics=f"[::1]:{free_port()}")
    async with told(rig, place):
        assert await answered(place)
    await rig.stop()
