"""`harness rehearse` on kernels in virtual machines: the exit codes that a bisection goes by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.machines.kernel import Kernel
from tests.vm.bad_kernels import without
from tests.vm.rehearsing import NIGHTLY, rehearse

MODULES = ("8021q", "macvlan", "nf_nat")


@NIGHTLY
def test_kernels_that_lack_a_module_are_bad(
    oldest: Kernel, beside: Callable[[str], Path], tmp_path: Path
) -> None:
    """One that the lab needs; the kernel that they were made of is good in the same rehearsal."""
    kernels = [without(oldest, module, beside(f"no-{module}")) for module in MODULES]
    code, said = rehearse(str(oldest.image), *map(str, kernels), reports=tmp_path)
    assert code == 1
    assert [one["judgement"] for one in said["columns"]] == ["good", *["bad"] * len(MODULES)]
    good, *bad = ([event["text"] for event in one["events"]] for one in said["runs"])
    assert good == []
    for module, texts in zip(MODULES, bad, strict=True):
        assert any(module in text for text in texts)


def test_what_is_no_kernel_cannot_be_tested(oldest: Kernel, tmp_path: Path) -> None:
    """It does not boot; that is no kernel's fault that a bisection looks for."""
    del oldest
    image = tmp_path / "vmlinuz-none"
    image.write_bytes(b"no kernel")
    code, said = rehearse(str(image), reports=tmp_path)
    assert code == 125
    assert said["runs"][0]["judgement"] == "untestable"
    assert said["runs"][0]["why"]
