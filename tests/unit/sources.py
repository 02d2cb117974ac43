"""The ports that fetch and resolve read through: files in memory, and the real YAML reader in this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gitopsd.adapters.yamltext import load
from gitopsd.errors import Reason, TransientError, UserError
from gitopsd.model.environment import Commit, Source
from gitopsd.model.package import Download, EvaluationRequest, Missing, Pin, TreeFile, YamlDocument
from gitopsd.model.values import Frozen, Json, freeze

SOURCE = Source(name="infra", url="https://github.com/acme/devnets", ref="main")
COMMIT = Commit(url=SOURCE.url, ref="main", id="a" * 40)


class Yaml:
    """An evaluator that reads YAML only."""

    def load_yaml(self, text: bytes, origin: str) -> YamlDocument:
        found = load(text, origin)
        return YamlDocument(
            data=freeze(found["data"]), marks=Frozen(found["marks"]), duplicates=tuple(found["duplicates"])
        )

    def evaluate(self, request: EvaluationRequest) -> object:
        raise AssertionError("nothing is evaluated here")

    def render(self, files: Mapping[str, tuple[str, Json]]) -> dict[str, bytes]:
        raise AssertionError("nothing is rendered here")

    def extract(self, program: str, document: Json) -> tuple[Json, ...]:
        raise AssertionError("nothing is extracted here")


@dataclass
class Files:
    """Git and downloads over files by ``(url, path)``; every pin is at the commit of its ref's first letter."""

    content: dict[tuple[str, str], bytes] = field(default_factory=dict)
    pinned: list[tuple[Missing, str]] = field(default_factory=list)
    downloaded: list[str] = field(default_factory=list)

    def put(self, path: str, text: str, url: str = SOURCE.url) -> Files:
        self.content[url, path] = text.encode()
        return self

    def head(self, source: Source) -> Commit:
        return COMMIT

    def pin(self, missing: Missing, *, environment: str) -> Pin:
        self.pinned.append((missing, environment))
        if missing.locator == "github.com/private/repo":
            raise UserError(Reason.SOURCE_REFUSED, "https://github.com/private/repo wants a credential")
        if missing.locator == "github.com/away/repo":
            raise TransientError(Reason.SOURCE_UNREACHABLE, "it is away", retry_after=7)
        commit = (missing.ref[:1] or "0") * 40
        return Pin(root=missing.locator, ref=missing.ref, url=f"https://{missing.locator}", commit=commit)

    def read(self, url: str, commit: str, path: str) -> bytes:
        if (url, path) not in self.content:
            raise UserError(Reason.PATH_REFUSED, f"'{path}' is no file or folder inside the repository")
        return self.content[url, path]

    def files(self, url: str, commit: str, path: str) -> tuple[TreeFile, ...]:
        return ()

    def commits(self, source: Source, *, limit: int = 50) -> tuple[Commit, ...]:
        return ()

    def rewrote(self, url: str, before: str, after: str) -> bool:
        return False

    def mirror(self, url: str) -> str:
        return ""

    def fetch(self, url: str) -> Download:
        self.downloaded.append(url)
        return Download(url=url, content="c")


def lines(problems: Iterable[object]) -> str:
    """Problems as people read them, one on a line."""
    return "\n".join(str(problem) for problem in problems)
