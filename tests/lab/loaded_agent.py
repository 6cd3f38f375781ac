"""clusterd-agent on a node with a load of its own: all nodes share one kernel, and so one load average.

`python -m tests.lab.loaded_agent FILE …`: the file has the load of the node; the rest is clusterd-agent's.
"""

import os
import sys
from pathlib import Path

from watchers import agent

if __name__ == "__main__":
    file = Path(sys.argv.pop(1))
    os.getloadavg = lambda: (float(file.read_text()), 0.0, 0.0)
    agent.main()
