"""Does a program say that the server is well? (lvs.cf: send_program, expect, use_regex)

Without `expect` its exit status says so: 0 is good. With it the output does, as `send_expect` compares it, and the
status does not count. Errors that it prints are part of its output.
"""

import re

from clusterd.checks.dialogue import Place, quoted
from clusterd.checks.send_expect import matches
from clusterd.health import Observation
from clusterd.model import ExecCheck

PRINTED_BYTES = 65536  # what prints more is killed


def command(place: Place, check: ExecCheck) -> tuple[str, ...]:
    """Return the command with address and port put into its arguments; the program's path stays as it is."""
    values = {"%h": place.address, "%p": str(place.port), "%%": "%"}
    program, *arguments = check.command
    return (program, *(re.sub("%[hp%]", lambda found: values[found[0]], argument) for argument in arguments))


def environment(place: Place) -> dict[str, str]:
    """Return what a program finds in its environment, beside PATH, LANG and who it is."""
    return {"CLUSTERD_CHECK_ADDRESS": place.address, "CLUSTERD_CHECK_PORT": str(place.port)}


def judged(check: ExecCheck, status: int, output: bytes) -> Observation:
    """Return what a program that ended by itself has found out."""
    if check.expect:
        if matches(check.expect, check.regex, output, complete=True):
            return Observation(True, "the program printed what is expected")
        printed = f"printed {quoted(output)}" if output else "printed nothing"
        return Observation(False, f"the program {printed}, expected {check.expect}")
    if status == 0:
        return Observation(True, "the program ended with status 0")
    ended = f"ended with status {status}" if status > 0 else f"was killed by signal {-status}"
    last = output.rstrip().rpartition(b"\n")[2]
    return Observation(False, f"the program {ended}" + (f": {quoted(last)}" if last else ""))
