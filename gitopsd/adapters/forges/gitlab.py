"""GitLab, through python-gitlab.

``POST /api/v4/projects/:id/statuses/:sha``; its states are a machine that refuses to go where it is already, which is
no failure of ours.
"""

from __future__ import annotations

import re

import gitlab
import requests

from gitopsd.adapters.forges.exchange import Exchange, commit_of, unknown_repository
from gitopsd.adapters.forges.settings import ForgeSettings
from gitopsd.kit.text import one_line
from gitopsd.model.run import Report, ReportState

DESCRIPTION = 255
"""Characters of a description at most: https://docs.gitlab.com/api/commits/#set-commit-pipeline-status."""

_STATES = {
    ReportState.PENDING: "pending",
    ReportState.SUCCESS: "success",
    ReportState.FAILURE: "failed",
    ReportState.ERROR: "failed",
    ReportState.SUPERSEDED: "canceled",
}
_REFUSED = re.compile(r"Cannot transition status via :\w+ from :(\w+)")
_OBJECT_ID = re.compile(r"^[0-9a-f]{40}(?:[0-9a-f]{24})?$")


class GitLab:
    """The port ``Forge`` for GitLab; may be shared by threads."""

    def __init__(self, settings: ForgeSettings) -> None:
        self._settings = settings

    def matches(self, url: str) -> bool:
        """Whether a repository URL belongs to this forge."""
        return self._settings.repository(url) is not None

    def set_status(self, report: Report, *, context: str, target_url: str = "") -> None:
        """Sets the commit status of a context; see the port."""
        repository = self._settings.repository(report.commit.url)
        if repository is None:
            raise unknown_repository(report.commit.url)
        token = self._settings.token()
        data = {
            "state": _STATES[report.state],
            "name": one_line(context, limit=255),
            "description": one_line(report.line, limit=DESCRIPTION),
        }
        ref = report.commit.ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
        if ref and len(ref) <= 255 and not _OBJECT_ID.match(ref):
            data["ref"] = ref
        if target_url:
            data["target_url"] = target_url
        exchange = self._post(repository, commit_of(report), data, token)
        refused = _REFUSED.search(exchange.message(token)) if exchange.status in (400, 409) else None
        if refused is None or refused[1] != data["state"]:
            exchange.settle(token)

    def _post(self, repository: str, commit: str, data: dict[str, str], token: str) -> Exchange:
        exchange = Exchange("GitLab", timeout=self._settings.timeout)
        with requests.Session() as session:
            session.hooks["response"].append(exchange.watch)
            # requests drops Authorization on the way to another host, but not PRIVATE-TOKEN: follow nothing.
            session.max_redirects = 0
            client = gitlab.Gitlab(
                self._settings.api_address,
                private_token=token,
                timeout=self._settings.timeout,
                user_agent="gitopsd",
                session=session,
            )
            try:
                project = client.projects.get(repository, lazy=True)
                project.commits.get(commit, lazy=True).statuses.create(data, obey_rate_limit=False)
            except (gitlab.GitlabError, requests.RequestException, TypeError, AttributeError, ValueError):
                if exchange.status is None:
                    exchange.settle(token)
        return exchange
