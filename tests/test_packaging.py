"""What the package brings beside the programs: settings that are the defaults, a manual page for each program."""

import importlib.util
import re
from pathlib import Path

from clusterd.settings import FILE_VARIABLE, read

PACKAGING = Path(__file__).parent.parent / "packaging"


def test_the_file_of_settings_names_what_people_set_and_every_line_of_it_is_valid(tmp_path: Path) -> None:
    text = (PACKAGING / "clusterd.toml").read_text()
    assert [line for line in text.splitlines() if line and not line.startswith("#")] == []
    file = tmp_path / "clusterd.toml"
    file.write_text(re.sub(r"^#(\w+ = )", r"\1", text, flags=re.MULTILINE))
    found = read({}, {FILE_VARIABLE: str(file)})
    assert found.model_fields_set >= {"endpoints", "cacert", "user", "router", "data_plane"}
    assert (found.cluster, found.endpoints, found.data_plane) == ("main", ("http://127.0.0.1:2379",), "kernel")


def test_each_program_has_a_manual_page_with_all_its_commands(tmp_path: Path) -> None:
    specification = importlib.util.spec_from_file_location("manual_pages", PACKAGING / "manual_pages.py")
    assert specification is not None
    assert specification.loader is not None
    pages = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(pages)
    pages.main(tmp_path)
    names = {page.name for page in tmp_path.iterdir()}
    assert {"clusterd.1", "clusterd-router.8", "clusterd-agent.8", "clusterd-undoer.8", "clusterd-web.8"} <= names
    text = (tmp_path / "clusterd.1").read_text()
    for command in ("EDIT", "STATUS", "AUDIT VERIFY", "AUTH SETUP"):
        assert f'.SH "CLUSTERD {command}"' in text
    for page in tmp_path.iterdir():
        assert page.read_text().startswith(".TH CLUSTERD"), page
        assert "\n.SH FILES\n" in page.read_text(), page
