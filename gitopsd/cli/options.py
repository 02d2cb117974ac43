"""Options that several verbs share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gitopsd.kit.locators import LocatorError, path_inside


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


class ClusterType(StrEnum):
    """What Kurtosis' ``plan.get_cluster_type()`` can answer."""

    DOCKER = "docker"
    KUBERNETES = "kubernetes"
    PODMAN = "podman"


def _main_file(text: str) -> str:
    try:
        path = path_inside(text)
    except LocatorError as error:
        raise typer.BadParameter(str(error)) from None
    if not path:
        raise typer.BadParameter("expected the path of a file in the package's folder")
    return path


def _main_function(text: str) -> str:
    if not text.isidentifier():
        raise typer.BadParameter(f"{text!r} is no name of a function")
    return text


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to write the answer.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="GITOPSD_CONFIG", help="The configuration file of the daemon."),
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state-dir", envvar="GITOPSD_STATE_DIR", help="The state directory, instead of the file's."),
]
UpdateOption = Annotated[
    bool, typer.Option("--update", help="Move dependencies that name no commit to where their refs are now.")
]
MainFileOption = Annotated[
    str, typer.Option("--main-file", metavar="FILE", callback=_main_file, help="The file that the package begins in.")
]
MainFunctionOption = Annotated[
    str, typer.Option("--main-function", metavar="NAME", callback=_main_function, help="The function of it.")
]
ClusterTypeOption = Annotated[ClusterType, typer.Option("--cluster-type", help="What get_cluster_type() answers.")]
EnvironmentArgument = Annotated[str, typer.Argument(metavar="ENV", help="The environment.")]
