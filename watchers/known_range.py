"""What is known of a range of keys after a snapshot and every batch since: enough to see that nothing was missed.

What etcd has from the newest known key on must be what was told, and the number of all keys too: a watch that lost
something shows in the one or the other, and so does an etcd that was restored, unless as many keys were deleted in it
as came back, and nothing else was written. Thousands of values need not be read again for that.
"""

from collections.abc import Iterable

from clusterd.store.contract import Batch, Deleted, Entry, Since, Snapshot


class KnownRange:
    """`revision` is up to which one everything was told; what was written since `before` is known by its values."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.revision, self._count = snapshot.revision, len(snapshot.entries)
        self._keep(snapshot.entries)

    def _keep(self, entries: Iterable[Entry]) -> None:
        """Keep those that were written last, to know them again."""
        newest = max((entry.mod_revision for entry in entries), default=1)
        self.before = newest - 1
        self._fresh = _told(entry for entry in entries if entry.mod_revision == newest)

    def take(self, batch: Batch) -> None:
        """Take in what changed after what is known."""
        for change in batch.changes:
            if isinstance(change, Deleted):
                self._fresh.pop(change.key, None)
                self._count -= 1
            else:
                self._fresh[change.key] = (change.mod_revision, change.value)
                self._count += change.create_revision > self.revision
        self.revision = batch.revision

    def late(self, since: Since) -> Batch | None:
        """Return what was written after everything that is known, None where nothing was; deletes do not show."""
        entries = tuple(entry for entry in since.entries if entry.mod_revision > self.revision)
        return Batch(since.revision, entries) if entries else None

    def still(self, since: Since) -> bool:
        """Return whether etcd has what was told, by what was written `before` and later.

        Where all of that is gone there is nothing left to know it by, and the answer is no.
        """
        known = bool(since.entries) or not self._count
        if not known or since.revision < self.revision or since.count != self._count:
            return False
        if _told(since.entries) != self._fresh:
            return False
        self.revision = since.revision
        self._keep(since.entries)
        return True


def _told(entries: Iterable[Entry]) -> dict[str, tuple[int, bytes]]:
    return {entry.key: (entry.mod_revision, entry.value) for entry in entries}
