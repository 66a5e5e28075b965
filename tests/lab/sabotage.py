"""A pytest plugin that breaks one part of the worker: `SABOTAGE=name pytest -p tests.lab.sabotage`.

The run must be in private namespaces already: its worker is this process itself, so that a part of
it can be broken from here. All the rest is the real thing on the real kernel.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from harness import labs
from harness.worker import namespaces, probes, responders, taps

DEAF = ("bbox3", "eth0")
"""The tap that is broken: the destination's."""
ANSWERED = 10
"""One of so many UDP probes is answered."""


class Here:
    """A machine whose worker is this process, and the worker itself."""

    def start(self) -> Here:
        """See Machine."""
        return self

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """See Worker."""
        return function(*arguments)

    def begin(self, function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        """See Worker. All work is done on the thread that asks for it."""
        answer = function(*arguments)
        return lambda: answer

    def close(self) -> None:
        """See Worker. The namespaces end with the process."""


class DeadTap(taps.Tap):
    """Its socket is gone at the first drain."""

    def drain(self) -> list[taps.Sighting]:
        """See Tap."""
        if (self.node, self.interface) == DEAF:
            self.socket.close()
        return super().drain()


class FlappingTap(taps.Tap):
    """Its interface goes down and up again between two drains."""

    _flapped = False

    def drain(self) -> list[taps.Sighting]:
        """See Tap."""
        if (self.node, self.interface) == DEAF and not self._flapped:
            self._flapped = True
            netlink = namespaces.route(self.node)
            (index,) = netlink.link_lookup(ifname=self.interface)
            netlink.link("set", index=index, state="down")
            netlink.link("set", index=index, state="up")
        return super().drain()


class NarrowTap(taps.Tap):
    """It has room for a frame or two."""

    def __init__(self, node: str, interface: str, macs: Sequence[str] | None = None) -> None:
        super().__init__(node, interface, macs)
        if (node, interface) == DEAF:
            self.socket.setsockopt(socket.SOL_SOCKET, taps.SO_RCVBUFFORCE, 1)


class BlindTap(taps.Tap):
    """It is bound to another interface than it says."""

    def __init__(self, node: str, interface: str, macs: Sequence[str] | None = None) -> None:
        super().__init__(node, interface, macs)
        if (node, interface) == DEAF:
            self.socket.bind(("lo", taps.ETH_P_ALL))


class SilentSenders(probes.Senders):
    """They say that all went well, and send nothing."""

    def send(self, probe: probes.Probe) -> int | None:
        """See Senders."""
        del probe
        return None


class LyingSenders(probes.Senders):
    """What they send has a token of nobody's."""

    def send(self, probe: probes.Probe) -> int | None:
        """See Senders."""
        return super().send({**probe, "token": secrets.token_bytes(16)})


class LazyResponders(responders.Responders):
    """They answer one datagram in ten."""

    def __init__(self, wanted: Any) -> None:
        self._asked = 0
        super().__init__(wanted)

    def _udp(self, family: int, node: str, address: str) -> None:
        listener = responders._listener(family, socket.SOCK_DGRAM, node, address)

        def answer() -> None:
            for octets, asker in responders._received(listener):
                self._asked += 1
                if self._asked % ANSWERED == 0:
                    listener.sendto(octets, asker)

        self._keep(listener, answer)


SABOTAGES: dict[str, tuple[Any, str, Any]] = {
    "none": (taps, "Tap", taps.Tap),
    "dead-tap": (taps, "Tap", DeadTap),
    "flapping-tap": (taps, "Tap", FlappingTap),
    "narrow-tap": (taps, "Tap", NarrowTap),
    "blind-tap": (taps, "Tap", BlindTap),
    "nothing-sent": (probes, "Senders", SilentSenders),
    "foreign-tokens": (probes, "Senders", LyingSenders),
    "one-in-ten": (responders, "Responders", LazyResponders),
}


def pytest_configure(config: pytest.Config) -> None:
    """Break what the environment names."""
    del config
    setattr(*SABOTAGES[os.environ["SABOTAGE"]])
    vars(labs)["PrivateMachine"] = Here
