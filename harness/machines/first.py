"""The first process of a lab that stays up, PID 1 of its namespaces. `first.py FD`: it only waits.

SIGCHLD is ignored, so the kernel reaps every orphan at once (wait(2), NOTES). As PID 1 it is sent
no signal of the lab's own processes but those that it handles, so Python's SIGINT handler has to
go. The parent-death signal was set before this program started. Who starts it hears of that, and
answers; the end of file instead says that it died before the signal could have told.
"""

from __future__ import annotations

import os
import signal
import sys

READY = b"ready"
GO = b"go"


def main(channel: int) -> None:
    """Report on the socket `channel`, and wait for ever."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.write(channel, READY)
    if os.read(channel, len(GO)) != GO:
        return
    os.closerange(0, 256)
    while True:
        signal.pause()


if __name__ == "__main__":
    main(int(sys.argv[1]))
