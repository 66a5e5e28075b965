"""docs/lab-hosts.md: its commands take three machines to a report of a night, as written."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.testbed import MACHINES, Layout, Testbed
from harness.worker.search import found

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs" / "lab-hosts.md"
BLOCK = re.compile(r"^```sh (.+)\n((?:.*\n)*?)^```$", re.MULTILINE)
HOME = """\
set -e
export PATH={bin}:$PATH
mount -t tmpfs tmpfs /mnt
mkdir /mnt/home /mnt/work /mnt/lab
mount -t overlay -o lowerdir=$HOME,upperdir=/mnt/home,workdir=/mnt/work overlay ~
mkdir -p -m 700 ~/.ssh
cd {checkout}
cp -r topologies suites examples conftest.py pyproject.toml /mnt/lab
cd /mnt/lab
"""
"""What the page's reader has: a home, which ends with the test, and a checkout."""
CLOSE = "rm /etc/ssh/authorized_keys"
"""The way in that test machines have from the beginning."""


@pytest.fixture
def bed(machines_are_here: None) -> Iterator[Testbed]:  # noqa: ARG001 - it skips
    """Machines that nobody has set up."""
    if not found("dockerd"):
        pytest.skip("no dockerd on this machine")
    with Testbed(Layout()) as fresh:
        yield fresh


def test_page_leads_to_a_night_on_a_lab_that_lacks_nothing(bed: Testbed, tmp_path: Path) -> None:
    """Each command ends well, in its order; after the keys are there no other way in is left."""
    script = tmp_path / "page"
    script.write_text(_script(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    done = bed.run("unshare", "--mount", "bash", "-x", str(script))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "\nnothing required is missing\n" in done.stdout
    assert "gateway: /etc/iptables/lab-hosts.v4: written\n" in done.stdout
    assert re.search(r"^host1 +privilege +root by sudo", done.stdout, re.MULTILINE)
    night = re.findall(
        r"^PASS lab-hosts on ssh, kernel .*: all \d+ cells proved", done.stdout, re.MULTILINE
    )
    assert len(night) == 3, done.stdout[-2000:]
    assert "\n0 removed from " in done.stdout


def test_every_command_of_the_page_has_its_place() -> None:
    """No block is left out, but what shows the test machines themselves."""
    text = PAGE.read_text(encoding="utf-8")
    places = {place for where, _ in BLOCK.findall(text) for place in where.split()}
    assert len(BLOCK.findall(text)) * 2 == text.count("```")
    assert places == {"controller", "hosts", "host1", "host2"}


def _script(text: str) -> str:
    """The blocks of the page, each where it belongs."""
    console = f"{sys.executable} -m harness.testbed.console on"
    lines = [HOME.format(bin=Path(sys.executable).parent, checkout=CHECKOUT)]
    for where, commands in BLOCK.findall(text):
        if where == "controller":
            lines.append(commands)
            if "ssh-copy-id" in commands:
                lines += [f"{console} {name} {CLOSE}" for name in MACHINES]
            continue
        for name in MACHINES if where == "hosts" else where.split():
            lines.append(f"{console} {name} sh -ex <<'__END__'\n{commands}__END__")
    return "\n".join(lines)
