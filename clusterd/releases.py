"""Which releases of etcd have faults that matter to clusterd, by etcd's CHANGELOG and by a test of our own. Pure."""

import re
from collections.abc import Mapping

Release = tuple[int, int, int]

OLDEST = (3, 4, 0)
# Before these a login kept nobody out of parts of the API (CVE-2026-33413), nor out of anything inside a nested
# transaction (CVE-2026-33343). Releases of 3.7 and later never had that.
_LOGINS_HOLD = {(3, 4): (3, 4, 42), (3, 5): (3, 5, 28), (3, 6): (3, 6, 9)}
# Before 3.4.31 and 3.5.13 a former leader could end leases; before these a watch could also miss the deletion at the
# revision that it began with.
_SOUND = {(3, 4): (3, 4, 36), (3, 5): (3, 5, 18)}


def parsed(version: str) -> Release | None:
    """Return a release as numbers, None where the text is none."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})", version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def logins_hold(version: str) -> bool:
    """Whether a login of this etcd can do no more than its roles say. What is no release is not trusted."""
    release = parsed(version)
    return release is not None and release >= _LOGINS_HOLD.get(release[:2], (3, 7, 0))


def told(version: str) -> str:
    """Return the warning for a release whose logins do not hold."""
    return (
        f"etcd {version} lets a login be got around (CVE-2026-33413, CVE-2026-33343): whoever has one can write "
        "everything; upgrade to 3.5.28, 3.6.9 or newer, and let only trusted hosts reach its port until then"
    )


def fault(version: str, login: bool) -> str:
    """Return what is wrong with a release, "" where nothing is known; `login` says that etcd asks for one."""
    release = parsed(version)
    if release is None:
        return ""
    if release < OLDEST:
        return "clusterd needs 3.4 or newer"
    if login and not logins_hold(version):
        return "its login can be got around (CVE-2026-33413)"
    if release < _SOUND.get(release[:2], OLDEST):
        return "leases and watches have faults that 3.5.18 does not"
    return ""


def warnings(versions: Mapping[str, str], login: bool) -> tuple[str, ...]:
    """Return a sentence for each release with a fault, given each member's by its name."""
    found = []
    for version in sorted(set(versions.values())):
        if why := fault(version, login):
            of = ", ".join(sorted(name for name, its in versions.items() if its == version))
            found.append(f"etcd {version} ({of}): {why}; `clusterd doctor` says what to do")
    return tuple(found)
