"""The pages that edit: a form or a text, then the difference with the brakes, then a commit.

GET  ──► form ──review──► difference ──commit──► 303 to the object's page
          ▲                  │
          └──── edit ────────┘      every step is a POST that carries all that was typed
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from clusterd import configuration, document
from clusterd.configuration import Committed
from clusterd.errors import ClusterdError, ConfigError, ConflictError, Problem, StoreError, StoreUnavailable
from clusterd.merging import Overtaken
from clusterd.model import Cluster
from watchers.web import edits, panels
from watchers.web.access import Who
from watchers.web.console import console, page
from watchers.web.edits import Proposal
from watchers.web.forms import NO_FAULTS, Faults, Texts, by_field
from watchers.web.looking_pages import live_parts
from watchers.web.places import Make, Place, check_type, made, object_at, text_of, texts_of

TRIES = 3  # where others keep being first
_STEPS = ("step", "shown", "force", "message")


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit as it stands: of which object, upon which commit that was seen, and what was typed."""

    place: Place
    seen: int
    texts: Texts

    @property
    def as_text(self) -> bool:
        """Whether the object is edited as text."""
        return self.texts.get("as") == "text"


async def edited(request: Request, who: Who, place: Place) -> Response:
    """Show the form of an object, or take what was typed into it."""
    if request.method != "POST":
        return _opened(request, who, place)
    if not who.user.may("operator"):
        raise HTTPException(403, f"this is for the role operator, and yours is {who.user.role}")
    texts: Texts = request.state.typed
    seen = texts.get("seen", "")
    if not (seen.isascii() and seen.isdecimal() and len(seen) < 9):
        raise HTTPException(400, "the form does not say which commit it is about: open the page again")
    edit = Edit(place, int(seen), texts)
    if texts.get("step") == "edit":
        return _form(request, who, edit)
    return await _reviewed(request, who, edit, made(place, texts))


def _opened(request: Request, who: Who, place: Place) -> Response:
    base, cluster = _known(request)
    way = request.query_params.get("as", "form")
    data = {} if place.new else object_at(cluster, place.path) if place.path else {}
    if data is None:
        raise HTTPException(404, f"there is no {place.path} in the configuration")
    if way == "text" or place.kind == "document":
        texts = {"as": "text", "text": text_of(place, cluster)}
    else:
        texts = {"as": "form", **texts_of(place, data)}
        if place.kind == "check" and request.query_params.get("type"):
            texts["type"] = request.query_params["type"]
    return _form(request, who, Edit(place, base.number, texts))


def _known(request: Request) -> tuple[Committed, Cluster]:
    base = console(request).sight.now.base
    if base is None:
        trouble = console(request).sight.now.trouble
        raise HTTPException(503, trouble or "there is no configuration yet: make one with `clusterd init`")
    return base, base.cluster


async def _reviewed(request: Request, who: Who, edit: Edit, make: Make) -> Response:
    """Show what a commit would do, or do it where that was seen and agreed to."""
    known, notice = console(request), ""
    for _ in range(TRIES):
        try:
            base = await edits.read(known.store, known.keys, known.sight.now.base)
            ready = await edits.proposed(known.store, known.keys, base, edit.seen, make)
        except (Overtaken, ConfigError, StoreUnavailable, StoreError) as error:
            return await _refused(request, who, edit, error)
        if not ready.found:
            said = f"nothing to change: this is what commit {base.number} left"
            return _form(request, who, edit, Faults({}, (said,)))
        if not _agreed(edit.texts, ready):
            return _confirm(request, who, edit, ready, notice or _why_again(edit.texts, ready))
        try:
            return await _committed(request, who, edit, ready)
        except ConflictError:
            notice = "somebody else committed just now: look again"
        except ClusterdError as error:
            return _confirm(request, who, edit, ready, str(error), 503)
    raise HTTPException(409, "others commit faster than this: try again")


async def _refused(request: Request, who: Who, edit: Edit, error: ClusterdError) -> Response:
    """Show the form again, with what is in the way of a commit."""
    if isinstance(error, Overtaken):
        return await _overtaken(request, who, edit, error)
    if isinstance(error, ConfigError):
        return _form(request, who, edit, _faults(edit, error.problems), 422)
    return _form(request, who, edit, Faults({}, (f"nothing was written: {error}",)), 503)


async def _committed(request: Request, who: Who, edit: Edit, ready: Proposal) -> Response:
    """Commit, and show the object. Raises ConflictError where somebody else was first, and the store's errors."""
    known = console(request)
    author = edits.author(who.name, known.access.address(request), known.here)
    done = await edits.commit(known.store, known.keys, ready, author, edit.texts.get("message", "").strip())
    with suppress(ClusterdError):  # else the next page shows it a moment later
        await known.sight.look()
    return RedirectResponse(f"{_after(edit, done.number)}?done={done.number}", 303)


