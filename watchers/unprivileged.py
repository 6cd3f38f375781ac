"""Starts a child without the capabilities that this service has (capabilities(7): ambient ones are inherited).

Only a service that runs as a user of its own has anything to take away: root's children are root's in any case.
"""

import os


def unprivileged(command: tuple[str, ...], keep: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the command that runs another one without capabilities but those to keep, for good (setpriv(1))."""
    if os.geteuid() == 0:
        return command
    kept = ",".join(("-all", *(f"+{name}" for name in keep)))
    return ("setpriv", f"--inh-caps={kept}", f"--ambient-caps={kept}", "--no-new-privs", "--", *command)
