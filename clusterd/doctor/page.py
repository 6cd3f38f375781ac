"""The page that lists the checks, made from the table of them: `script/docs` writes it, and a test compares."""

from clusterd.doctor.checks import CHECKS, ETCD, ROUTER, SERVER

_INTRODUCTION = """\
<!-- Made from clusterd/doctor/ by script/docs: do not edit. -->

# clusterd doctor: every check

`clusterd doctor` looks at etcd, at the routers' hosts, at the ways between them and at the real servers. It says of
each check and place whether it is `ok`, to be warned of (`warn`), wrong (`fail`) or `unknown`, what was seen, and how
to mend it. It changes nothing. What was not seen is never ok.

- **Routers look at their own hosts**, in a process of their own, when the command asks them through etcd; question and
  answers live under a lease of a minute. A host whose router service does not run, or any while etcd is down, is looked
  at by running the command there.
- **Real servers** are looked at by the active router of their group: by ssh where the virtual server's load source is
  `ssh` (as that user, with that key, without any right of root), else by what can be seen from outside.
- **The default route is seen from outside, too:** the active router makes a connection that begins at its public
  address. The answer comes only if the real server sends it to the floating gateway. One that answers in its own
  network and not to this has another default route.
- Clocks are compared with etcd's members by the `Date` of an answer over HTTP, in whole seconds; those of real servers
  by ssh.
- Every question has its time, all are asked side by side: a dead host delays the answer by some seconds.

The exit code is 0 where no check failed and everything was seen (warnings change nothing), 1 where one failed, 6 where
something could not be seen, and 4 where etcd does not answer. `--json` prints a list of `check`, `place`, `verdict`,
`what` and `mend`; `--checks` prints what is here.
"""
_HEADINGS = {ETCD: "etcd", ROUTER: "Routers", SERVER: "Real servers"}


def markdown() -> str:
    """Return the page."""
    return _INTRODUCTION + "".join(_table(where) for where in (ETCD, ROUTER, SERVER))


def _table(where: str) -> str:
    rows = [
        f"| `{name}` | {check.looks} | {check.mend.replace('|', chr(92) + '|')} |"
        for name, check in CHECKS.items()
        if check.where == where
    ]
    return "\n".join(
        [f"\n## {_HEADINGS[where]}\n", "| check | looks whether | how to mend it |", "| --- | --- | --- |", *rows, ""]
    )
