"""What an operator says about a forge, and which repository of it a Git URL names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote, urlsplit

from gitopsd.model.values import Frozen


class ForgeKind(StrEnum):
    """``gitea`` is Forgejo as well: one API."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"


_PUBLIC = {ForgeKind.GITHUB: "https://github.com", ForgeKind.GITLAB: "https://gitlab.com", ForgeKind.GITEA: ""}
_SCP = re.compile(r"^(?:[\w.-]+@)?(?P<host>[\w.-]+):(?P<path>(?!//).+)$")
_SEGMENT = re.compile(r"^[A-Za-z0-9_.-]{1,255}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeSettings:
    """A forge: the address of its web page (``url``; empty for the public one), of its API (``api_url``; empty: derived
    from ``url``), and who may write.

    ``token`` is asked at every send, so that a rotated one is used. ``repositories`` maps Git URLs to ``owner/name``
    where the URL does not tell, such as a mirror or a folder. ``timeout`` in seconds per request; ``pause`` in seconds
    between two writes, which GitHub asks for.
    """

    kind: ForgeKind
    token: Callable[[], str]
    url: str = ""
    api_url: str = ""
    repositories: Frozen[str] = Frozen()
    timeout: float = 15.0
    pause: float = 1.0

    @property
    def address(self) -> str:
        """The address of the web page, without a slash at its end."""
        return (self.url or _PUBLIC[self.kind]).rstrip("/")

    @property
    def api_address(self) -> str:
        """The address of the API, as the forge's library wants it."""
        if self.api_url:
            return self.api_url.rstrip("/")
        match self.kind:
            case ForgeKind.GITHUB:
                public = self.address == _PUBLIC[ForgeKind.GITHUB]
                return "https://api.github.com" if public else f"{self.address}/api/v3"
            case ForgeKind.GITLAB:
                return self.address
            case ForgeKind.GITEA:
                return f"{self.address}/api/v1"

    def repository(self, url: str) -> str | None:
        """``owner/name`` of a Git URL (https, ssh or ``git@host:path``) that belongs to this forge, else None."""
        if url in self.repositories:
            return self.repositories[url]
        host, path = _host_and_path(url)
        prefix = urlsplit(self.address).path.strip("/")
        if not host or host != (urlsplit(self.address).hostname or "").lower():
            return None
        segments = path.strip("/").removesuffix(".git").split("/")
        if prefix and segments[: prefix.count("/") + 1] == prefix.split("/"):
            segments = segments[prefix.count("/") + 1 :]
        if not all(_SEGMENT.match(item) and item not in (".", "..") for item in segments):
            return None
        deep = self.kind is ForgeKind.GITLAB
        return "/".join(segments) if len(segments) == 2 or (deep and len(segments) > 2) else None


def _host_and_path(url: str) -> tuple[str, str]:
    if "://" not in url:
        found = _SCP.match(url)
        return (found["host"].lower(), found["path"]) if found else ("", "")
    try:
        parts = urlsplit(url)
        return ((parts.hostname or "").lower(), unquote(parts.path)) if parts.scheme != "file" else ("", "")
    except ValueError:
        return "", ""
