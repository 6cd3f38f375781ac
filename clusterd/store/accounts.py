"""etcd's users and roles: what there is, and the steps of `clusterd.rights` carried out, one call of etcd each.

Where authentication is enabled, all of this is for a user that has etcd's role root.
"""

from collections.abc import Callable, Sequence
from typing import Any

import grpc

from clusterd.errors import StoreError
from clusterd.rights import ROOT, Access, Accounts, Permission, Role, Step
from clusterd.store._etcd3 import rpc
from clusterd.store.encoding import raw, text
from clusterd.store.endpoints import Credentials
from clusterd.store.session import AUTHENTICATE, Effect, Method, Session
from clusterd.store.translation import Refused


def _read(name: str) -> Method:
    return Method("Auth", name, Effect.NONE)


def _write(name: str) -> Method:
    return Method("Auth", name, Effect.ONCE)


class EtcdAccounts:
    """The accounts of one etcd cluster. Raises the store's errors."""

    def __init__(self, endpoints: Sequence[str], credentials: Credentials, timeout_s: float = 5.0) -> None:
        self._session = Session(endpoints, credentials, timeout_s)

    async def enabled(self) -> bool:
        """Whether etcd asks who somebody is."""
        try:
            await self._session.call(AUTHENTICATE, rpc.AuthenticateRequest(name="-", password="-"))  # noqa: S106
        except Refused as error:
            return not error.asks_nobody
        return True

    async def version(self) -> str:
        """Return the release of the member that answers."""
        return str((await self._ask(Method("Maintenance", "Status", Effect.NONE), rpc.StatusRequest())).version)

    async def found(self) -> Accounts:
        """Return all users and roles."""
        names = (await self._ask(_read("RoleList"), rpc.AuthRoleListRequest())).roles
        users = (await self._ask(_read("UserList"), rpc.AuthUserListRequest())).users
        return Accounts(
            {name: await self._role(name) for name in names},
            {name: await self._roles_of(name) for name in users},
        )

    async def _role(self, name: str) -> Role:
        answer = await self._ask(_read("RoleGet"), rpc.AuthRoleGetRequest(role=name))
        return Role(name, tuple(sorted(map(_permission, answer.perm))))

    async def _roles_of(self, user: str) -> frozenset[str]:
        return frozenset((await self._ask(_read("UserGet"), rpc.AuthUserGetRequest(name=user))).roles)

    async def carry_out(self, step: Step, password: str = "") -> None:
        """Do one step. A user is made with the password; without one it can only be known by its certificate."""
        make: Callable[[Step], tuple[str, Any]] = _REQUESTS[step.verb]
        name, request = make(step)
        if step.verb == "add_user":
            request.password = password
            request.options.no_password = not password
        await self._ask(_write(name), request)

    async def set_password(self, user: str, password: str) -> None:
        """Give a user another password."""
        await self._ask(_write("UserChangePassword"), rpc.AuthUserChangePasswordRequest(name=user, password=password))

    async def enable(self) -> None:
        """Have etcd ask everybody from now on. It refuses where there is no user root with the role root."""
        await self._ask(_write("AuthEnable"), rpc.AuthEnableRequest())

    async def close(self) -> None:
        """Let go of connections."""
        await self._session.close()

    async def _ask(self, method: Method, request: Any) -> Any:
        try:
            return (await self._session.call(method, request)).message
        except Refused as error:
            if error.code is grpc.StatusCode.PERMISSION_DENIED:
                raise StoreError(f"{error}: users and roles are for etcd's user {ROOT} only") from error
            raise


_REQUESTS: dict[str, Callable[[Step], tuple[str, Any]]] = {
    "add_role": lambda step: ("RoleAdd", rpc.AuthRoleAddRequest(name=step.subject)),
    "delete_role": lambda step: ("RoleDelete", rpc.AuthRoleDeleteRequest(role=step.subject)),
    "grant": lambda step: ("RoleGrantPermission", _granting(step)),
    "withdraw": lambda step: ("RoleRevokePermission", _withdrawing(step)),
    "add_user": lambda step: ("UserAdd", rpc.AuthUserAddRequest(name=step.subject)),
    "delete_user": lambda step: ("UserDelete", rpc.AuthUserDeleteRequest(name=step.subject)),
    "give_role": lambda step: ("UserGrantRole", rpc.AuthUserGrantRoleRequest(user=step.subject, role=step.role)),
    "take_role": lambda step: ("UserRevokeRole", rpc.AuthUserRevokeRoleRequest(name=step.subject, role=step.role)),
}


def _permission(perm: Any) -> Permission:
    return Permission(text(perm.key), Access(perm.permType), text(perm.range_end))


def _granting(step: Step) -> Any:
    allowed = _of(step)
    perm = {"permType": int(allowed.access), "key": raw(allowed.key), "range_end": raw(allowed.end)}
    return rpc.AuthRoleGrantPermissionRequest(name=step.subject, perm=perm)


def _withdrawing(step: Step) -> Any:
    allowed = _of(step)
    return rpc.AuthRoleRevokePermissionRequest(role=step.subject, key=allowed.key, range_end=allowed.end)


def _of(step: Step) -> Permission:
    if step.permission is None:
        raise ValueError(f"{step.verb} needs a permission")
    return step.permission
