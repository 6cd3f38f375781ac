"""What is well, or not, with etcd: each member, and all of them."""

from collections.abc import Iterator, Sequence

from clusterd.doctor.facts import MemberFacts
from clusterd.doctor.findings import Finding, finding
from clusterd.releases import OLDEST, fault, parsed

_EVERYWHERE = "etcd"
_FEWEST = 3
_MENDED = (3, 5, 0)  # older ones get no corrections any more


def findings(members: Sequence[MemberFacts], login: bool) -> Iterator[Finding]:
    """Yield what was found; `login` says that etcd asks for one."""
    for member in members:
        place = f"{member.name} {member.endpoint}".strip()
        if member.problem:
            yield finding("etcd-reachable", place, "fail", member.problem)
            continue
        yield finding("etcd-reachable", place, "ok", "it answers")
        yield _health(place, member)
        yield _version(place, member, login)
    answering = [member for member in members if not member.problem]
    if answering:
        yield _number(max(member.listed for member in answering), [member for member in answering if member.leader])


def _health(place: str, member: MemberFacts) -> Finding:
    if member.unhealthy:
        return finding("etcd-health", place, "fail", member.unhealthy)
    if member.alarms:
        return finding("etcd-health", place, "fail", f"it raises an alarm: {', '.join(member.alarms)}")
    return finding("etcd-health", place, "ok", "it reads with a quorum" + (", and leads" if member.leader else ""))


def _version(place: str, member: MemberFacts, login: bool) -> Finding:
    release = parsed(member.version)
    if release is None:
        return finding("etcd-version", place, "unknown", f"it does not tell its release, but {member.version!r}")
    told = f"etcd {member.version}"
    if why := fault(member.version, login):
        return finding("etcd-version", place, "fail" if release < OLDEST else "warn", f"{told}: {why}")
    if release < _MENDED:
        return finding("etcd-version", place, "warn", f"{told}: 3.4 gets no corrections any more")
    return finding("etcd-version", place, "ok", told)


def _number(listed: int, leaders: Sequence[MemberFacts]) -> Finding:
    told = f"{listed} member{'' if listed == 1 else 's'}"
    if len(leaders) > 1:
        names = ", ".join(member.name or member.endpoint for member in leaders)
        return finding("etcd-members", _EVERYWHERE, "fail", f"{names} all lead: the endpoints are several clusters")
    if listed < _FEWEST:
        return finding("etcd-members", _EVERYWHERE, "warn", f"{told}: when one fails, nothing can be changed")
    if listed % 2 == 0:
        return finding(
            "etcd-members", _EVERYWHERE, "warn", f"{told}: an even number bears no more failures than one less"
        )
    return finding("etcd-members", _EVERYWHERE, "ok", told)
