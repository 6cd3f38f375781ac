"""clusterd manages Linux Virtual Server clusters whose single source of truth is etcd."""

__version__ = "0.1.0"
