"""Two people who edit the same configuration at the same time."""

import subprocess
import sys

import pytest

from tests.clusterd.command_line import CommandLine, Ended
from tests.clusterd.examples import MANUAL
from tests.clusterd.terminal import Terminal

pytestmark = pytest.mark.etcd

OTHER = f"{sys.executable} -m clusterd set --yes -m first! >/dev/null"
RS1 = "virtuals/web/servers/rs1/weight"
MINE = 'sed -i "s/weight: 2/weight: 9/" "$1"'


def overtaken(clusterd: CommandLine, mine: str, *others: str, options: tuple[str, ...] = ()) -> Ended:
    """Run `edit` with an editor that does `mine`; others are first with these assignments."""
    once = clusterd.folder / "once"
    first = "; ".join(f"{OTHER} '{each}'" for each in others)
    editor = clusterd.script(f"if [ ! -e {once} ]; then touch {once}; {first}; fi\n{mine}")
    return clusterd("edit", "--yes", *options, EDITOR=editor)


def test_changes_of_different_fields_are_merged_and_both_told(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = overtaken(clusterd, MINE, "virtuals/web/port=8080", "routers/r2/priority=7")
    assert (ended.code, ended.out) == (0, f"commit 4: {RS1} 2 -> 9\n")
    told = ended.err.splitlines()
    assert told[0] == "somebody else committed meanwhile:"
    assert told[1].startswith("  commit 2 by ")
    assert told[1].endswith("(first!): virtuals/web/port 80 -> 8080")
    assert told[2].endswith("(first!): routers/r2/priority 50 -> 7")
    assert told[3:] == ["merged with that"]
    shown = clusterd("show").out
    assert all(part in shown for part in ("port: 8080", "weight: 9", "priority: 7"))
    assert clusterd.kept() == []


def test_the_same_change_is_no_contradiction_and_nothing_is_left_to_commit(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = overtaken(clusterd, MINE, f"{RS1}=9")
    assert (ended.code, ended.out) == (0, "nothing to change: this is what commit 2 left\n")


def test_of_many_commits_only_the_newest_are_told(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = overtaken(clusterd, MINE, *(f"routers/r2/priority={n}" for n in range(5)))
    assert ended.out.startswith("commit 7: ")
    assert "\n  2 commits, and then\n  commit 4 by " in ended.err


def test_a_contradiction_opens_the_editor_again_with_all_values_and_what_is_left_decides(clusterd: CommandLine) -> None:
    clusterd.begin()
    seen = clusterd.folder / "seen"
    decide = f'cp "$1" {seen}; sed -i "s/weight: 9/weight: 7/" "$1"'
    mine = f"if [ -e {seen}.1 ]; then {decide}; else touch {seen}.1; {MINE}; fi"
    ended = overtaken(clusterd, mine, f"{RS1}=5", "virtuals/web/port=8080")
    assert (ended.code, ended.out) == (0, f"commit 4: {RS1} 5 -> 7\n")
    heading, conflict, *rest = seen.read_text().splitlines()
    assert heading.startswith("#! Somebody else committed what contradicts this")
    line = rest.index("      rs1: {address: 192.168.1.1, weight: 9}") + 3
    assert conflict == f"#! line {line}: {RS1}: yours is 9, theirs is 5, it was 2"
    assert clusterd("show", "virtuals/web/port").out == "8080\n"
    assert clusterd.kept() == []


def test_taking_their_value_ends_a_contradiction(clusterd: CommandLine) -> None:
    clusterd.begin()
    again = clusterd.folder / "again"
    mine = f'if [ -e {again} ]; then sed -i "s/weight: 9/weight: 5/" "$1"; else touch {again}; {MINE}; fi'
    ended = overtaken(clusterd, mine, f"{RS1}=5")
    assert (ended.code, ended.out) == (0, "nothing to change: this is what commit 2 left\n")


def test_an_editor_that_decides_nothing_ends_with_3_and_keeps_the_text(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = overtaken(clusterd, MINE, f"{RS1}=5")
    assert (ended.code, ended.out) == (3, "")
    assert f"\n  {RS1}: yours is 9, theirs is 5, it was 2\n" in ended.err
    (kept,) = clusterd.kept()
    assert "weight: 9" in kept.read_text()
    assert "#!" not in kept.read_text()
    assert clusterd("show", RS1).out == "5\n"


def test_what_one_took_away_and_the_other_changed_is_told_without_the_rest(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = overtaken(clusterd, 'sed -i "/rs1:/d" "$1"', f"{RS1}=5")
    assert ended.code == 3
    assert "\n  virtuals/web/servers/rs1: yours is nothing, theirs is {weight: 5}\n" in ended.err


def test_what_is_not_valid_together_comes_back_too(clusterd: CommandLine) -> None:
    clusterd.begin()
    again = clusterd.folder / "again"
    add = 'sed -i "s/^      rs1:.*/&\\n      rs4: {address: 192.168.1.4}/" "$1"'
    mine = f'if [ -e {again} ]; then sed -i "s/1.4}}/1.6}}/" "$1"; else touch {again}; {add}; fi'
    new = "virtuals/web/servers/rs5={address: 192.168.1.4}"
    ended = overtaken(clusterd, mine, new)
    assert (ended.code, ended.out) == (0, "commit 3: + virtuals/web/servers/rs4\n")


def test_an_editor_that_leaves_what_is_not_valid_together_ends_with_3(clusterd: CommandLine) -> None:
    clusterd.begin()
    add = 'grep -q rs4 "$1" || sed -i "s/^      rs1:.*/&\\n      rs4: {address: 192.168.1.4}/" "$1"'
    ended = overtaken(clusterd, add, "virtuals/web/servers/rs5={address: 192.168.1.4}")
    assert ended.code == 3
    assert "together with that it would not be valid:\n  virtuals/web/servers/rs" in ended.err
    assert "192.168.1.4:80 is already server" in ended.err


def somebody(clusterd: CommandLine, assignment: str) -> None:
    assert clusterd("set", assignment, "--yes", "--force").code == 0


def test_at_a_terminal_what_is_merged_is_shown_and_asked_about_again(clusterd: CommandLine) -> None:
    clusterd.begin()
    with Terminal(clusterd, "set", f"{RS1}=9") as terminal:
        terminal.until("commit this? [y/N]")
        somebody(clusterd, "virtuals/web/port=81")
        terminal.type("y\n")
        terminal.until("merged with that")
        terminal.until(f"~ {RS1}: 2 -> 9\r\ncommit this? [y/N]")
        terminal.type("y\n")
        assert terminal.end() == 0
        assert f"commit 3: {RS1} 2 -> 9" in terminal.seen


@pytest.mark.parametrize("way", ["set", "apply"])
def test_who_does_not_edit_a_text_ends_with_3_and_reads_both_values(clusterd: CommandLine, way: str) -> None:
    clusterd.begin()
    file = clusterd.file("mine.yaml", MANUAL.replace("weight: 2", "weight: 9"))
    with Terminal(clusterd, *({"set": ("set", f"{RS1}=9"), "apply": ("apply", "-f", file)}[way])) as terminal:
        terminal.until("commit this? [y/N]")
        somebody(clusterd, f"{RS1}=5")
        terminal.type("y\n")
        assert terminal.end() == 3
        assert "nothing of yours was written, both changed the same:" in terminal.seen
        assert f"{RS1}: yours is 9, theirs is 5, it was 2" in terminal.seen
    assert clusterd("show", RS1).out == "5\n"


def test_a_contradiction_at_a_terminal_opens_the_editor_again_only_if_wanted(clusterd: CommandLine) -> None:
    clusterd.begin()
    with Terminal(clusterd, "edit", EDITOR=clusterd.script(MINE)) as terminal:
        terminal.until("commit this? [y/N]")
        somebody(clusterd, f"{RS1}=5")
        terminal.type("y\n")
        terminal.until("edit again? [Y/n]")
        terminal.type("\n")
        terminal.until(f"~ {RS1}: 5 -> 9\r\ncommit this? [y/N]")
        somebody(clusterd, f"{RS1}=6")
        terminal.type("y\n")
        terminal.until("yours is 9, theirs is 6, it was 5")
        terminal.until("edit again? [Y/n]")
        terminal.type("n\n")
        assert terminal.end() == 3
        assert f"your text stays in {clusterd.kept()[0]}" in terminal.seen


def test_an_edit_that_always_comes_too_late_ends_with_3(clusterd: CommandLine) -> None:
    clusterd.begin()
    with Terminal(clusterd, "set", f"{RS1}=9") as terminal:
        for port in range(100, 110):
            terminal.until("commit this? [y/N]")
            somebody(clusterd, f"virtuals/web/port={port}")
            terminal.seen = ""
            terminal.type("y\n")
        assert terminal.end() == 3
        assert "somebody else was first, nothing of yours was written" in terminal.seen


def test_two_first_commits_are_not_merged(clusterd: CommandLine) -> None:
    file = clusterd.file("lvs.cf", "serial_no = 1\nprimary = 1.2.3.2\nservice = lvs\n")
    with Terminal(clusterd, "import", "lvs.cf", file, "--apply") as terminal:
        terminal.until("commit this? [y/N]")
        assert clusterd("init").code == 0
        terminal.type("y\n")
        assert terminal.end() == 3
        assert "somebody else was first, nothing of yours was written" in terminal.seen


def test_many_at_once_all_get_what_they_want_and_nobody_asks_them(clusterd: CommandLine) -> None:
    clusterd.begin()
    wanted = {f"virtuals/web/servers/rs{n}/weight": 100 + n for n in (1, 2, 3)}
    wanted |= {"routers/r1/priority": 7, "routers/r2/priority": 8, "virtuals/web/port": 81}
    running = [
        clusterd.start("set", f"{path}={value}", "--yes", stdout=subprocess.DEVNULL) for path, value in wanted.items()
    ]
    assert [each.wait(60) for each in running] == [0] * len(wanted)
    assert {path: clusterd("show", path, "--json").json for path in wanted} == wanted
    assert [record["number"] for record in clusterd("log", "--json").json] == list(range(len(wanted) + 1, 0, -1))


def test_a_contradiction_in_lvs_cf_is_told_by_its_path(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = overtaken(clusterd, MINE.replace("weight: ", "weight = "), f"{RS1}=5", options=("--format", "lvs.cf"))
    assert ended.code == 3
    assert f"\n  {RS1}: yours is 9, theirs is 5, it was 2\n" in ended.err


def test_an_editor_that_contradicts_in_a_new_way_each_time_is_given_up(clusterd: CommandLine) -> None:
    clusterd.begin()
    rounds = clusterd.folder / "rounds"
    add = 'grep -q rs4 "$1" || sed -i "s/^      rs1:.*/&\\n      rs4: {address: 192.168.1.4}/" "$1"'
    mine = f'{add}; echo "# $$" >> "$1"; echo >> {rounds}'
    ended = overtaken(clusterd, mine, "virtuals/web/servers/rs5={address: 192.168.1.4}")
    assert ended.code == 3
    assert "commit 2 stays as it is:" in ended.err
    assert len(rounds.read_text()) == 10
