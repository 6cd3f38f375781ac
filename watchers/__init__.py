"""The services that run on routers; they import clusterd and renderers, nothing imports them."""
