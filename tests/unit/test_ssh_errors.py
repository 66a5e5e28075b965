"""What ssh, sshd, sudo and shells said where no worker started, as they said it -> a sentence."""

from __future__ import annotations

import pytest

from harness.machines import ssh_errors

SAID = [
    ("ssh: Could not resolve hostname host9: Name or service not known", "no such host: host9;"),
    ("ssh: connect to host 192.168.56.104 port 22: Connection refused", "refuses the connection"),
    ("ssh: connect to host 192.168.56.104 port 22: Connection timed out", "does not answer"),
    ("ssh: connect to host 192.168.56.104 port 22: No route to host", "does not answer"),
    ("Timeout, server host1 not responding.", "does not answer"),
    (
        (
            "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n"
            "Host key verification failed."
        ),
        "not the one that known_hosts has",
    ),
    (
        (
            "No ED25519 host key is known for host1 and you have requested strict checking.\n"
            "Host key verification failed."
        ),
        "not known here; connect once by hand, `ssh root@host1`",
    ),
    ("root@host1: Permission denied (publickey,password).", "(it takes publickey,password)"),
    ("Received disconnect from 10.0.0.1: Too many authentication failures", "too many keys"),
    ("/root/.ssh/config: line 3: Bad configuration option: nosuch", "line 3: Bad configuration"),
    ("kex_exchange_identification: Connection closed by remote host", "closed the connection"),
    ("bash: line 1: python3: command not found", "there is no python3; install it there"),
    ("python3: error while loading shared libraries: libx.so", "its python3 does not start"),
    ("This account is currently not available.", "has no shell there"),
    ("something nobody knows\n", "ssh ended: something nobody knows"),
    ("", "ssh ended: it said nothing"),
]


@pytest.mark.parametrize(("said", "sentence"), SAID)
def test_words_become_a_sentence(said: str, sentence: str) -> None:
    """Each is told in one line that has its own fix; what is not known is quoted."""
    told = ssh_errors.explain(said, ssh_errors.SSH, destination="root@host1", python="python3")
    assert sentence in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("sudo password is required", "sudo wants a password there"),
        ("guest is not in the sudoers file.", "may not become root there by sudo"),
        ("sudo: command not found", "there is no sudo"),
    ],
)
def test_sudo_has_words_of_its_own(said: str, sentence: str) -> None:
    """A missing sudo is not taken for a missing python."""
    told = ssh_errors.explain(said, ssh_errors.SUDO, destination="lab@host1", python="python3")
    assert sentence in told


def test_login_that_worked_is_told_from_python_that_did_not() -> None:
    """Doctor says of such a host that it is reached."""
    assert ssh_errors.is_of_python("sh: 1: python3.9: not found")
    assert not ssh_errors.is_of_python("root@host1: Permission denied (publickey).")
