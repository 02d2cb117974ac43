"""Code forges: GitHub, GitLab, Gitea and Forgejo behind ``ports.Forge``.

The libraries and why: ``docs/decisions/0002-forge-libraries.md``. Each is imported when a forge of its kind is opened.
"""

from gitopsd.adapters.forges.settings import ForgeKind, ForgeSettings
from gitopsd.errors import Reason, UserError
from gitopsd.ports import Forge

__all__ = ["ForgeKind", "ForgeSettings", "open_forge"]


def open_forge(settings: ForgeSettings) -> Forge:
    """The forge that ``settings`` describe. Raises UserError CONFIG_INVALID for an address that is none."""
    if not settings.api_address.startswith(("https://", "http://")):
        raise UserError(
            Reason.CONFIG_INVALID,
            f"the forge's address {settings.url!r} is no http(s) URL",
            hint="give the address of its web page, such as https://gitlab.example.org",
        )
    match settings.kind:
        case ForgeKind.GITHUB:
            from gitopsd.adapters.forges.github import GitHub

            return GitHub(settings)
        case ForgeKind.GITLAB:
            from gitopsd.adapters.forges.gitlab import GitLab

            return GitLab(settings)
        case ForgeKind.GITEA:
            from gitopsd.adapters.forges.gitea import Gitea

            return Gitea(settings)
