"""A five-node LVS cluster on a real IPVS kernel, for the tests and the demo."""
