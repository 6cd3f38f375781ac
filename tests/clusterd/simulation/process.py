"""A process in the simulation: it can stand still, die and begin again, and it asks etcd with a time limit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tests.clusterd.simulation.etcd import Etcd
from tests.clusterd.simulation.world import Act, World

T = TypeVar("T")


@dataclass
class Process:
    """What a process has begun in one life never reaches the next one."""

    name: str
    world: World
    etcd: Etcd
    life: int = 0
    running: bool = False
    paused: bool = False
    _waiting: list[Act] = field(default_factory=list)

    def begin(self) -> None:
        """Be born."""
        self.life += 1
        self.running, self.paused, self._waiting = True, False, []
        self.world.note(f"{self.name} starts")

    def end(self) -> None:
        """Die, as by kill -9."""
        self.world.note(f"{self.name} ends")
        self.life += 1
        self.running, self.paused = False, False

    def pause(self) -> None:
        """Stand still, as by SIGSTOP."""
        self.world.note(f"{self.name} pauses")
        self.paused = True

    def resume(self) -> None:
        """Go on: all that has come in meanwhile is there at once, in whatever order."""
        self.world.note(f"{self.name} resumes")
        self.paused = False
        waiting, self._waiting = self._waiting, []
        if self.world.chance(0.5):
            self.world.rng.shuffle(waiting)
        for position, act in enumerate(waiting):
            self.world.after(0.0001 * position, act)

    def bound(self, act: Act, life: int = 0) -> Act:
        """Bind an act to one life: it waits while the process stands still, and is gone with it."""
        born = life or self.life

        def now() -> None:
            if born != self.life:
                return
            if self.paused:
                self._waiting.append(now)
            else:
                act()

        return now

    def later(self, delay_s: float, act: Act) -> None:
        """Do something later in this life."""
        self.world.after(delay_s, self.bound(act))

    def request(self, work: Callable[[], T], answered: Callable[[T], None], lost: Act, timeout_s: float) -> None:
        """Ask etcd; either `answered` or `lost` is done, and etcd may do the work in both cases."""
        life, open_ = self.life, [True]

        def settle(act: Act) -> None:
            if open_:
                open_.clear()
                act()

        def answer(value: T) -> None:
            self.world.tcp("etcd", self.name, self.bound(lambda: settle(lambda: answered(value)), life))

        self.later(timeout_s, lambda: settle(lost))
        self.world.tcp(self.name, "etcd", lambda: self.etcd.serve(work, answer))
