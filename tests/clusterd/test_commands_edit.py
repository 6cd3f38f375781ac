import pytest

from tests.clusterd.command_line import CommandLine

pytestmark = pytest.mark.etcd


def test_edit_commits_what_the_editor_left(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = clusterd("edit", "--yes", "-m", "for the feast", EDITOR="sed -i s/weight:.2/weight:\\ 3/")
    assert (ended.code, ended.out) == (0, "commit 2: virtuals/web/servers/rs1/weight 2 -> 3\n")
    assert clusterd.kept() == []
    visual = clusterd(
        "edit", "--yes", "virtuals/web/servers/rs1", VISUAL="sed -i s/weight:.3/weight:\\ 4/", EDITOR="false"
    )
    assert visual.out == "commit 3: virtuals/web/servers/rs1/weight 3 -> 4\n"


def test_edit_of_an_unchanged_text_commits_nothing(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = clusterd("edit", "--yes", EDITOR="true")
    assert (ended.code, ended.out) == (0, "nothing to change: this is what commit 1 left\n")
    assert clusterd.kept() == []


def test_edit_shows_one_object_alone_and_changes_no_other(clusterd: CommandLine) -> None:
    clusterd.begin()
    seen = clusterd.folder / "seen"
    clusterd("edit", "routers/r2", "--yes", EDITOR=clusterd.script(f'cp "$1" {seen}'))
    assert seen.read_text() == "routers:\n  r2: {public: 1.2.3.3, private: 192.168.1.253, priority: 50}\n"
    ended = clusterd("edit", "routers/r2", "--yes", EDITOR="sed -i s/50/60/")
    assert ended.out == "commit 2: routers/r2/priority 50 -> 60\n"
    gone = clusterd("edit", "routers/r2", "--yes", EDITOR=clusterd.script('echo "routers: {}" > "$1"'))
    assert gone.out == "commit 3: - routers/r2\n"
    new = clusterd(
        "edit", "routers/r9", "--yes", EDITOR=clusterd.script('echo "routers: {r9: {public: 1.2.3.9}}" > "$1"')
    )
    assert new.out == "commit 4: + routers/r9\n"


def test_edit_of_what_is_not_there_says_that_it_would_be_new(clusterd: CommandLine) -> None:
    clusterd.begin()
    seen = clusterd.folder / "seen"
    ended = clusterd("edit", "virtuals/wbe", "--yes", EDITOR=clusterd.script(f'cp "$1" {seen}'))
    assert seen.read_text() == (
        "# virtuals/wbe: is not there; did you mean web?\n# What is written here would be new.\nvirtuals:\n  wbe: {}\n"
    )
    assert ended.out == "nothing to change: this is what commit 1 left\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "routers: {r1: {public: 1.2.3.2}, r2: {public: 1.2.3.3}}",
            "line 1: routers/r2: only routers/r1 is edited here",
        ),
        ("routers: {}\\nvirtuals: {}", "line 2: virtuals: only routers is edited here"),
        ("routers: 5", "line 1: routers: is not a mapping"),
        ("", "the text is empty; to remove routers/r1, leave routers: {}"),
        ("routers:\\n  r1:\\n    public: 1.2.3.3", "line 1: routers/r2/public: 1.2.3.3 is already routers/r1/public"),
        ("routers: {r1: {publik: 1.2.3.2}}", "line 1: routers/r1/publik: unknown key; did you mean public?"),
    ],
)
def test_edit_of_one_object_names_problems_by_the_lines_of_its_text(
    clusterd: CommandLine, text: str, problem: str
) -> None:
    clusterd.begin()
    ended = clusterd("edit", "routers/r1", "--yes", EDITOR=clusterd.script(f"printf '{text}' > \"$1\""))
    assert (ended.code, ended.out) == (1, "")
    assert problem in ended.err


def test_edit_of_something_unknown_suggests_what_is_there(clusterd: CommandLine) -> None:
    clusterd.begin()
    for path, problem in (
        ("virtals/web", "virtals: is not there; did you mean virtuals?"),
        ("virtuals/web/x", "x: is"),
    ):
        ended = clusterd("edit", path, "--yes", EDITOR="true")
        assert ended.code == 1
        assert problem in ended.err


