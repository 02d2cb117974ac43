"""Gitea and Forgejo, through pyforgejo.

``POST /api/v1/repos/{owner}/{repo}/statuses/{sha}``, the same in both.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import httpx

from gitopsd.adapters.forges.exchange import LARGEST, Exchange, commit_of, unknown_repository
from gitopsd.adapters.forges.settings import ForgeSettings
from gitopsd.kit.text import one_line
from gitopsd.model.run import Report, ReportState

if TYPE_CHECKING:
    from pyforgejo import PyforgejoApi

DESCRIPTION = 255
"""Characters of a description at most; the API names no limit, its pages show about this much."""

_STATES = {
    ReportState.PENDING: "pending",
    ReportState.SUCCESS: "success",
    ReportState.FAILURE: "failure",
    ReportState.ERROR: "error",
    ReportState.SUPERSEDED: "warning",
}
_SWITCH = "PYTHON_DOTENV_DISABLED"
_importing = threading.Lock()


class Gitea:
    """The port ``Forge`` for Gitea and Forgejo; may be shared by threads."""

    def __init__(self, settings: ForgeSettings) -> None:
        self._settings = settings
        self._library = _load_library()

    def matches(self, url: str) -> bool:
        """Whether a repository URL belongs to this forge."""
        return self._settings.repository(url) is not None

    def set_status(self, report: Report, *, context: str, target_url: str = "") -> None:
        """Sets the commit status of a context; see the port."""
        from pyforgejo.core.api_error import ApiError

        repository = self._settings.repository(report.commit.url)
        if repository is None:
            raise unknown_repository(report.commit.url)
        owner, _, name = repository.partition("/")
        commit, token = commit_of(report), self._settings.token()
        exchange = Exchange("the forge", timeout=self._settings.timeout)
        options = {"target_url": target_url} if target_url else {}
        with httpx.Client(transport=Watched(exchange), timeout=self._settings.timeout) as transport:
            # An empty token would make the library take one from the daemon's environment (API_KEY).
            client = self._library(base_url=self._settings.api_address, api_key=token or "none", httpx_client=transport)
            try:
                client.repository.repo_create_status(
                    owner,
                    name,
                    commit,
                    state=_STATES[report.state],
                    context=one_line(context, limit=255),
                    description=one_line(report.line, limit=DESCRIPTION),
                    request_options={"max_retries": 0},
                    **options,
                )
            except (ApiError, httpx.HTTPError, TypeError, AttributeError, ValueError):
                # Whatever the library makes of the answer: settle() below tells from the answer itself.
                exchange.settle(token)
        exchange.settle(token)


class Watched(httpx.HTTPTransport):
    """A transport of httpx that reads answers within their limits; none is decompressed."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends one request and reads its whole answer. Raises httpx.ReadError for one that is too large or slow."""
        request.headers["Accept-Encoding"] = "identity"
        response = super().handle_request(request)
        body, deadline = bytearray(), time.monotonic() + 2 * self._exchange.timeout
        try:
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > LARGEST or time.monotonic() > deadline:
                    raise httpx.ReadError("the answer is too large or too slow", request=request)
        finally:
            response.close()
        headers = {key: value for key, value in response.headers.items() if key.lower() != "content-encoding"}
        self._exchange.keep(response.status_code, headers, bytes(body))
        return httpx.Response(response.status_code, headers=headers, content=bytes(body), request=request)


def _load_library() -> type[PyforgejoApi]:
    """Imports pyforgejo without letting it read a ``.env`` file of some folder above into the daemon's environment,
    which it does on import otherwise."""
    with _importing:
        before = os.environ.get(_SWITCH)
        os.environ[_SWITCH] = "1"
        try:
            from pyforgejo import PyforgejoApi
        finally:
            if before is None:
                del os.environ[_SWITCH]
            else:
                os.environ[_SWITCH] = before
    return PyforgejoApi
