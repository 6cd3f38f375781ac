"""Who may do what in etcd: roles and users of the least privilege, and the steps that make etcd's accounts so.

Every key of a cluster is below one prefix, its secrets below another (`clusterd.keys`), and each kind of program writes
below prefixes of its own. A role is a list of such prefixes, so etcd's permissions can say it. What they cannot say:
which *router* writes a key, since a key of health names the observer last, and since the router that takes over may
end the lease, and with it the keys, of the one before (`heartbeat/fast`). Routers share one role.

What is ours among etcd's accounts has a name that begins with ``clusterd-<cluster>-``, and permissions below those
prefixes only. Another one of such a name is left alone, and one that is in the way is told.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from clusterd.errors import ConfigError, Problem
from clusterd.keys import Keys
from clusterd.model import Cluster

ROOT = "root"  # etcd's name of the user, and of the role, that may do everything


class Access(IntEnum):
    """What a permission allows; the numbers are etcd's (authpb.Permission.Type)."""

    READ = 0
    WRITE = 1
    READWRITE = 2


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """Access to one key, or to those from it up to `end` (etcd API, key ranges)."""

    key: str
    access: Access
    end: str = ""

    @property
    def prefix(self) -> bool:
        """Whether it is about all keys that begin with `key`."""
        return self.end == _after(self.key)

    def __str__(self) -> str:
        word = {Access.READ: "reads", Access.WRITE: "writes", Access.READWRITE: "reads and writes"}[self.access]
        return f"{word} {self.key}" + ("*" if self.prefix else f" up to {self.end!r}" if self.end else "")


@dataclass(frozen=True, slots=True)
class Role:
    """A role, and in a few words what it is for."""

    name: str
    permissions: tuple[Permission, ...]
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Accounts:
    """Roles by name, and of every user the names of its roles."""

    roles: Mapping[str, Role]
    users: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Step:
    """One change of etcd's accounts: `verb` says which, one call of etcd each (`clusterd.store.accounts`)."""

    verb: str  # add_role | delete_role | grant | withdraw | add_user | delete_user | give_role | take_role
    subject: str  # the role or the user
    role: str = ""
    permission: Permission | None = None

    def __str__(self) -> str:
        role, permission = self.role, self.permission
        return {
            "add_role": f"make role {self.subject}",
            "delete_role": f"remove role {self.subject}",
            "grant": f"role {self.subject} from now on {permission}",
            "withdraw": f"role {self.subject} no longer {permission}",
            "add_user": f"make user {self.subject}",
            "delete_user": f"remove user {self.subject}",
            "give_role": f"user {self.subject} gets role {role}",
            "take_role": f"user {self.subject} loses role {role}",
        }[self.verb]


def _after(prefix: str) -> str:
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def prefix(keys: Keys) -> str:
    """Return what the names of all accounts of a cluster begin with."""
    return f"clusterd-{keys.cluster}-"


def _read(key: str) -> Permission:
    return Permission(key, Access.READ, _after(key))


def _write(key: str) -> Permission:
    return Permission(key, Access.READWRITE, _after(key))


def roles(keys: Keys, agents: Iterable[str] = ()) -> dict[str, Role]:
    """Return the roles of a cluster by name; each agent has one of its own, and its name is the real server's."""
    name, everything = prefix(keys), _read(keys.prefix)
    head = Permission(keys.head, Access.READWRITE)
    commits = (head, *map(_write, (keys.config_prefix, keys.history_prefix, keys.staging_prefix, keys.pending_prefix)))
    reports = (
        keys.active_prefix,
        keys.last_prefix,
        keys.routers_prefix,
        keys.health_prefix,
        keys.weights_prefix,
        keys.events_prefix,
        keys.applied_prefix,
        keys.switchover_prefix,
        keys.doctor_prefix,
    )
    orders = (
        keys.switchover_prefix,
        keys.pause_prefix,
        keys.adopted_prefix,
        keys.doctor_prefix,
        keys.secrets_prefix,
    )
    made = [
        Role(f"{name}viewer", (everything,), "sees everything but secrets"),
        Role(f"{name}operator", (everything, *commits, *map(_write, orders)), "commits, and gives orders"),
        Role(f"{name}undoer", (everything, *commits, _write(keys.undoers_prefix)), "undoes commits in time"),
        Role(
            f"{name}router",
            (everything, Permission(keys.peer_key, Access.READ), *map(_write, reports)),
            "follows what is committed, and tells what it does",
        ),
        *(
            Role(
                f"{name}agent-{agent}",
                (Permission(keys.load(agent), Access.READWRITE),),
                f"tells the load of {agent}",
            )
            for agent in agents
        ),
    ]
    return {role.name: role for role in made}