def test_the_editor_opens_again_on_the_own_text_with_the_problems_above(clusterd: CommandLine) -> None:
    clusterd.begin()
    seen = clusterd.folder / "seen"
    editor = clusterd.script(
        f"""if [ -e {seen} ]; then cp "$1" {seen}; sed -i 's/-7/7/' "$1"
        else touch {seen}; sed -i 's/weight: 2/weight: -7/' "$1"; fi"""
    )
    ended = clusterd("edit", "--yes", EDITOR=editor)
    assert (ended.code, ended.out) == (0, "commit 2: virtuals/web/servers/rs1/weight 2 -> 7\n")
    marked, wrong, *rest = seen.read_text().splitlines()
    assert marked.startswith("#! This is not valid yet")
    assert "virtuals/web/servers/rs1/weight: must be at least 0, not -7" in wrong
    line = int(wrong.removeprefix("#! line ").partition(":")[0])
    assert "weight: -7" in [marked, wrong, *rest][line - 1]
    assert clusterd.kept() == []


def test_an_editor_that_is_wrong_in_a_new_way_each_time_is_given_up(clusterd: CommandLine) -> None:
    clusterd.begin()
    rounds = clusterd.folder / "rounds"
    ended = clusterd("edit", "--yes", EDITOR=clusterd.script(f'echo "x$$: 1" >> "$1"; echo >> {rounds}'))
    assert ended.code == 1
    assert len(rounds.read_text()) == 10


def test_a_failing_editor_commits_nothing_and_keeps_the_text(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = clusterd("edit", "--yes", EDITOR=clusterd.script('sed -i s/80/81/ "$1"; exit 3'))
    assert ended.code == 1
    assert "the editor ended with 3: nothing was committed" in ended.err
    (kept,) = clusterd.kept()
    assert "port: 81" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700


def test_an_editor_that_is_missing_or_takes_the_file_away_is_told(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = clusterd("edit", "--yes", EDITOR="/no/such/editor")
    assert (ended.code, "cannot run the editor /no/such/editor" in ended.err) == (2, True)
    ended = clusterd("edit", "--yes", EDITOR="'unclosed")
    assert (ended.code, "EDITOR cannot be read" in ended.err) == (2, True)
    ended = clusterd("edit", "--yes", EDITOR="rm")
    assert (ended.code, "the editor left no text" in ended.err) == (1, True)
    ended = clusterd("edit", "--yes", EDITOR=clusterd.script("printf '\\377' > \"$1\""))
    assert (ended.code, "not valid YAML" in ended.err) == (1, True)
    assert clusterd.kept()[0].read_bytes() == b"\xff"


def test_edit_as_lvs_cf_commits_what_was_changed_and_nothing_else(clusterd: CommandLine) -> None:
    clusterd.begin()
    assert clusterd("set", "virtuals/web/scheduler=mh", "--yes").code == 0
    seen = clusterd.folder / "seen"
    editor = clusterd.script(f'cp "$1" {seen}; echo "$1" >> {seen}; sed -i "s/weight = 2/weight = 3/" "$1"')
    ended = clusterd("edit", "--format", "lvs.cf", "--yes", EDITOR=editor)
    assert (ended.code, ended.out) == (0, "commit 3: virtuals/web/servers/rs1/weight 2 -> 3\n")
    first, *_, name = seen.read_text().splitlines()
    assert first == "# The configuration as lvs.cf. What this format cannot say stays as it is."
    assert name.endswith(".cf")
    untouched = clusterd("edit", "--format", "lvs.cf", "--yes", EDITOR="true")
    assert untouched.out == "nothing to change: this is what commit 3 left\n"


def test_edit_as_lvs_cf_names_problems_by_the_lines_of_the_text(clusterd: CommandLine) -> None:
    clusterd.begin()
    seen = clusterd.folder / "seen"
    editor = clusterd.script(f'cp "$1" {seen}; sed -i "s/weight = 2/wieght = 3/" "$1"')
    ended = clusterd("edit", "--format", "lvs.cf", "--yes", EDITOR=editor)
    assert ended.code == 1
    heading, problem, *rest = seen.read_text().splitlines()
    assert heading.startswith("#! This is not valid yet")
    line = rest.index("\t\twieght = 3") + 3
    assert problem.startswith(f"#! line {line}: ")
    assert "did you mean weight?" in problem


def test_lvs_cf_is_edited_as_a_whole(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = clusterd("edit", "virtuals/web", "--format", "lvs.cf", "--yes", EDITOR="true")
    assert (ended.code, ended.err) == (
        1,
        "virtuals/web: lvs.cf is edited as a whole; as YAML one object can be edited alone\n",
    )
