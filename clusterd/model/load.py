"""Where the load of the real servers is read from, and what it does to their weights."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from clusterd.model.scalars import Port, Seconds, Share, Value

Path = Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=2048)]
User = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@-]*$", max_length=64)]

_TAKEN: dict[str, tuple[str, ...]] = {
    "port": ("ssh", "http"),
    "path": ("http",),
    "user": ("ssh",),
    "key_file": ("ssh",),
    "known_hosts": ("ssh",),
}


class Load(Value):
    """Where the load of the real servers is read from, and how weights follow it. Without one the configured apply."""

    source: Literal["none", "ssh", "rup", "ruptime", "agent", "http"] = Field(
        "none", description="how it is read; none keeps the configured weights"
    )
    controller: Literal["smooth", "piranha"] = Field(
        "smooth", description="how weights follow it: evenly and in small steps, or by Piranha's formula"
    )
    interval_s: Seconds = Field(10.0, description="seconds from one reading to the next")
    timeout_s: Seconds = Field(5.0, description="seconds that one reading may take")
    stale_s: Seconds = Field(60.0, description="seconds after which a reading no longer counts")
    smoothing_s: Seconds = Field(15.0, description="seconds over which readings are averaged (smooth)")
    dead_band: Share = Field(
        0.1, description="share of the weight by which it must be wrong before it is changed (smooth)"
    )
    step: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = Field(
        0.25, description="largest change at once, as a share of the weight (smooth)"
    )
    change_s: Seconds = Field(5.0, description="seconds from one change of a server's weight by load to the next")
    floor: Annotated[float, Field(ge=0.01, le=1, allow_inf_nan=False)] = Field(
        0.1, description="the least that load leaves of a weight (smooth)", json_schema_extra={"x-unit": "times"}
    )
    ceiling: Annotated[float, Field(ge=1, le=10, allow_inf_nan=False)] = Field(
        2.0, description="the most that load makes of a weight (smooth)", json_schema_extra={"x-unit": "times"}
    )
    port: Port | None = Field(None, description="port that is asked; ssh: 22, http: the one that is checked by default")
    path: Path | None = Field(None, description="what http asks for; /load by default")
    user: User | None = Field(None, description="who ssh logs in as; clusterd by default")
    key_file: Path | None = Field(
        None, description="private key of ssh, on the routers; the agent's and the service's own keys by default"
    )
    known_hosts: Path | None = Field(
        None, description="file with the real servers' host keys, on the routers; /etc/ssh/ssh_known_hosts by default"
    )

    @model_validator(mode="after")
    def _takes_what_is_given(self) -> Self:
        for name, sources in _TAKEN.items():
            if getattr(self, name) is not None and self.source not in sources:
                raise ValueError(f"{name} is only for source {' or '.join(sources)}, not {self.source}")
        if self.stale_s < self.interval_s:
            raise ValueError(f"stale_s must be at least interval_s ({self.interval_s:g}), else no reading ever counts")
        return self


class SlowStart(Value):
    """A server that comes back gets its weight by and by."""

    duration_s: Seconds = Field(30.0, description="seconds until it has its whole weight")
    curve: Literal["linear", "doubling"] = Field(
        "linear", description="in ten equal steps, or from 1/32 on by doubling five times"
    )
