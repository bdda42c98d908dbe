"""Test the contents of the wheel and the sdist; `.ci/run` installs the wheel in an empty environment."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest

import videostat

ROOT = Path(__file__).parents[1]
VERSION = videostat.__version__
COMPLETIONS = {
    "completions/videostat.bash": "share/bash-completion/completions/videostat",
    "completions/_videostat": "share/zsh/site-functions/_videostat",
    "completions/videostat.fish": "share/fish/vendor_completions.d/videostat.fish",
}


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and the sdist, and return their folder."""
    folder = tmp_path_factory.mktemp("dist")
    build = "import sys; from hatchling.build import *; build_wheel(sys.argv[1]); build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, folder], cwd=ROOT, check=True, capture_output=True)
    return folder


def package() -> set[str]:
    files = (path.relative_to(ROOT) for path in (ROOT / "videostat").rglob("*") if path.is_file())
    return {str(path) for path in files if "__pycache__" not in path.parts}


def test_wheel_contains_only_the_package_and_its_data(dist: Path) -> None:
    with zipfile.ZipFile(dist / f"videostat-{VERSION}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
        completions = {wheel.read(f"videostat-{VERSION}.data/data/{there}") for there in COMPLETIONS.values()}
        example = wheel.read("videostat/config.example.toml")
    about = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    assert names == {
        *package(),
        "videostat/config.example.toml",
        *(f"videostat-{VERSION}.data/data/{there}" for there in COMPLETIONS.values()),
        *(f"videostat-{VERSION}.dist-info/{each}" for each in about),
    }
    assert {"videostat/py.typed", "videostat/sandbox/media/testsrc.mp4", "videostat/guide/python.md"} <= names
    assert example == (ROOT / "config.example.toml").read_bytes()
    assert completions == {(ROOT / here).read_bytes() for here in COMPLETIONS}


def test_sdist_contains_what_the_tests_need_and_no_stray_files(dist: Path) -> None:
    with tarfile.open(dist / f"videostat-{VERSION}.tar.gz") as sdist:
        names = {name.removeprefix(f"videostat-{VERSION}/") for name in sdist.getnames()}
    beside = {name for name in names if not name.startswith(("videostat/", "tests/"))}
    top = {"LICENSE", "README.md", "CHANGELOG.md", "config.example.toml", "pyproject.toml", ".gitignore", "PKG-INFO"}
    assert beside == top | set(COMPLETIONS) | {".github/CONTRIBUTING.md"}
    assert package() <= names
    assert "tests/test_packaging.py" in names
    assert not any("__pycache__" in name for name in names)


def test_metadata_has_version_python_license_and_dependencies(dist: Path) -> None:
    with zipfile.ZipFile(dist / f"videostat-{VERSION}-py3-none-any.whl") as wheel:
        metadata = BytesParser().parsebytes(wheel.read(f"videostat-{VERSION}.dist-info/METADATA"))
    always = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    needed = re.findall(r"^[\w-]+", "\n".join(always), re.MULTILINE)
    assert metadata["Version"] == VERSION
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)} <= set(
        metadata.get_all("Classifier", [])
    )
    assert set(needed) == {"typer", "rich", "requests", "urllib3", "platformdirs", "tomli-w"}
