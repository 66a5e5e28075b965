"""The command line: what it says when it is used wrongly, and what its exit codes mean."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from harness import defaults, judge
from harness.cli import cli, labs
from harness.errors import LabNotFound
from harness.flow import Stage
from harness.judge import Rejudged
from harness.machines import control_groups, registry

HERE = Path(__file__).parents[2]
TUTORIAL = HERE / defaults.DEFAULT_TOPOLOGY
LAB = registry.LabRecord(
    name="one",
    uid=0,
    pid=10,
    init_pid=11,
    description=registry.Description(
        topology="macvlan-two-host",
        topology_file=str(TUTORIAL),
        backend="netns",
        stage="routed",
        started="2026-01-01T00:00:00+00:00",
        nodes=("host1", "switch", "bbox1"),
        vlan_datapath="8021q",
        firewall_backend="iptables-nft",
    ),
)


def _invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def _run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, cwd=HERE, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def are_up(monkeypatch: pytest.MonkeyPatch) -> list[registry.LabRecord]:
    """The labs that the registry says are up: a list for the test to fill."""
    records: list[registry.LabRecord] = []
    monkeypatch.setattr(registry, "labs", lambda: tuple(records))
    return records


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that the process turned into."""
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execvp", lambda _, argv: commands.append(argv))
    return commands


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("exec",),
        ("exec", "bbox1"),
        ("exec", "bbox1", "--"),
        ("up", "--stage", "sideways"),
        ("up", "--backend", "paper"),
        ("up", "--name", "No Name"),
        ("up", "no-such-file.yaml"),
        ("topology", "no-such-file.yaml"),
        ("topology",),
        ("down", "one", "--all"),
        ("down", "nowhere"),
        ("shell", "--name", "nowhere", "bbox1"),
        ("show", "no-such-run"),
        ("judge", "no-such-run"),
        ("completion", "csh"),
    ],
)
def test_what_cannot_be_used_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    """Usage and input: nothing was tried."""
    result = _invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_version_is_the_packages() -> None:
    """What a report of a mistake has to name."""
    said = _run("--version")
    assert said.returncode == 0
    assert said.stdout == f"harness, version {version('macvlan-harness')}\n"


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_help_of_every_verb_has_an_example(verb: str) -> None:
    """People copy it."""
    result = _invoke(verb, "--help")
    assert result.exit_code == 0
    assert f"Example: harness {verb}" in result.output


def test_unknown_node_is_answered_with_the_labs_nodes(
    are_up: list[registry.LabRecord],
) -> None:
    """The message names what could have been meant."""
    are_up.append(LAB)
    result = _invoke("exec", "bbox9", "--", "true")
    assert result.exit_code == 2
    assert result.stderr == "harness: lab 'one' has no node 'bbox9'; it has host1, switch, bbox1\n"


def test_name_may_be_left_out_while_one_lab_is_up(
    are_up: list[registry.LabRecord], became: list[list[str]]
) -> None:
    """There is nothing to be confused with."""
    are_up.append(LAB)
    assert _invoke("exec", "switch", "--", "ip", "-br", "link").exit_code == 0
    assert became[0][-3:] == ["ip", "-br", "link"]
    assert "--net=/run/netns/switch" in became[0]


@pytest.mark.parametrize("arguments", [("exec", "bbox1", "true"), ("shell", "bbox1"), ("down",)])
def test_name_must_be_given_while_several_are_up(
    are_up: list[registry.LabRecord], arguments: tuple[str, ...]
) -> None:
    """The message names them."""
    are_up += [LAB, replace(LAB, name="two")]
    result = _invoke(*arguments)
    assert result.exit_code == 2
    assert result.stderr == "harness: several labs are up, name one of them: one, two\n"


def test_options_behind_the_node_are_the_commands(
    are_up: list[registry.LabRecord], became: list[list[str]]
) -> None:
    """`--` is good style, not a must, and a second one is the command's."""
    are_up.append(LAB)
    _invoke("exec", "bbox1", "ls", "--name", "x")
    _invoke("exec", "--name", "one", "bbox1", "--", "ls", "--", "-l", "--help")
    assert became[0][-3:] == ["ls", "--name", "x"]
    assert became[1][-4:] == ["ls", "--", "-l", "--help"]


