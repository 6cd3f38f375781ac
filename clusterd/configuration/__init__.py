"""The configuration in etcd: read at one revision, changed by commits of one transaction each.

    read ──► head, objects of its generation        compare: head is still the one that was read
                 │                                   put:     changed objects, head, history record
                 └── edited by somebody ──► commit ──► delete:  removed objects

No reader ever sees half a commit. One that is too big for a transaction is written in pieces that nobody reads, before
one transaction makes them the configuration (see `staging`). What stands under ``config/`` without a commit (somebody
used etcdctl) is not believed: the head's hash over all objects tells, and the history gives the committed values back.

A commit whose answer was lost is not repeated. A second transaction with the same guard (the barrier) rewrites
one key with what it held: if it succeeds, the first was not done and never will be, however late it arrives; if not,
the history says whose commit it is that stands there.
"""

from clusterd.configuration.attempts import written_back
from clusterd.configuration.committing import Extras, commit
from clusterd.configuration.earlier import no_commit, numbered, objects_after, since
from clusterd.configuration.reading import Committed, changes_of, read, read_on, record, records

__all__ = [
    "Committed",
    "Extras",
    "changes_of",
    "commit",
    "no_commit",
    "numbered",
    "objects_after",
    "read",
    "read_on",
    "record",
    "records",
    "since",
    "written_back",
]
