"""The releases before this one, by ``releases.txt``, and programs that are installed from the repository's history."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYPROJECT = ROOT / "pyproject.toml"
FILE = ROOT / "tests" / "releases.txt"
LINE = re.compile(r"(?P<version>\d+\.\d+\.\d+) (?P<commit>[0-9a-f]{40})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A version that was released, and the commit that it was made from."""

    version: str
    commit: str

    @property
    def number(self) -> tuple[int, ...]:
        return number_of(self.version)


def number_of(version: str) -> tuple[int, ...]:
    """A version as a number that can be compared."""
    return tuple(int(part) for part in version.split("."))


def version_in(pyproject: str) -> str:
    """The version that the text of a ``pyproject.toml`` names."""
    version: str = tomllib.loads(pyproject)["project"]["version"]
    return version


def releases_in(text: str) -> tuple[Release, ...]:
    """The releases of a list; lines that begin with ``#`` are comments. ValueError names the first wrong line."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number} of the releases is not VERSION COMMIT: {line!r}")
        found.append(Release(version=match["version"], commit=match["commit"]))
    return tuple(found)


RELEASES = releases_in(FILE.read_text("utf-8"))


# --- history ----------------------------------------------------------------------------------------------


def has_history() -> bool:
    """Whether this is a checkout; an unpacked source archive has no history."""
    return (ROOT / ".git").exists()


def git(*words: str) -> subprocess.CompletedProcess[bytes]:
    """A command of git on this repository, whoever owns its files."""
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), *words]
    return subprocess.run(command, capture_output=True, check=False, timeout=60)


def unpack(commit: str, folder: Path) -> Path:
    """Writes the files of a commit into a new folder, and returns it."""
    archive = git("archive", "--format=tar", commit)
    assert archive.returncode == 0, archive.stderr.decode()
    folder.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True, timeout=60)
    return folder


# --- programs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Program:
    """An installed gitopsd in a venv of its own, whose libraries are those of the interpreter that runs the tests."""

    venv: Path

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def command(self) -> Path:
        return self.venv / "bin" / "gitopsd"

    @property
    def packages(self) -> Path:
        """The venv's own site-packages."""
        return self.venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

    @classmethod
    def make(cls, venv: Path) -> Program:
        """An empty venv."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=60)
        return cls(venv)

    def install(self, wheel: Path) -> None:
        """Puts a wheel in the place of the gitopsd that is there, and makes sure that it is what runs.

        What the tests' interpreter has comes behind the venv's own, once pip is done, which must not see it. A path
        in a ``.pth`` file is only searched: no ``.pth`` file there, such as that of an editable installation, counts.
        """
        libraries = self.packages / "libraries.pth"
        libraries.unlink(missing_ok=True)
        _pip("--python", str(self.python), "install", "--no-deps", "--no-index", "--force-reinstall", str(wheel))
        seen = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        libraries.write_text("".join(f"{path}\n" for path in seen), "utf-8")
        told = self.run_python(
            "import gitopsd, gitopsd.daemon.release as r; print(gitopsd.__file__, r.program_version())"
        )
        assert told.split() == [str(self.packages / "gitopsd" / "__init__.py"), wheel.name.split("-")[1]]

    def run_python(self, code: str) -> str:
        """What a program prints that imports this gitopsd."""
        command = [str(self.python), "-c", code]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60, env=variables(), cwd="/"
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def variables() -> dict[str, str]:
    """The environment without what would put other code in the place of an installed program's."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GITOPSD_", "PIP_REQ"))}


def build(source: Path, folder: Path) -> Path:
    """The wheel of a source tree."""
    _pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(source))
    (wheel,) = folder.glob("gitopsd-*.whl")
    return wheel


def _pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
