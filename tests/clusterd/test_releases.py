"""Which releases of etcd are warned of."""

import pytest

from clusterd.releases import logins_hold, parsed, told


@pytest.mark.parametrize(
    ("version", "holds"),
    [
        *(("3.4.23", False), ("3.4.41", False), ("3.4.42", True), ("3.5.1", False), ("3.5.27", False)),
        *(("3.5.28", True), ("3.6.8", False), ("3.6.9", True), ("3.7.0", True), ("3.7.1-rc.0", True), ("4.0.0", True)),
        *(("3.3.27", False), ("", False), ("main", False)),
    ],
)
def test_a_login_holds_from_the_release_on_that_mended_it(version: str, holds: bool) -> None:
    assert logins_hold(version) is holds


def test_the_warning_names_the_release_and_what_to_do() -> None:
    assert parsed("3.4.23") == (3, 4, 23)
    assert "etcd 3.4.23 lets a login be got around" in told("3.4.23")
    assert "upgrade to 3.5.28" in told("3.4.23")
