"""The manual's five-node cluster, shown: what is typed, what comes back, and what a client sees while things break.

Run by `script/demo` on a kernel with IPVS. Everything shown is checked as well: it ends with status 1 when something is
not as it should be.
"""

import shlex
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.lab import keepalived, takeover
from tests.lab.client import ArpWatcher, Poller, fetch
from tests.lab.cluster import DOCUMENT, LabCluster, wait_for
from tests.lab.takeover import Takeover
from tests.lab.topology import CLIENT, ECHO_PORT, GATEWAY, REAL_SERVERS, ROUTERS, VIP, Network


def title(text: str) -> None:
    """Begin a part."""
    print(f"\n== {text}", flush=True)


def say(text: str) -> None:
    """Show something, indented."""
    print("\n".join("   " + line for line in text.rstrip().splitlines()), flush=True)


def check(holds: bool, what: str) -> None:
    """Say that something holds, or end. Raises AssertionError."""
    if not holds:
        raise AssertionError(f"this does not hold: {what}")
    say(f"ok: {what}")


class Demo:
    """One run, part by part."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.cluster = LabCluster(network)

    def typed(self, *arguments: str, input_text: str | None = None) -> int:
        """Type a command of clusterd as the operator; return its exit status."""
        say("$ clusterd " + shlex.join(arguments))
        done = self.cluster.clusterd(*arguments, input_text=input_text)
        say(done.stdout + done.stderr)
        return done.returncode

    def start(self) -> None:
        """Bring the cluster up."""
        title("Two LVS routers, three real servers, a client; the configuration goes to etcd")
        say(DOCUMENT)
        self.network.serve_peer_address()
        began_s = time.monotonic()
        self.cluster.start()
        say(f"both routers applied it and {self.cluster.active()} is active {time.monotonic() - began_s:.1f} s later")
        say(f"$ ipvsadm -Sn      (on {self.cluster.backup()}, the backup: every router has the whole table)")
        say(self.cluster.ipvsadm(self.cluster.backup()))

    def traffic(self) -> None:
        """Requests from outside, and from the real servers to the outside."""
        title("200 requests from the client; rs1 has twice the capacity")
        pages = Counter(fetch(self.network, 200))
        say(", ".join(f"{server}: {pages[server]}" for server in REAL_SERVERS))
        spread = [pages[server] for server in REAL_SERVERS]
        check(all(abs(n - w) <= 2 for n, w in zip(spread, (100, 50, 50), strict=True)), "they are spread 2:1:1")
        route = self.network.run("rs2", "ip", "route", "show", "default").stdout.split()[2]
        check(route == GATEWAY, f"the default route of a real server is the floating gateway {GATEWAY}")
        public = {"r1": "1.2.3.2", "r2": "1.2.3.3"}[self.cluster.active()]
        seen = fetch(self.network, address=CLIENT, node="rs2", port=ECHO_PORT)
        check(seen == [public], f"a public host sees rs2 as {public}: masqueraded by the active router")

    def edits(self) -> None:
        """A change in both kernels; bad input changes nothing."""
        title("A weight is changed, in one transaction; somebody else's service on r1 stays")
        self.network.run("r1", "ipvsadm", "-A", "-t", "9.9.9.9:99", "-s", "rr")
        status = self.typed("set", "virtuals/web/servers/rs1/weight=1", "-m", "rs1 lost a processor", "--yes", "--wait")
        check(status == 0, "exit code 0: every router has applied it")
        for router in ROUTERS:
            check("192.168.1.1:80 -m -w 1" in self.cluster.ipvsadm(router), f"the kernel of {router} has weight 1")
        check("9.9.9.9:99" in self.cluster.ipvsadm("r1"), "the foreign service is still there")
        title("Bad input: everything wrong is named with its line, nothing is committed")
        bad = DOCUMENT.replace("weight: 2", "weight: -1").replace("port: 80", "port: 99999").replace("sched", "shced")
        twice = DOCUMENT + "  two: {address: 1.2.3.1/24, interface: eth0, port: 80}\n"
        for text in (bad, twice, DOCUMENT.replace("servers:", "servers: [")):
            check(self.typed("apply", "-f", "-", "--yes", input_text=text) == 1, "exit code 1")
        lvs_cf = "serial_no = 1\nprimary = 1.2.3.2\nbakup = 1.2.3.3\n"
        check(self.typed("import", "lvs.cf", "-", "--apply", "--yes", input_text=lvs_cf) == 1, "exit code 1")
        self.typed("log")

    def health(self) -> None:
        """A web server stops and starts."""
        title("rs1's web server stops; a client asks every 20 ms all the time")
        active, line = self.cluster.active(), "192.168.1.1:80"
        poller = Poller(self.network)
        began_s = time.monotonic()
        self.cluster.stop_web("rs1")
        wait_for("it left the pool", lambda: line not in self.cluster.ipvsadm(active))
        left_s = time.monotonic()
        wait_for("it is told", lambda: self.cluster.health("rs1", active)["up"] is False)
        say(f"out of the pool after {left_s - began_s:.1f} s (checked every 2 s, two failures); its key in etcd:")
        say(self.cluster.etcd.ctl("get", f"/clusterd/main/health/web/rs1/{active}"))
        time.sleep(1)
        self.cluster.start_web("rs1")
        began_s = time.monotonic()
        wait_for("it is back", lambda: line in self.cluster.ipvsadm(active))
        say(f"back in the pool {time.monotonic() - began_s:.1f} s after its start")
        polls = poller.stop()
        check(polls.between(left_s, time.monotonic()).failures == 0, "no request failed after the verdict")

    def outage(self) -> None:
        """etcd goes away for a while."""
        title("etcd is stopped for 30 s")
        probe, poller = ArpWatcher(self.network), Poller(self.network)
        self.cluster.etcd.stop()
        time.sleep(30)
        self.cluster.etcd.start()
        status = self.typed("set", "virtuals/web/servers/rs1/weight=2", "-m", "repaired", "--yes", "--wait")
        polls, log = poller.stop(), probe.stop()
        say(
            f"{len(polls.requests)} requests meanwhile, {polls.failures} failed; "
            f"longest wait {polls.longest_wait_s:.2f} s"
        )
        check(polls.failures == 0 and not log.dual_answers(), "traffic goes on, one router answers for the VIP")
        check(status == 0, "a commit made when etcd is back is applied on both routers")

    def takeovers(self) -> list[tuple[str, Takeover]]:
        """The active router stops, dies, loses its power."""
        rows = []
        for event, act in (
            ("hand-over", takeover.hand_over),
            ("kill -9", takeover.killed),
            ("power cut", takeover.power_cut),
        ):
            title(f"The active router: {event}")
            seen = act(self.cluster)
            rows.append((event, seen))
            say(str(seen))
            check(not seen.arp.dual_answers(), f"never did two routers answer for {VIP} (asked by ARP every 20 ms)")
            if event == "power cut":
                self.network.reboot(seen.old)
            takeover.back(self.cluster, seen.old)
        return rows

    def audit(self) -> None:
        """What etcdctl shows."""
        title("What a person sees in etcd")
        say("$ etcdctl get --prefix /clusterd/main/ --keys-only")
        say("\n".join(line for line in self.cluster.etcd.ctl("get", "--prefix", "--keys-only", "/clusterd/").split()))
        say("$ etcdctl get /clusterd/main/routers/…")
        for router in ROUTERS:
            say(str(self.cluster.status(router)))

    def compare(self, rows: list[tuple[str, Takeover]]) -> None:
        """keepalived with the same timers on the same routers."""
        title("keepalived beside it: same kernel, same routers, adverts every second, dead after three")
        for router in self.cluster.routers.values():
            router.kill()
        say(f"{'event':15}{'':12}{'gap':>7}{'wait':>8}{'failed':>8}{'ARP probes answered twice':>27}")
        for event, ours in rows:
            for name, seen in (("clusterd", ours), ("keepalived", keepalived.measured(self.network, event))):
                gap, wait = f"{seen.polls.longest_gap_s:.2f} s", f"{seen.polls.longest_wait_s:.2f} s"
                twice = f"{len(seen.arp.dual_answers())} of {seen.arp.probes}"
                say(f"{event:15}{name:12}{gap:>7}{wait:>8}{seen.polls.failures:>8}{twice:>27}")


def main() -> int:
    """Show everything."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="clusterd-demo.") as folder:
        network = Network(Path(folder))
        demo = Demo(network)
        try:
            network.build()
            demo.start()
            demo.traffic()
            demo.edits()
            demo.health()
            demo.outage()
            rows = demo.takeovers()
            demo.audit()
            demo.compare(rows)
        except (AssertionError, RuntimeError, OSError) as error:
            print(f"\ndemo: {error}", file=sys.stderr)
            for name, process in demo.cluster.routers.items():
                print(f"--- the log of {name}, its end\n{process.output()[-3000:]}", file=sys.stderr)
            return 1
        finally:
            network.close()
    title(f"All of it held. The demo took {time.monotonic() - began_s:.0f} s on the clock of its kernel.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
