"""A run: a schedule is played to a whole cluster, everything is watched, and at the end the cluster is examined."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.chaos import evidence
from tests.lab.chaos.evidence import Acknowledged, Footprint, Window
from tests.lab.chaos.faults import FAULTS
from tests.lab.chaos.schedule import Fault, Schedule
from tests.lab.client import ArpWatcher, Poller, Polls
from tests.lab.cluster import LabCluster, wait_for
from tests.lab.guest import ROOT
from tests.lab.namespaces import Process, process_ids
from tests.lab.topology import GATEWAY, ROUTERS

WHOLE_S = 90.0
_SETTLES_S = 40.0  # an order to hand over is in etcd for half a minute, done or not
_LONGEST_EDIT_S = 60.0
Say = Callable[[str], None]


@dataclass
class Run:
    """One run on a cluster that is whole. `findings` are what is broken, a sentence each."""

    cluster: LabCluster
    schedule: Schedule
    say: Say = print
    windows: list[Window] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    _began_s: float = 0.0
    _edits: list[dict[str, Any]] = field(default_factory=list)

    def play(self) -> list[str]:
        """Do all that is scheduled, mend the cluster, and return what is broken."""
        before = {router: footprint(router) for router in ROUTERS}
        poller = Poller(self.cluster.network, limit_s=evidence.LIMIT_S)
        watchers = [ArpWatcher(self.cluster.network)]
        self._began_s = time.monotonic() + 1
        editor = self._editor()
        with self._faults() as (begin, end):
            for at_s, fault, begins in self.schedule.steps():
                time.sleep(max(0.0, self._began_s + at_s - time.monotonic()))
                (begin if begins else end)(fault)
        wait_for("the last edit is over", lambda: '"over"' in editor.output(), self.schedule.seconds + _LONGEST_EDIT_S)
        self._read(editor)
        self._mend()
        polls = poller.stop()
        self.findings += [finding for watcher in watchers for finding in evidence.doubled(watcher.stop())]
        self._told(polls)
        self.findings += evidence.outside(polls, self.windows, self._began_s)
        self.findings += self._commits()
        self.findings += self._kernels()
        for router, was in before.items():
            self.findings += evidence.grown(router, was, footprint(router))
            self.findings += evidence.surprised(router, self.cluster.routers[router].output())
        self.findings += self._leases()
        return self.findings

    def _moment(self) -> str:
        return f"{time.monotonic() - self._began_s:6.1f} s "

    @contextmanager
    def _faults(self) -> Iterator[tuple[Callable[[Fault], None], Callable[[Fault], None]]]:
        """Give what begins and what ends a fault; leave none behind, whatever happens."""
        with ExitStack() as left:
            present: dict[Fault, ExitStack] = {}

            def begin(fault: Fault) -> None:
                stack = left.enter_context(ExitStack())
                began_s = time.monotonic()
                what = stack.enter_context(FAULTS[fault.name](self.cluster, fault))
                present[fault] = stack
                self._announce(fault, what, began_s)

            def end(fault: Fault) -> None:
                present.pop(fault).close()
                self.say(f"{self._moment()} over: {fault.name}")

            yield begin, end

    def _announce(self, fault: Fault, what: str, began_s: float) -> None:
        told = f"{self._moment()} {fault.name} ({what})" if what else f"{self._moment()} {fault.name}"
        if not fault.hurts_s:
            self.say(f"{told}; no request may fail")
            return
        until_s = time.monotonic() + fault.hurts_s
        self.windows.append(Window(began_s, until_s, fault.name))
        self.say(f"{told}; requests may fail until {until_s - self._began_s:.1f} s")

    def _editor(self) -> Process:
        network, folder = self.cluster.network, self.cluster.network.directory / "editor"
        folder.mkdir()
        words = (self.schedule.seed, self.schedule.seconds, self._began_s, self.cluster.etcd.endpoints, folder)
        command = (sys.executable, "-m", "tests.lab.chaos.editor", *map(str, words))
        return network.spawn("etcd", *command, name="editor", cwd=ROOT)

    def _read(self, editor: Process) -> None:
        """Take what the editor did. An edit that cuts may have ended a connection until routers had applied it."""
        lines = [json.loads(line) for line in editor.output().splitlines() if line.startswith("{")]
        for began, ended in zip(lines[::2], lines[1::2], strict=False):
            self._edits.append(ended)
            if began["cuts"]:
                self.windows.append(Window(began["begins_s"], ended["ended_s"] + 3, f"edit {began['setting']}"))

    def _mend(self) -> None:
        done = self.cluster.clusterd("rollback", "1", "--yes", "--force", "-m", "the end")
        if done.returncode:
            self.findings.append(f"clusterd rollback 1: exit code {done.returncode}: {done.stdout}{done.stderr}")
        try:
            took_s = wait_for("the cluster is whole", self.cluster.settled, WHOLE_S)
            self.say(f"{self._moment()} the cluster is whole again, {took_s:.1f} s after the first commit came back")
        except AssertionError as error:
            told = "; ".join(f"{router}: {self.cluster.status(router)}" for router in ROUTERS)
            self.findings.append(f"{error}: {told}")

    def _told(self, polls: Polls) -> None:
        """Say what the client saw, and how the edits ended."""
        made = sum("commit" in edit for edit in self._edits)
        self.say(
            f"{len(self._edits)} edits, {made} of them committed, {len(self._edits) - made} refused or without need"
        )
        self.say(f"{len(polls.requests)} requests, {polls.failures} failed, longest gap {polls.longest_gap_s:.2f} s")
        for window, count in zip(self.windows, evidence.counted(polls, self.windows), strict=True):
            begin_s, end_s = window.begin_s - self._began_s, window.end_s - self._began_s
            self.say(f"  announced {begin_s:6.1f} to {end_s:6.1f} s: {count:4} failed; {window.why}")

    def _commits(self) -> tuple[str, ...]:
        shown = self.cluster.clusterd("log", "-n", "100000", "--json")
        history = [Acknowledged(one["number"], one["id"]) for one in reversed(json.loads(shown.stdout))]
        acknowledged = [Acknowledged(edit["commit"], edit["id"]) for edit in self._edits if "commit" in edit]
        verified = self.cluster.clusterd("audit", "verify")
        self.say(f"{len(acknowledged)} acknowledged commits; {verified.stdout.strip()}")
        broken = () if verified.returncode == 0 else (f"clusterd audit verify: {verified.stdout}{verified.stderr}",)
        nothing = () if acknowledged else ("no edit was committed: the run shows nothing",)
        return (*evidence.lost(acknowledged, history), *broken, *nothing)

    def _kernels(self) -> Iterator[str]:
        """Yield where a kernel is not as wanted: by its router's own word, and by that of the other one's kernel."""
        for router in ROUTERS:
            planned = self.cluster.clusterd("plan", env=dict(self.cluster.environment(router)))
            if planned.returncode:
                yield f"clusterd plan on {router}: {planned.stdout}{planned.stderr}"
        tables = {router: sorted(self.cluster.ipvsadm(router).splitlines()) for router in ROUTERS}
        if len({tuple(table) for table in tables.values()}) > 1:
            yield f"the routers' IPVS tables differ: {tables}"
        if self.cluster.holders(GATEWAY) != self.cluster.holders() or len(self.cluster.holders()) != 1:
            yield f"the VIP is on {self.cluster.holders()}, the gateway on {self.cluster.holders(GATEWAY)}"

    def _leases(self) -> tuple[str, ...]:
        found = self.cluster.etcd.leases()
        end_s = time.monotonic() + _SETTLES_S
        while evidence.orphaned(found) and time.monotonic() < end_s:
            time.sleep(1)
            found = self.cluster.etcd.leases()
        self.say(f"{len(found)} leases in etcd, {sum(found.values())} keys under them")
        return evidence.orphaned(found)


def footprint(router: str) -> Footprint:
    """Return what the processes on a router take now."""
    found = [Path("/proc") / str(number) for number in process_ids(router)]
    status = [_fields(process / "status") for process in found]
    return Footprint(
        processes=len(found),
        descriptors=sum(len(list((process / "fd").iterdir())) for process in found),
        threads=sum(int(each["Threads"]) for each in status),
        resident_kb=sum(int(each["VmRSS"].split()[0]) for each in status if "VmRSS" in each),
    )


def _fields(file: Path) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in file.read_text().splitlines() if ":\t" in line)
