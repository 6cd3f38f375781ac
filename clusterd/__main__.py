"""``python -m clusterd`` is the command ``clusterd``."""

from clusterd.commands import main

if __name__ == "__main__":
    main()
