"""Prometheus' own checker of metrics and rules, which script/install leaves below .lab."""

import subprocess
from pathlib import Path

PROMTOOL = Path(__file__).parent.parent / ".lab" / "tools" / "promtool"


def promtool(*arguments: str | Path, given: str = "") -> str:
    """Return what it has to complain about: nothing, when all is well."""
    assert PROMTOOL.exists(), "there is no promtool: script/install unpacks it"
    ended = subprocess.run([PROMTOOL, *arguments], input=given, capture_output=True, text=True, timeout=60, check=False)
    return ended.stdout + ended.stderr if ended.returncode else ""
