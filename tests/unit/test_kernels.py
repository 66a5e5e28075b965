"""What people may call a kernel."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness import fetched, kernels
from harness.errors import InputError
from harness.machines.kernel import Kernel


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with three kernels, one of them not finished."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = fetched.cache("kernels")
    for release in ("6.1.0-9-amd64", "6.1.0-50-amd64", "6.12.3-amd64"):
        boot = place / release / "boot"
        boot.mkdir(parents=True)
        (boot / f"vmlinuz-{release}").touch()
        (place / release / fetched.ORIGIN).touch()
    (place / ".partial/boot").mkdir(parents=True)
    return place


@pytest.mark.parametrize(
    ("wish", "release"),
    [("6.1", "6.1.0-50-amd64"), ("6.1.0-9", "6.1.0-9-amd64"), ("6.12", "6.12.3-amd64"),
     ("6.12.3-amd64", "6.12.3-amd64")],
)  # fmt: skip
def test_a_version_is_the_newest_that_it_begins(cache: Path, wish: str, release: str) -> None:
    """6.1 is no 6.12, and -50 is newer than -9."""
    assert kernels.find(wish) == Kernel(release, cache / release / "boot" / f"vmlinuz-{release}")


@pytest.mark.parametrize("wish", ["6.2", "7", "6.1.0-5", "no-such-thing", "6.1.*"])
def test_what_is_not_there_says_what_is(cache: Path, wish: str) -> None:
    """All that there are, and what fetches more."""
    assert cache.is_dir()
    with pytest.raises(InputError, match=r"6\.12\.3-amd64.*`make kernels` fetches some"):
        kernels.find(wish)


def test_a_file_a_tree_and_unpacked_packages(cache: Path, tmp_path: Path) -> None:
    """A vmlinuz is taken as it is, a build tree by its folder."""
    image = cache / "6.12.3-amd64/boot/vmlinuz-6.12.3-amd64"
    assert kernels.find(str(image)) == Kernel("6.12.3-amd64", image)
    assert kernels.find(str(cache / "6.12.3-amd64")) == Kernel("6.12.3-amd64", image)
    tree = tmp_path / "linux"
    (tree / "arch/x86/boot").mkdir(parents=True)
    (tree / "arch/x86/boot/bzImage").touch()
    assert kernels.find(str(tree)) == Kernel("linux", tree)


@pytest.mark.parametrize(("wish", "says"), [("", "name a kernel"), ("{}", "is no kernel")])
def test_what_is_no_kernel(tmp_path: Path, wish: str, says: str) -> None:
    """Nothing, and a folder of something else."""
    with pytest.raises(InputError, match=says):
        kernels.find(wish.format(tmp_path))


def package(folder: Path, name: str, *files: str) -> Path:
    """A Debian package with empty files."""
    root = folder / name
    for file in ("DEBIAN/control", *files):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    (root / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"
    )
    made = folder / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--build", root, made], check=True, capture_output=True)
    return made


def test_packages_are_unpacked_into_the_cache(cache: Path, tmp_path: Path) -> None:
    """Over each other, once; nothing is installed. Newer ones have an image with its modules."""
    modules = "usr/lib/modules/7.2-x"
    parts = {"image": f"{modules}/vmlinuz", "modules": f"{modules}/kernel/one.ko"}
    debs = [package(tmp_path, name, file) for name, file in parts.items()]
    found = kernels.find(",".join(map(str, debs)))
    assert found.name == "7.2-x"
    assert found.image.parent.parent.parent == cache
    assert (found.image.parent.parent / "lib/modules/7.2-x/kernel/one.ko").exists()
    assert kernels.find(",".join(map(str, debs))) == found
    assert [one for one in cache.iterdir() if one.name.startswith(".partial-")] == []


def test_packages_without_a_kernel(cache: Path, tmp_path: Path) -> None:
    """What is missing, broken or no kernel is named, and nothing stays of it."""
    before = set(cache.iterdir())
    broken = tmp_path / "broken.deb"
    broken.write_text("no archive")
    for wish, says in (
        (tmp_path / "nowhere.deb", "no package"),
        (broken, "broken.deb: "),
        (package(tmp_path, "docs", "usr/share/doc/x"), "name the linux-image package"),
    ):
        with pytest.raises(InputError, match=says):
            kernels.find(str(wish))
    assert set(cache.iterdir()) == before
