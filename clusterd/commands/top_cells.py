"""A line of `clusterd top` as texts."""

from clusterd.amounts import size
from clusterd.traffic import Line

TITLES = ("VIRTUAL/SERVER", "CONN/S", "PKT/S IN", "PKT/S OUT", "IN/S", "OUT/S", "ACTIVE", "WEIGHT", "STATE", "ADDRESS")
SPARE = ("ADDRESS", "PKT/S OUT", "PKT/S IN", "WEIGHT", "ACTIVE", "OUT/S", "IN/S")


def cells(line: Line, folded: bool = False) -> list[str]:
    """Return the cells of one line; rates that are not known are empty."""
    name = f"  {line.server}" if line.server else f"{'+' if folded else '-'} {line.virtual}"
    told = [""] * 5
    if line.rates:
        rates = line.rates
        told = [_number(rates.connections), _number(rates.packets_in), _number(rates.packets_out)]
        told += [size(int(rates.bytes_in)), size(int(rates.bytes_out))]
    active = "" if line.active is None else str(line.active)
    return [name, *told, active, line.weight, line.state, line.address]


def _number(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"
