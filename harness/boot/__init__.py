"""What hosts read when they start, so that a lab is there again after a reboot.

From a topology to files and commands, nothing else: `harness write-config` prints them, or brings
the files to the hosts.
"""

from harness.boot.ifupdown import SOURCE
from harness.boot.setup import FOLDERS, MARK, File, Setup, setups

__all__ = ["FOLDERS", "MARK", "SOURCE", "File", "Setup", "setups"]
