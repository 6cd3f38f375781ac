"""What every test may use. The lab (tests marked `lab`, the fixture `measure`) comes from tests/lab/plugin.py."""

pytest_plugins = ["tests.lab.plugin"]
