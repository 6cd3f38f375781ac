"""Every key of clusterd in etcd, spelled here and nowhere else. Values are JSON, readable by etcdctl."""

from dataclasses import dataclass

ROOT = "/clusterd/"
SECRETS_ROOT = "/clusterd-secrets/"  # beside it, so that whoever may read all of a cluster reads no secret


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one cluster, below ``/clusterd/<cluster>/``, its secrets below ``/clusterd-secrets/<cluster>/``."""

    cluster: str

    @property
    def prefix(self) -> str:
        """Everything of this cluster."""
        return f"{ROOT}{self.cluster}/"

    @property
    def secrets_prefix(self) -> str:
        """What only routers and those who commit may read."""
        return f"{SECRETS_ROOT}{self.cluster}/"

    @property
    def head(self) -> str:
        """The one pointer that routers follow: number, generation, author, time, message, hash of the last commit."""
        return self.prefix + "head"

    @property
    def config_prefix(self) -> str:
        """The prefix of all objects of all generations."""
        return self.prefix + "config/"

    def config(self, generation: int) -> str:
        """The prefix of all objects of one generation."""
        return f"{self.config_prefix}{generation}/"

    def config_object(self, generation: int, name: str) -> str:
        """One object: `name` is ``cluster``, ``routers/<name>`` or ``virtuals/<name>``."""
        return self.config(generation) + name

    @property
    def history_prefix(self) -> str:
        """The prefix of all commit records."""
        return self.prefix + "history/"

    def history(self, number: int) -> str:
        """The record of one commit, zero-padded so that keys sort by number."""
        return f"{self.history_prefix}{number:08d}"

    @property
    def pending_prefix(self) -> str:
        """The prefix of all commits that are undone by themselves."""
        return self.prefix + "pending/"

    def pending(self, number: int) -> str:
        """When and why a commit is undone, zero-padded so that keys sort by number."""
        return f"{self.pending_prefix}{number:08d}"

    @property
    def adopted_prefix(self) -> str:
        """The prefix of the commits that were given up, since etcd was restored to a time before them."""
        return self.prefix + "adopted/"

    def adopted(self, commit_hash: str) -> str:
        """Who gave a commit up, and when: a router that follows the one of this hash takes what etcd has instead."""
        return self.adopted_prefix + commit_hash

    def history_parts(self, number: int, commit_id: str) -> str:
        """The prefix of the changes of a record that is too big for one value."""
        return f"{self.history(number)}/{commit_id}/"

    def history_part(self, number: int, commit_id: str, part: int) -> str:
        """One part of such changes; the parts joined in the order of their keys are one JSON text."""
        return f"{self.history_parts(number, commit_id)}{part:04d}"

    @property
    def staging_prefix(self) -> str:
        """The prefix of the marks of commits that are, or were, written in pieces."""
        return self.prefix + "staging/"

    def staging(self, commit_id: str) -> str:
        """The mark of one commit that is written in pieces: it says what else there is to tidy up."""
        return self.staging_prefix + commit_id

    @property
    def active_prefix(self) -> str:
        """The prefix of the active-router locks."""
        return self.prefix + "active/"

    def active(self, group: str = "default") -> str:
        """The active-router lock of a group of addresses; its create revision is the fencing token."""
        return self.active_prefix + group

    @property
    def last_prefix(self) -> str:
        """The prefix of who had the locks last."""
        return self.prefix + "last/"

    def last(self, group: str = "default") -> str:
        """Who had a group's lock last, and why it was given away: it outlives the lock."""
        return self.last_prefix + group

    @property
    def routers_prefix(self) -> str:
        """The prefix of the routers' heartbeat and status keys."""
        return self.prefix + "routers/"

    def router(self, name: str) -> str:
        """One router's heartbeat and status, under its own lease."""
        return self.routers_prefix + name

    @property
    def undoers_prefix(self) -> str:
        """The prefix of who is there to undo commits, besides the routers."""
        return self.prefix + "undoers/"

    def undoer(self, host: str) -> str:
        """One service that undoes commits, under its own lease."""
        return self.undoers_prefix + host

    @property
    def health_prefix(self) -> str:
        """The prefix of all verdicts on real servers."""
        return self.prefix + "health/"

    def health(self, virtual: str, server: str, observer: str) -> str:
        """What one observer found of one real server, under the observer's lease."""
        return f"{self.health_prefix}{virtual}/{server}/{observer}"

    @property
    def load_prefix(self) -> str:
        """The prefix of what real servers say of themselves."""
        return self.prefix + "load/"

    def load(self, server: str) -> str:
        """What one real server's agent says of its load, under the agent's lease: the only key that it writes."""
        return self.load_prefix + server

    @property
    def weights_prefix(self) -> str:
        """The prefix of the weights that follow from more than the configuration."""
        return self.prefix + "weights/"

    def weights(self, virtual: str, router: str) -> str:
        """The weights of a virtual server's real servers and every factor, by its active router, under its lease."""
        return f"{self.weights_prefix}{virtual}/{router}"

    @property
    def peer_key(self) -> str:
        """The secret by which routers know each other's datagrams; made by `clusterd init`."""
        return self.secrets_prefix + "peer-key"

    @property
    def switchover_prefix(self) -> str:
        """The prefix of the hand-overs that were asked for."""
        return self.prefix + "switchover/"

    def switchover(self, group: str = "default") -> str:
        """Who asks that a group goes to another router, under a short lease: the holder gives it away."""
        return self.switchover_prefix + group

    @property
    def pause_prefix(self) -> str:
        """The prefix of the pauses."""
        return self.prefix + "pause/"

    def pause(self, router: str) -> str:
        """One router's pause, or that of `all`, under a lease that ends with it and that nobody refreshes."""
        return self.pause_prefix + router

    @property
    def events_prefix(self) -> str:
        """The prefix of what happened, under leases of days."""
        return self.prefix + "events/"

    def event(self, time: str, event_id: str) -> str:
        """One thing that happened: keys sort by `time`, which is UTC as ``2026-01-31T23:59:59.123Z``."""
        return f"{self.events_prefix}{time}-{event_id}"

    @property
    def doctor_prefix(self) -> str:
        """The prefix of what `clusterd doctor` asks and is answered, all under the short leases of the questions."""
        return self.prefix + "doctor/"

    def doctor(self, question: str) -> str:
        """One question: every router is to look at its host now."""
        return self.doctor_prefix + question

    def doctor_answer(self, question: str, router: str) -> str:
        """What one router saw."""
        return f"{self.doctor_prefix}{question}/{router}"

    @property
    def applied_prefix(self) -> str:
        """The prefix of when routers saw and applied commits, under leases of days."""
        return self.prefix + "applied/"

    def applied(self, number: int, router: str) -> str:
        """When one router saw and applied one commit; zero-padded so that keys sort by number."""
        return f"{self.applied_prefix}{number:08d}/{router}"

    @property
    def console_users_prefix(self) -> str:
        """The prefix of the people who may use the web console."""
        return self.secrets_prefix + "console/users/"

    def console_user(self, name: str) -> str:
        """One of them: role, and the argon2 hash of the password."""
        return self.console_users_prefix + name
