"""The fork server of a short command, started before the rest of the command is imported: both take as long, and get
ready beside each other. Imports little itself."""

from __future__ import annotations

from gitopsd.adapters.worker.process import ForkServer

__all__ = ["ForkServer", "fork_server"]


def fork_server() -> ForkServer:
    """A fork server that is starting."""
    server = ForkServer()
    server.start()
    return server
