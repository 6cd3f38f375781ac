"""What every renderer gives back, and the one door to jinja2."""

from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from clusterd.errors import Problem

_TEMPLATES = Environment(
    loader=PackageLoader("renderers"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,  # else each `include` looks whether its file has changed
    autoescape=False,  # noqa: S701 # configuration files are plain text, each renderer quotes as its format does
)


@dataclass(frozen=True, slots=True)
class Rendering:
    """A cluster as text for another program. `warnings` tells, by path in the document, what it could not say."""

    text: str
    warnings: tuple[Problem, ...]


def fill(template: str, **values: object) -> str:
    """Return a template of ``renderers/templates`` with its values. A value that it needs and lacks is an error."""
    return _TEMPLATES.get_template(template).render(**values)
