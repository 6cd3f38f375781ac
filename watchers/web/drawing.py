"""Templates become text here, and nowhere else: whatever is put into them is escaped."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from clusterd.amounts import age, lasting, size
from clusterd.changes import shown
from watchers.web import wording

HERE = Path(__file__).parent
STATIC = HERE / "static"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(age=age, lasting=lasting, size=size, shown=shown)
    made.globals.update(wording=wording, asset=asset)
    return made


def drawn(template: str, context: Mapping[str, Any]) -> str:
    """Return a template with its values put in."""
    return _environment().get_template(template).render(context)


@cache
def asset(name: str) -> str:
    """Return the address of a file of ours; it has the file's hash in it, so that browsers may keep it."""
    return f"/static/{hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}/{name}"
