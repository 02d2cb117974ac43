"""The installed version, read without importing anything of the daemon."""

from __future__ import annotations


def program_version() -> str:
    """The version that is installed; ``0`` when it runs from its source."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("gitopsd")
    except PackageNotFoundError:
        return "0"
