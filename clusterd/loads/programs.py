"""Load by programs on this host: rup (asks the real server's rstatd) and ruptime (listens to what its rwhod sends)."""

from clusterd import programs
from clusterd.clock import boottime_s
from clusterd.loads.asked import Asked
from clusterd.loads.parsing import average
from clusterd.weights.values import Reading

LIMIT_BYTES = 65536
_NOT_THERE = 127  # setpriv(1), which runs it
USER = "nobody"  # they need nothing but the network


async def rup(asked: Asked) -> Reading | str:
    """Return what `rup ADDRESS` prints."""
    return await printed("rup", asked)


async def ruptime(asked: Asked) -> Reading | str:
    """Return what `ruptime ADDRESS` prints."""
    return await printed("ruptime", asked)


async def printed(program: str, asked: Asked) -> Reading | str:
    """Run a program with the real server's address, and read what it prints."""
    terms = programs.Terms(USER, asked.load.timeout_s, kept_bytes=LIMIT_BYTES, most_bytes=LIMIT_BYTES)
    try:
        outcome = await programs.run((program, asked.address), terms, {"PATH": programs.PATH, "LANG": "C.UTF-8"})
    except programs.CannotRun as error:
        return f"{program} cannot be run: {error}"
    if outcome.flooded:
        return f"{program} printed more than {LIMIT_BYTES // 1024} KiB"
    if outcome.status is None:
        return f"{program} did not end within {asked.load.timeout_s:g} s"
    text = outcome.output.decode(errors="replace")
    if outcome.status == _NOT_THERE:
        return f"{program} cannot be run: {text.strip()}"
    try:
        return Reading(boottime_s(), average(text))
    except ValueError as error:
        return f"{program}: {error}"
