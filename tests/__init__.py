"""clusterd's tests."""

import os

# A child of fork(2) belongs to whatever it becomes. gRPC would start its threads anew in it, on files that are closed
# there already: one in a hundred children that set something up before exec (tests/lab/lifetime.py) ends by SIGABRT.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
