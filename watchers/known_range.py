"""What is known of a range of keys after a snapshot and every batch since: enough to see that nothing was missed.

What etcd has from the newest known key on must be what was told, and the number of all keys too: a watch that lost
something shows in the one or the other. So does an etcd that was restored: what was known as the newest is either not
there, or it is older than the backup, and then whatever is other was written later. Thousands of values need not be
read again for that.
"""

from clusterd.store.contract import Batch, Deleted, Entry, Since, Snapshot


class KnownRange:
    """`revision` is up to which one everything was told; what was written since `before` is known by its values."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.revision, self._count = snapshot.revision, len(snapshot.entries)
        self._keep({entry.key: entry for entry in snapshot.entries})

    def _keep(self, entries: dict[str, Entry]) -> None:
        """Keep those that were written last, to know them again."""
        newest = max((entry.mod_revision for entry in entries.values()), default=1)
        self.before = newest - 1
        self._fresh = {key: entry for key, entry in entries.items() if entry.mod_revision == newest}

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
        """Return whether etcd has what was told, by what was written `before` and later.

        Where all of that is gone there is nothing left to know it by, and the answer is no.
        """
        fresh = {entry.key: entry for entry in since.entries}
        known = bool(fresh) or not self._count
        if since.revision < self.revision or (since.count, fresh) != (self._count, self._fresh) or not known:
            return False
        self.revision = since.revision
        self._keep(fresh)
        return True
