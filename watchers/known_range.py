"""What is known of a range of keys after a snapshot and every batch since: enough to see that nothing was missed.

A watch that lost something, or an etcd that was restored, has other keys written since, or another number of them: so
thousands of values need not be read again to know that they are as they were told.
"""

from clusterd.store.contract import Batch, Deleted, Entry, Since, Snapshot


class KnownRange:
    """`revision` is up to which one everything was told, `whole_at` at which one that was seen to be all."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.revision = self.whole_at = snapshot.revision
        self._count = len(snapshot.entries)
        self._fresh: dict[str, Entry] = {}  # those written since it was whole

    def take(self, batch: Batch) -> None:
        """Take in what changed at a later revision."""
        for change in batch.changes:
            if isinstance(change, Deleted):
                self._fresh.pop(change.key, None)
                self._count -= 1
            else:
                self._fresh[change.key] = change
                self._count += change.create_revision == change.mod_revision
        self.revision = batch.revision

    def still(self, since: Since) -> bool:
        """Return whether there is what was told, by what was written since it was whole: then it is whole again."""
        fresh = {entry.key: entry for entry in since.entries}
        if since.revision < self.revision or (since.count, fresh) != (self._count, self._fresh):
            return False
        self.revision = self.whole_at = since.revision
        self._fresh = {}
        return True
