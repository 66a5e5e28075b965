"""What is done to a machine from inside of the test machines' namespaces.

`python -m harness.testbed.console on NAME CMD...`, `off NAME`, `boot NAME`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from harness.testbed import room
from harness.testbed.layout import PLACE, Layout


def main(verb: str, name: str, argv: list[str]) -> None:
    """Do it."""
    if verb == "on":
        command = room.on(name, argv)
        os.execvp(command[0], command)  # noqa: S606 - an argv list
    elif verb == "off":
        room.power_off(name)
    elif verb == "boot":
        layout = Layout.read(Path(PLACE, "layout").read_text())
        room.wait(*room.boot(name, layout))
    else:
        sys.exit(f"unknown verb {verb!r}: on, off, boot")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
