"""Which releases of etcd are warned of."""

import pytest

from clusterd.releases import fault, logins_hold, parsed, told, warnings


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


@pytest.mark.parametrize(
    ("version", "login", "words"),
    [
        ("3.3.27", False, "3.4 or newer"),
        *(
            ("3.4.35", False, "leases and watches"),
            ("3.4.36", False, ""),
            ("3.4.41", True, "CVE"),
            ("3.4.42", True, ""),
        ),
        *(
            ("3.5.17", False, "leases and watches"),
            ("3.5.18", False, ""),
            ("3.5.18", True, "CVE"),
            ("3.5.28", True, ""),
        ),
        *(("3.6.0", False, ""), ("3.6.8", True, "CVE"), ("3.7.0", True, ""), ("main", True, ""), ("", True, "")),
    ],
)
def test_a_fault_is_told_up_to_the_release_that_mended_it(version: str, login: bool, words: str) -> None:
    told = fault(version, login)
    assert words in told
    assert bool(told) == bool(words)


def test_members_of_one_release_are_warned_of_in_one_sentence() -> None:
    found = warnings({"e2": "3.5.1", "e1": "3.5.1", "e3": "3.5.33", "e4": "3.4.23", "e5": ""}, login=False)
    assert [each.partition(":")[0] for each in found] == ["etcd 3.4.23 (e4)", "etcd 3.5.1 (e1, e2)"]
    assert warnings({"e3": "3.5.33"}, login=True) == ()
