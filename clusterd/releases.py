"""Which releases of etcd keep what their logins promise, by etcd's CHANGELOG and by a test of our own."""

import re

Release = tuple[int, int, int]

# Before these a login kept nobody out of parts of the API (CVE-2026-33413), nor out of anything inside a nested
# transaction (CVE-2026-33343). Releases of 3.7 and later never had that.
_LOGINS_HOLD = {(3, 4): (3, 4, 42), (3, 5): (3, 5, 28), (3, 6): (3, 6, 9)}


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