def _agreed(texts: Texts, ready: Proposal) -> bool:
    """Tell whether the person saw exactly this difference, and agreed to it with its brakes."""
    seen_this = texts.get("step") == "commit" and texts.get("shown") == str(ready.base.number)
    return seen_this and (not ready.held or bool(texts.get("force")))


def _why_again(texts: Texts, ready: Proposal) -> str:
    """Return why the difference is shown again to somebody who wanted to commit it, "" where it is not again."""
    if texts.get("step") != "commit":
        return ""
    if texts.get("shown") != str(ready.base.number):
        return f"commit {ready.base.number} came in between: this is what yours would change now"
    return "a brake holds this: tick the box to commit it anyway"


def _after(edit: Edit, number: int) -> str:
    """Return the page to show after the commit of this number."""
    if edit.place.kind == "rollback":
        return f"/history/{number}"
    if edit.texts.get("as") == "remove":
        return edit.place.back
    return f"/{edit.place.named(edit.texts)}" if edit.place.new else edit.place.url


async def _overtaken(request: Request, who: Who, edit: Edit, error: Overtaken) -> Response:
    """Show what the others did, in the form of both edits: mine where they contradict each other, else theirs too.

    Whoever sends that has seen what the others committed, so it decides.
    """
    known = console(request)
    happened = tuple(await configuration.since(known.store, known.keys, edit.seen + 1, error.theirs.number))
    following = replace(edit, seen=error.theirs.number, texts=_joined(edit, error))
    if following.texts is edit.texts:
        following = edit
    return _form(request, who, following, _faults(following, error.problems), 409, happened)


def _joined(edit: Edit, error: Overtaken) -> Texts:
    """Return the texts of both edits; those of `edit` as they are where there is no way to show both."""
    place, theirs, kept = edit.place, error.theirs.cluster, {"message": edit.texts.get("message", "")}
    if place.new:
        return {**edit.texts}
    try:
        both = document.from_data(error.both)
    except ConfigError:
        return edit.texts
    if edit.as_text or object_at(theirs, place.path) is None:
        return {**kept, "as": "text", "text": text_of(place, both), "sent": edit.texts.get("text", "")}
    return {**kept, "as": "form", **texts_of(place, object_at(both, place.path) or object_at(theirs, place.path) or {})}


def _faults(edit: Edit, problems: tuple[Problem, ...]) -> Faults:
    """Return at which fields the problems are; of a text they have lines."""
    if edit.as_text:
        return Faults({}, tuple(map(str, problems)))
    place = edit.place
    try:
        around = place.named(edit.texts)
    except ConfigError:
        around = place.path
    return by_field(place.groups(edit.texts, {}), around, problems)


def _form(
    request: Request,
    who: Who,
    edit: Edit,
    faults: Faults = NO_FAULTS,
    status: int = 200,
    happened: tuple[str, ...] = (),
) -> Response:
    place = edit.place
    if place.kind == "rollback":
        raise HTTPException(409 if status == 200 else status, "; ".join(faults.others))
    more: dict[str, Any] = {}
    if place.kind == "check":
        more = {"types": panels.CHECK_TYPES, "check_type": check_type(edit.texts, {})}
    live_name = {"virtual": "virtual", "redundancy": "redundancy"}.get("" if place.new else place.kind, "plain")
    query = f"?name={place.path.partition('/')[2]}" if live_name == "virtual" else ""
    return page(
        request,
        who,
        "form.html",
        status,
        place=place,
        edit=edit,
        groups=() if edit.as_text else place.groups(edit.texts, {}),
        faults=faults,
        happened=happened,
        editable=who.user.may("operator"),
        parts=live_parts(live_name, console(request).sight.now, request, place.path.partition("/")[2]),
        live=f"/live/{live_name}{query}",
        **more,
    )


def _confirm(request: Request, who: Who, edit: Edit, ready: Proposal, notice: str = "", status: int = 200) -> Response:
    kept = {name: text for name, text in edit.texts.items() if name not in _STEPS}
    more = {"kept": kept, "notice": notice}
    strays = configuration.written_back(ready.base.strays)
    return page(request, who, "confirm.html", status, place=edit.place, edit=edit, ready=ready, strays=strays, **more)


async def rolled_back(request: Request, who: Who) -> Response:
    """Bring an earlier document back, by the same steps as an edit."""
    known, number = console(request), request.path_params["number"]
    base = await edits.read(known.store, known.keys, known.sight.now.base)
    earlier = document.from_objects(await configuration.objects_after(known.store, known.keys, base, number))
    place = Place("", f"Back to commit {number}", "history", request.url.path, f"/history/{number}", "rollback")
    texts = {"message": f"back to commit {number}", **request.state.typed}
    return await _reviewed(request, who, Edit(place, base.number, texts), lambda _: earlier)