def wanted(keys: Keys, cluster: Cluster, people: Mapping[str, str]) -> Accounts:
    """Return the accounts that a cluster needs: users for routers, agents, the undoer, the console, and people.

    `people` are the roles that users are to have, each by the last word of the role's name (operator, viewer).
    """
    name = prefix(keys)
    loaded = (virtual for virtual in cluster.virtuals.values() if virtual.load.source == "agent")
    agents = sorted({server for virtual in loaded for server in virtual.servers})
    users = {f"{name}router-{router}": frozenset({f"{name}router"}) for router in cluster.routers}
    users |= {f"{name}agent-{agent}": frozenset({f"{name}agent-{agent}"}) for agent in agents}
    users |= {f"{name}undoer": frozenset({f"{name}undoer"}), f"{name}web": frozenset({f"{name}operator"})}
    users |= {person: frozenset({name + role}) for person, role in people.items()}
    return Accounts(roles(keys, agents), users)


def ours(keys: Keys, role: Role) -> bool:
    """Whether a role that was found is one of this cluster's: by its name, and by all that it allows."""
    below = (keys.prefix, keys.secrets_prefix)
    return role.name.startswith(prefix(keys)) and all(
        any(each.key.startswith(one) and (not each.end or each.key < each.end <= _after(one)) for one in below)
        for each in role.permissions
    )


def steps(keys: Keys, found: Accounts, want: Accounts) -> tuple[Step, ...]:
    """Return what makes the accounts that were found those that are wanted, none where they are.

    Routers and agents that are not wanted any more are removed; people keep what they have. Raises ConfigError where a
    role of a wanted name is about something else.
    """
    strangers = [name for name in want.roles if name in found.roles and not ours(keys, found.roles[name])]
    if strangers:
        told = "is in etcd already, with permissions for other keys; rename the cluster or the real server"
        raise ConfigError([Problem(0, f"role {name}", told) for name in strangers])
    gone = [name for name, role in found.roles.items() if ours(keys, role) and name not in want.roles]
    return (
        *_of_roles(found, want),
        *_of_users(keys, found, want, frozenset(gone)),
        *(Step("delete_role", name) for name in gone),
    )


def _of_roles(found: Accounts, want: Accounts) -> Iterable[Step]:
    for name, role in want.roles.items():
        if name not in found.roles:
            yield Step("add_role", name)
        there = set(found.roles[name].permissions if name in found.roles else ())
        kept = {(each.key, each.end) for each in role.permissions}
        for permission in sorted(there - set(role.permissions)):
            if (permission.key, permission.end) not in kept:  # a grant replaces one for the same keys
                yield Step("withdraw", name, permission=permission)
        for permission in role.permissions:
            if permission not in there:
                yield Step("grant", name, permission=permission)


def _of_users(keys: Keys, found: Accounts, want: Accounts, gone: frozenset[str]) -> Iterable[Step]:
    for user, names in want.users.items():
        if user not in found.users:
            yield Step("add_user", user)
        has = found.users.get(user, frozenset())
        yield from (Step("give_role", user, role) for role in sorted(names - has))
        if user.startswith(prefix(keys)):  # a program's: it has what it needs, and no more
            yield from (Step("take_role", user, role) for role in sorted(has - names - gone))
    mine = {name for name, role in found.roles.items() if ours(keys, role)}
    for user, has in found.users.items():
        if user.startswith(prefix(keys)) and user not in want.users and has and has <= mine:
            yield Step("delete_user", user)


def told(name: str, role: Role, users: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Return what a role may do, and who has it, in a line each."""
    holders = sorted(user for user, names in users.items() if name in names)
    return (
        f"{name}: {role.purpose}",
        *(f"  {permission}" for permission in role.permissions),
        f"  users: {', '.join(holders) or 'none'}",
    )
