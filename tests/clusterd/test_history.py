import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from clusterd.history import (
    NO_PARENT,
    Author,
    Head,
    ObjectChange,
    Record,
    Signature,
    as_json,
    broken_links,
    digest,
    head_of,
    object_hashes,
    recorded,
    replayed,
    utc,
)

NOW = datetime(2026, 11, 2, 10, 0, 0, 250_000, tzinfo=UTC)
ALICE = Author(user="root", host="r1", pid=7, sudo_user="alice")
ROOT = Author(user="root", host="r1")


def chain(length: int) -> list[Record]:
    """Return records that set virtuals/web's port to 1, 2, 3, …"""
    records: list[Record] = []
    for number in range(1, length + 1):
        before = {"port": number - 1} if number > 1 else None
        change = ObjectChange(before=before, after={"port": number})
        parent = records[-1].hash if records else NO_PARENT
        why = Signature(ALICE, NOW, f"port {number}")
        records.append(recorded(number, f"id-{number}", why, parent, {"virtuals/web": change}))
    return records


def head(records: list[Record]) -> Head:
    return head_of(records[-1], 1, object_hashes(replayed(records)))


def resealed(record: Record, message: str) -> Record:
    altered = record.model_copy(update={"message": message})
    return altered.model_copy(update={"hash": digest(altered)})


def test_a_record_reads_back_as_it_was_written() -> None:
    record = chain(2)[-1]
    assert Record.model_validate_json(as_json(record)) == record
    assert Head.model_validate_json(as_json(head(chain(2)))) == head(chain(2))


def test_a_record_has_stable_field_names_that_a_person_can_read() -> None:
    record = recorded(
        1, "id-1", Signature(ROOT, NOW, "größer"), NO_PARENT, {"routers/r1": ObjectChange(after={"a": 1})}
    )
    assert as_json(record).decode() == (
        '{"number": 1, "id": "id-1", '
        '"author": {"user": "root", "host": "r1", "pid": 0, "sudo_user": "", "certificate": "", "via": ""}, '
        '"time": "2026-11-02T10:00:00.250Z", "message": "größer", "parent": "", '
        '"changes": {"routers/r1": {"before": null, "after": {"a": 1}}}, '
        f'"hash": "{record.hash}"}}'
    )


def test_times_are_utc_whatever_the_clock_of_the_caller_says() -> None:
    assert utc(NOW.astimezone(timezone(timedelta(hours=2)))) == "2026-11-02T10:00:00.250Z"


def test_an_author_is_told_by_who_called_sudo() -> None:
    assert (str(ALICE), str(ROOT)) == ("alice@r1 (as root)", "root@r1")


def test_an_author_is_told_by_way_of_which_program() -> None:
    assert str(Author(user="alice", host="192.0.2.7", via="console on r1")) == "alice@192.0.2.7 (console on r1)"


def test_a_record_of_an_earlier_version_that_lacks_a_field_is_whole() -> None:
    data = json.loads(as_json(chain(1)[0]))
    del data["hash"], data["author"]["sudo_user"]
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    earlier = Record.model_validate({**data, "hash": hashlib.sha256(text.encode()).hexdigest()})
    assert broken_links([earlier], head([earlier])) == ()


def test_a_field_of_a_later_version_is_kept_and_covered_by_the_hash() -> None:
    record = chain(1)[0]
    later = Record.model_validate({**record.model_dump(), "ticket": "T-1"})
    assert b'"ticket": "T-1"' in as_json(later)
    assert broken_links([later], head([later])) == ("record 1 was altered: its hash is not that of its content",)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"number": 0}', "{", '{"number": "1"}'])
def test_what_is_no_record_is_refused(text: str) -> None:
    for kind in (Record, Head):
        with pytest.raises(ValidationError):
            kind.model_validate_json(text)


def test_the_hash_of_objects_does_not_depend_on_their_order() -> None:
    def whole(objects: Mapping[str, Any]) -> str:
        return object_hashes(objects).whole

    assert whole({"a": {"x": 1, "y": 2}, "b": {}}) == whole({"b": {}, "a": {"y": 2, "x": 1}})
    assert whole({"a": {"x": 1}}) != whole({"a": {"x": 2}})
    assert whole({"a": {"x": 1}}) != whole({"b": {"x": 1}})
    assert whole({"a": "\ud800"})  # JSON can say this, UTF-8 cannot


def test_replaying_gives_the_objects_of_the_last_commit() -> None:
    records = chain(3)
    gone = recorded(
        4, "id-4", Signature(ROOT, NOW), records[-1].hash, {"virtuals/web": ObjectChange(before={"port": 3})}
    )
    assert replayed(reversed(records)) == {"virtuals/web": {"port": 3}}
    assert replayed([*records, gone]) == {}


def test_a_whole_chain_has_no_findings() -> None:
    for length in (1, 2, 5):
        assert broken_links(chain(length), head(chain(length))) == ()


def test_an_altered_record_is_named() -> None:
    records = chain(4)
    altered = records[1].model_copy(update={"message": "it was not me"})
    assert broken_links([records[0], altered, *records[2:]], head(records)) == (
        "record 2 was altered: its hash is not that of its content",
    )


def test_an_altered_record_with_a_hash_made_anew_is_named() -> None:
    records = chain(4)
    forged = [records[0], resealed(records[1], "it was not me"), *records[2:]]
    assert broken_links(forged, head(records)) == ("record 2 was altered: record 3 does not follow it",)


def test_a_first_record_with_a_parent_is_named() -> None:
    first = chain(2)[0]
    later = recorded(1, "id", Signature(ROOT, NOW), first.hash, {})
    assert broken_links([later], head([later])) == ("record 1 was altered: record 1 does not follow it",)


def test_an_altered_last_record_is_found_by_the_head() -> None:
    records = chain(3)
    forged = [*records[:2], resealed(records[2], "it was not me")]
    assert broken_links(forged, head(records)) == (
        "record 3 or the head was altered: the head's hash is not the record's",
    )


def test_missing_records_are_named() -> None:
    records = chain(6)
    top = head(records)
    assert broken_links([*records[:1], *records[2:]], top) == ("record 2 is missing",)
    assert broken_links([*records[:1], *records[4:]], top) == ("records 2 to 4 are missing",)
    assert broken_links(records[1:], top) == ("record 1 is missing",)
    assert broken_links(records[:4], top) == ("records 5 to 6 are missing",)
    assert broken_links([], top) == ("records 1 to 6 are missing",)


def test_a_record_that_stands_twice_or_beyond_the_head_is_named() -> None:
    records = chain(3)
    assert broken_links([*records, records[2]], head(records)) == ("record 3 stands twice",)
    assert broken_links(records, head(records[:2])) == ("record 3 is newer than the head, which is commit 2",)