def test_shell_says_where_it_is(
    are_up: list[registry.LabRecord],
    became: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The prompt names node and lab."""
    monkeypatch.setenv("SHELL", "/bin/bash")
    monkeypatch.setenv("PS1", "")
    are_up.append(LAB)
    _invoke("shell", "bbox1")
    assert became[0][-4:] == ["/bin/bash", "--norc", "--noprofile", "-i"]
    assert os.environ["PS1"].startswith("bbox1@one ")


def test_list_shows_labs_for_people_and_for_programs(are_up: list[registry.LabRecord]) -> None:
    """One line a lab, and flat objects with all that is known."""
    are_up.append(LAB)
    assert _invoke("list").stdout.splitlines()[1].split()[:4] == [
        "one",
        "macvlan-two-host",
        "routed",
        "netns",
    ]
    found = json.loads(_invoke("list", "--json").stdout)
    assert found[0]["name"] == "one"
    assert found[0]["nodes"] == ["host1", "switch", "bbox1"]
    assert found[0]["init_pid"] == 11


def test_list_says_how_engines_are_reached(are_up: list[registry.LabRecord]) -> None:
    """An address of each engine that docker(1) takes, for people and for programs."""
    are_up.append(replace(LAB, description=replace(LAB.description, engines=("host1",))))
    address = "unix:///proc/11/root/run/engine/host1/sock"
    assert _invoke("list").stdout.splitlines()[-1] == f"one: host1: docker -H {address}"
    assert json.loads(_invoke("list", "--json").stdout)[0]["engines"] == {"host1": address}


def test_list_without_labs_is_an_empty_list(are_up: list[registry.LabRecord]) -> None:
    """No lab is no error; a program gets JSON all the same."""
    assert are_up == []
    assert _invoke("list").stdout == ""
    assert (_invoke("list").exit_code, json.loads(_invoke("list", "--json").stdout)) == (0, [])


def test_down_all_without_labs_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to end."""
    monkeypatch.setattr(registry, "names", tuple)
    assert _invoke("down", "--all").exit_code == 0


def test_topology_shows_hosts_vlans_and_endpoints() -> None:
    """As tables, and as JSON."""
    shown = _invoke("topology", str(TUTORIAL))
    assert shown.exit_code == 0
    for text in ("host2", "eth2.10", "172.16.20.0/24", "mac_net10", "02:42:ac:10:14:0b"):
        assert text in shown.stdout
    found = json.loads(_invoke("topology", "--json", str(TUTORIAL)).stdout)
    assert [end["name"] for end in found["endpoints"]] == ["bbox1", "bbox2", "bbox3", "bbox4"]


@pytest.mark.parametrize(("differences", "code"), [((), 0), (("a cell differs",), 3)])
def test_judge_says_whether_it_agrees(
    monkeypatch: pytest.MonkeyPatch, differences: tuple[str, ...], code: int
) -> None:
    """A report that its own captures contradict tells nothing."""
    monkeypatch.setattr(judge, "rejudge", lambda _: Rejudged(5, differences))
    result = _invoke("judge", "somewhere")
    assert result.exit_code == code
    assert "5 cells judged again" in result.stdout
    assert all(text in result.stdout for text in differences)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(shell: str) -> None:
    """It asks the program itself for what can follow."""
    result = _invoke("completion", shell)
    assert result.exit_code == 0
    assert "_HARNESS_COMPLETE" in result.stdout


def test_nodes_are_completed(are_up: list[registry.LabRecord]) -> None:
    """Of the labs that are up."""
    are_up.append(LAB)
    offered = labs.node_names(click.Context(labs.exec_), labs.exec_.params[1], "b")
    assert offered == ["bbox1"]


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (LabNotFound("x", ()), 2, "harness: no lab named 'x' is up"),
        (ZeroDivisionError("oh"), 3, "harness: unexpected ZeroDivisionError: oh"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_every_end_is_an_exit_code_and_a_line(
    monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int, said: str
) -> None:
    """No traceback reaches a user."""

    def fail() -> None:
        raise raised

    monkeypatch.delenv("HARNESS_TRACEBACK", raising=False)
    monkeypatch.setattr(registry, "labs", fail)
    result = _invoke("list")
    assert result.exit_code == code
    assert result.stderr.startswith(said)
    assert "Traceback" not in result.output


def test_stages_of_the_command_line_are_the_models() -> None:
    """They are spelled out there only to spare the import."""
    assert tuple(map(str, Stage)) == defaults.STAGES


def test_default_topology_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of the working directory comes first, the program's own is always there."""
    monkeypatch.chdir(tmp_path)
    assert defaults.default_topology().resolve() == TUTORIAL
    own = tmp_path / defaults.DEFAULT_TOPOLOGY
    own.parent.mkdir()
    own.write_text("")
    assert defaults.default_topology().resolve() == own


@pytest.mark.parametrize("arguments", [("--help",), ("list",), ("exec", "--help")])
def test_quick_verbs_import_no_heavy_library(arguments: tuple[str, ...]) -> None:
    """Help and `list` answer at once."""
    code = "import runpy, sys\ntry: runpy.run_module('harness', run_name='__main__')\n"
    code += "except SystemExit: print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True)
    imported = set(done.stderr.split())
    assert imported.isdisjoint({"pyroute2", "mitogen", "pydantic", "pytest", "yaml", "tabulate"})
    assert "click" in imported


def test_reader_that_leaves_is_no_error() -> None:
    """`harness ... | head` ends quietly."""
    command = f"{sys.executable} -m harness topology {TUTORIAL} | head -c 1"
    done = subprocess.run(
        ["sh", "-c", command], cwd=HERE, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_traceback_is_shown_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, are_up: list[registry.LabRecord]
) -> None:
    """For who mends the program."""
    are_up.append(LAB)
    monkeypatch.setenv("HARNESS_TRACEBACK", "1")
    monkeypatch.setattr(os, "execvp", lambda *_: 1 / 0)
    assert isinstance(_invoke("exec", "bbox1", "true").exception, ZeroDivisionError)


def test_output_into_a_file_has_no_colours(tmp_path: Path) -> None:
    """Escapes belong on terminals."""
    done = _run("show", str(tmp_path))
    assert done.returncode == 2
    assert "\x1b" not in done.stdout + done.stderr


def test_faults_are_listed() -> None:
    """Each fault has a line; one is told in full, to a person or a program."""
    listed = _invoke("faults")
    assert (listed.exit_code, listed.output.count("\n") > 100) == (0, True)
    told = _invoke("faults", "benign-mark")
    assert told.output.splitlines()[-1] == "all cells green"
    (found,) = json.loads(_invoke("faults", "benign-mark", "--json").output)
    assert found["name"] == "benign-mark"


def test_unknown_fault_is_a_usage_error() -> None:
    """A name that is no fault's is told with where they are listed."""
    result = _invoke("faults", "no-such-fault")
    assert result.exit_code == 2
    assert "`harness faults` lists them" in result.output


def test_clean_of_a_topology_without_hosts_to_reach_says_what_cleans_this_machine() -> None:
    """Nothing of it can be on other machines."""
    result = _invoke("clean", "--topology", str(TUTORIAL))
    assert result.exit_code == 2
    assert "`harness clean` without --topology cleans this machine" in result.stderr


def test_clean_removes_what_is_left_of_labs_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What does not go is told, and the exit code with it."""
    monkeypatch.setattr(control_groups, "left_behind", lambda: ("harness-1", "harness-2"))
    monkeypatch.setattr(control_groups, "remove", lambda name: name == "harness-1")
    result = _invoke("clean")
    assert result.exit_code == 3
    assert result.output.splitlines() == [
        "removed: control group harness-1",
        "stays: the control group harness-2; a process of another PID namespace may be in it",
    ]
    monkeypatch.setattr(control_groups, "left_behind", lambda: ())
    result = _invoke("clean")
    assert (result.exit_code, result.output) == (0, "nothing is left of labs that are no more\n")
