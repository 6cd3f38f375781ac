"""Where the cluster's state is kept. `contract` says what a store is; `etcd` and `memory` are two that keep it."""
