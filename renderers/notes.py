"""What a format cannot say: collected once, told twice, as a comment where it belongs and as a warning."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from clusterd.errors import Problem
from clusterd.model import Value


class Notes:
    """What the format cannot say, by the part of the document that it is about."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._remarks: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, part: str, rest: str, message: str) -> None:
        """Note a message about a place inside a part; `rest` is empty where it is the part itself."""
        path = f"{part}/{rest}" if rest else part
        self._problems.append(Problem(0, path, message))
        self._remarks[part].append(f"{path}: {message}")

    def unsaid(self, part: str, value: Value, names: Iterable[str], message: str) -> None:
        """Note of each of these keys of an object that it is not what it is by default."""
        for name in names:
            if getattr(value, name) != type(value).model_fields[name].default:
                self.add(part, name, message)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """All of them, in the order in which they came up."""
        return tuple(self._problems)

    @property
    def remarks(self) -> Mapping[str, Sequence[str]]:
        """The same as texts for comments, by part; a part without any has an empty list."""
        return self._remarks
