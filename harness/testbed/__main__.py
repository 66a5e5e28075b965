"""`python -m harness.testbed [options] -- CMD...`: run a command beside the test machines."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from harness.errors import HarnessError
from harness.machines import control_groups
from harness.testbed import bed
from harness.testbed.layout import ENGINES, Layout


def main() -> int:
    """Parse, run, and pass the exit code on."""
    parser = argparse.ArgumentParser(prog="python -m harness.testbed", description=__doc__)
    add = parser.add_argument
    add("--sudo", action="append", default=[], metavar="NAME",
        help="its login is a user that needs sudo")  # fmt: skip
    add("--jump", action="append", default=[], metavar="NAME=VIA", type=_pair,
        help="it is reached through another machine only")  # fmt: skip
    add("--python", action="append", default=[], metavar="NAME=PATH", type=_pair,
        help="its python3 is this interpreter")  # fmt: skip
    add("--clock", action="append", default=[], metavar="NAME=OFF", type=_pair,
        help="its clock is off, as faketime has it: host1=+1h")  # fmt: skip
    add("--no-docker", action="store_true", help="no machine runs an engine")
    add("command", nargs="+", metavar="CMD", help="what to run, with its arguments")
    told = parser.parse_args()
    engines = () if told.no_docker else ENGINES
    layout = Layout(tuple(told.sudo), dict(told.jump), dict(told.python), dict(told.clock), engines)
    try:
        process = bed.start(layout, told.command)
        inode = Path(f"/proc/{bed.first(process)}/ns/pid").stat().st_ino
        control_groups.watch(f"harness-{inode}")
    except HarnessError as error:
        sys.stderr.write(f"testbed: {error}\n")
        return error.exit_code
    signal.signal(signal.SIGINT, lambda *_: None)  # the command's alone
    return process.wait()


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
