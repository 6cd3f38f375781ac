"""What a router recorded is kept for whoever asks on its host, also while etcd is away."""

from clusterd.keys import Keys
from clusterd.store.memory import MemoryStore
from watchers.events import REMEMBERED, Events


async def test_the_last_events_are_remembered_with_the_ids_that_etcd_has() -> None:
    store = MemoryStore()
    store.down = True
    events = Events("r1", store, Keys("main"))
    assert (events.recent, events.last("drift")) == ((), None)
    events.record("drift", "an address was put back")
    events.record("takeover", "r1 is active", token=7)
    first, second = events.recent
    assert (first.kind, first.router, second.text, second.more) == ("drift", "r1", "r1 is active", {"token": 7})
    assert first.id != second.id
    assert events.last("drift") == first
    for number in range(REMEMBERED):
        events.record("claim", str(number))
    assert len(events.recent) == REMEMBERED
    assert events.last("drift") is None
