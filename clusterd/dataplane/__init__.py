"""The kernel of one router. `contract` says what a data plane is; `kernel` and `memory` are two that keep it."""
