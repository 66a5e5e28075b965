"""Every error that a user can meet, in one tree.

HarnessError
├── InputError            what was given is wrong: a file, an option, a name (exit code 2)
│   ├── TopologyError     the topology file; carries one message for each mistake in it
│   ├── RunFolderError    a run folder that is missing, incomplete or of another schema
│   ├── UnknownNode       a lab has no node of that name
│   ├── LabNotFound       no lab of that name is up
│   └── LabExists         a lab of that name is up already, or is being built
├── MachineError          the machine cannot carry the lab (exit code 3)
│   ├── Unsupported       the kernel or a tool lacks something; says what installs it
│   ├── HostUnusable      a lab host cannot be reached, or has no worker
│   ├── WorkerFailed      something broke inside a call; the worker is still there
│   └── WorkerLost        the worker went away in the middle of its work
├── CannotCompare         two runs have nothing in common (exit code 3)
└── BuildError            a step of the plan failed; carries the step and the kernel's answer

A wrong network is none of these: it is a verdict.
"""

from __future__ import annotations


class HarnessError(Exception):
    """Root of the tree; `exit_code` is what the command line ends with."""

    exit_code = 3
    leftovers: tuple[str, ...] = ()
    """What could not be taken back of a lab that could not be built."""


class InputError(HarnessError):
    """What the user gave cannot be used."""

    exit_code = 2


class TopologyError(InputError):
    """A topology file has mistakes; `messages` holds one line for each of them."""

    def __init__(self, messages: tuple[str, ...]) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages


class RunFolderError(InputError):
    """A run folder cannot be read."""


class UnknownNode(InputError):
    """A lab has no node of the name; `lab` is what to call the lab in the sentence."""

    def __init__(self, lab: str, node: str, nodes: tuple[str, ...]) -> None:
        super().__init__(f"{lab} has no node {node!r}; it has {', '.join(nodes)}")
        self.node = node
        self.nodes = nodes


class LabNotFound(InputError):
    """No lab of the name is up."""

    def __init__(self, name: str, running: tuple[str, ...]) -> None:
        known = ", ".join(running) if running else "none"
        super().__init__(
            f"no lab named {name!r} is up (up: {known}); `harness up --name {name}` builds it"
        )
        self.name = name
        self.running = running


class LabExists(InputError):
    """The name is taken by a lab that is up, or that another `harness up` is building."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"a lab named {name!r} is up already, or is being built; "
            f"`harness down {name}` ends it, `harness up --name OTHER` builds a second one"
        )
        self.name = name


class MachineError(HarnessError):
    """The machine cannot carry the lab."""


class Unsupported(MachineError):
    """Something that the lab needs is missing on the machine."""


class HostUnusable(MachineError):
    """A lab host cannot be used; `what` is its `reach`, `python` or `privilege`."""

    def __init__(self, host: str, what: str, sentence: str) -> None:
        super().__init__(f"{host}: {sentence}")
        self.host = host
        self.what = what
        self.sentence = sentence


class WorkerFailed(MachineError):
    """A call ended in an error that nobody expected."""


class WorkerLost(MachineError):
    """The worker ended while it was needed.

    `machines` are the names of those that were lost, where a lab is on several.
    """

    def __init__(self, sentence: str, machines: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.machines = machines


class CannotCompare(HarnessError):
    """No cell is in both of two runs."""

    def __init__(self, old: str, new: str) -> None:
        super().__init__(f"no cell is in both runs, so there is nothing to compare: {old}; {new}")


class BuildError(HarnessError):
    """A step of the plan failed.

    `step` is the step as the plan has it, `reason` what the kernel or the tool said.
    """

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason
