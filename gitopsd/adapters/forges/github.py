"""GitHub and GitHub Enterprise Server, through PyGithub.

``POST /repos/{owner}/{repo}/statuses/{sha}``; descriptions up to 140 characters, 1000 statuses per commit and context
(two are written), a second between writes, ``Retry-After`` of the secondary rate limit.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import github
import requests
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester

from gitopsd.adapters.forges.exchange import Exchange, commit_of, unknown_repository
from gitopsd.adapters.forges.settings import ForgeSettings
from gitopsd.kit.text import one_line
from gitopsd.model.run import Report, ReportState

DESCRIPTION = 140
"""Characters of a description at most: https://docs.github.com/en/rest/commits/statuses."""

_STATES = {
    ReportState.PENDING: "pending",
    ReportState.SUCCESS: "success",
    ReportState.FAILURE: "failure",
    ReportState.ERROR: "error",
    ReportState.SUPERSEDED: "error",
}


class GitHub:
    """The port ``Forge`` for GitHub; may be shared by threads."""

    def __init__(self, settings: ForgeSettings) -> None:
        self._settings = settings
        self._exchange = Exchange("GitHub", timeout=settings.timeout)
        self._lock = threading.Lock()
        self._client: github.Github | None = None
        self._token = ""

    def matches(self, url: str) -> bool:
        """Whether a repository URL belongs to this forge."""
        return self._settings.repository(url) is not None

    def set_status(self, report: Report, *, context: str, target_url: str = "") -> None:
        """Sets the commit status of a context; see the port."""
        repository = self._settings.repository(report.commit.url)
        if repository is None:
            raise unknown_repository(report.commit.url)
        commit, token = commit_of(report), self._settings.token()
        options: dict[str, Any] = {"target_url": target_url} if target_url else {}
        with self._lock:
            self._exchange.begin()
            client = self._client_for(token)
            try:
                client.get_repo(repository).get_commit(commit).create_status(
                    _STATES[report.state],
                    description=one_line(report.line, limit=DESCRIPTION),
                    context=one_line(context, limit=255),
                    **options,
                )
            except (github.GithubException, requests.RequestException, TypeError, AttributeError, ValueError):
                # Whatever the library makes of the answer: settle() below tells from the answer itself.
                self._exchange.settle(token)
            finally:
                client.close()
            self._exchange.settle(token)

    def _client_for(self, token: str) -> github.Github:
        if self._client is None or token != self._token:
            watch = self._exchange.watch

            class Plain(HTTPRequestsConnectionClass):
                def __init__(self, *args: Any, **options: Any) -> None:
                    super().__init__(*args, **options)
                    self.session.hooks["response"].append(watch)

            class Secure(HTTPSRequestsConnectionClass):
                def __init__(self, *args: Any, **options: Any) -> None:
                    super().__init__(*args, **options)
                    self.session.hooks["response"].append(watch)

            # A client keeps the connection classes that were set while it was made.
            Requester.injectConnectionClasses(Plain, Secure)
            try:
                self._client = github.Github(
                    base_url=self._settings.api_address,
                    auth=github.Auth.Token(token),
                    timeout=math.ceil(self._settings.timeout),
                    user_agent="gitopsd",
                    retry=None,
                    seconds_between_requests=None,
                    seconds_between_writes=self._settings.pause,
                    lazy=True,
                )
            finally:
                Requester.resetConnectionClasses()
            self._token = token
        return self._client
