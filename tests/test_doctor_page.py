"""The page that lists the doctor's checks has them all."""

from clusterd.doctor import CHECKS
from clusterd.doctor.page import markdown


def test_every_check_has_its_row() -> None:
    lines = [line for line in markdown().splitlines() if line.startswith("| `")]
    assert [line.split("|")[1].strip() for line in lines] == [f"`{name}`" for name in CHECKS]
    assert {line.count("|") for line in lines} == {4}
