"""The people who may use the web console: a key each in etcd, with a role and the argon2id hash of a password.

    {"role": "operator", "hash": "$argon2id$v=19$m=65536,t=3,p=4$...", "changed": "2026-01-31T23:59:59.123Z"}

Passwords are not kept, and nothing here prints them. Who has no hash cannot log in with a password: such a user is for
a reverse proxy that has asked for one itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import argon2
from pydantic import BaseModel, ConfigDict, ValidationError

from clusterd.errors import ConflictError, wrong
from clusterd.history import utc
from clusterd.keys import Keys
from clusterd.reports import encoded
from clusterd.store.contract import Condition, Created, Delete, Entry, Modified, Operation, Put, Store

Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
SHORTEST, LONGEST = 10, 1024  # characters of a password
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,62}")
_HASHER = argon2.PasswordHasher()
_NOBODY = (  # of a password that nobody knows: what is compared where there is no user
    "$argon2id$v=19$m=65536,t=3,p=4$80UJBA1KfV3DtDGaFUkupA$iD9FvDPqTJAr6ML2ld0ZX9oYllfuqKiPj/fHjeI7rFc"
)
_MEANWHILE = "somebody else changed the users of the console meanwhile: look again"


class User(BaseModel):
    """One user. `hash` is "" where no password leads in, `changed` says since when it is as it is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    role: Role
    hash: str = ""
    changed: str = ""

    def may(self, role: Role) -> bool:
        """Tell whether the user may do what somebody of this role may."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True, slots=True)
class Users:
    """All users by name, and the revisions of their keys."""

    by_name: Mapping[str, User]
    revisions: Mapping[str, int]


async def read(store: Store, keys: Keys) -> Users:
    """Return all users. One whose value cannot be read is none."""
    entries = (await store.snapshot(keys.console_users_prefix)).entries
    found = {entry.key.removeprefix(keys.console_users_prefix): (_user(entry), entry.mod_revision) for entry in entries}
    return Users(
        {name: user for name, (user, _) in found.items() if user},
        {name: revision for name, (_, revision) in found.items()},
    )


def _user(entry: Entry) -> User | None:
    try:
        return User.model_validate_json(entry.value)
    except ValidationError:
        return None


def made(role: Role, password: str | None, now: datetime) -> User:
    """Return a user with this password, or with none that leads in. ConfigError where it is too short or too long."""
    return User(role=role, hash="" if password is None else _hashed(password), changed=utc(now))


def with_password(user: User, password: str, now: datetime) -> User:
    """Return the user with another password. ConfigError where it is too short or too long."""
    return user.model_copy(update={"hash": _hashed(password), "changed": utc(now)})


def with_role(user: User, role: Role, now: datetime) -> User:
    """Return the user in another role."""
    return user.model_copy(update={"role": role, "changed": utc(now)})


def _hashed(password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        raise wrong("password", f"must have {SHORTEST} to {LONGEST} characters, not {len(password)}")
    return _HASHER.hash(password)


def fits(user: User | None, password: str) -> bool:
    """Tell whether this is the user's password. It takes as long where there is no such user."""
    known = user.hash if user and user.hash else _NOBODY
    try:
        return _HASHER.verify(known, password[: LONGEST + 1])
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


async def put(store: Store, keys: Keys, there: Users, name: str, user: User) -> None:
    """Make a user, or another one of the one that is there.

    Raises ConfigError where the name is none or no admin would be left, ConflictError where somebody else wrote.
    """
    if not _NAME.fullmatch(name):
        raise wrong(
            "name", "has letters, digits, _, ., @ and -, begins with a letter or a digit, and has at most 63 of them"
        )
    kept = _still_run(there, name) if user.role != "admin" else ()
    await _write(store, keys, there, name, kept, Put(keys.console_user(name), encoded(user.model_dump())))


async def remove(store: Store, keys: Keys, there: Users, name: str) -> None:
    """Take a user away. Raises ConfigError where there is none or no admin would be left, ConflictError as `put`."""
    if name not in there.revisions:
        raise wrong("name", f"there is no user {name}")
    await _write(store, keys, there, name, _still_run(there, name), Delete(keys.console_user(name)))


def _still_run(there: Users, name: str) -> tuple[str, ...]:
    """Return who else must stay an admin, so that one is left when this one is none any more."""
    admins = sorted(one for one, user in there.by_name.items() if user.role == "admin")
    if name not in admins:
        return ()
    admins.remove(name)
    if not admins:
        raise wrong("role", f"{name} is the only admin: make another one first")
    return tuple(admins[:1])


async def _write(
    store: Store, keys: Keys, there: Users, name: str, kept: tuple[str, ...], operation: Operation
) -> None:
    conditions: list[Condition] = [Modified(keys.console_user(one), there.revisions[one]) for one in kept]
    key = keys.console_user(name)
    conditions.append(Modified(key, there.revisions[name]) if name in there.revisions else Created(key, 0))
    if not (await store.transact(conditions, [operation])).succeeded:
        raise ConflictError(_MEANWHILE)
