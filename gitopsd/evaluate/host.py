"""The host that an interpreter calls: plan methods, type constructors and sources, over one recorder."""

from __future__ import annotations

from collections.abc import Mapping

from gitopsd.evaluate.arguments import bind
from gitopsd.evaluate.engine import HostError, SourceFile, SourcePosition, SourcesAhead, StarlarkValue
from gitopsd.evaluate.methods import METHODS
from gitopsd.evaluate.reading import Fields
from gitopsd.evaluate.recorder import Recorder
from gitopsd.evaluate.references import References
from gitopsd.evaluate.sources import Sources
from gitopsd.evaluate.types import TYPE_NAMES, construct


class PlanHost:
    """Implements :class:`gitopsd.evaluate.engine.Host`. ``recorder`` holds what was recorded since the last reset."""

    plan_methods: tuple[str, ...] = tuple(METHODS)
    text_methods: tuple[str, ...] = ("print",)
    type_names: tuple[str, ...] = TYPE_NAMES

    def __init__(
        self, references: References, sources: Sources, cluster_type: str, constants: Mapping[str, str]
    ) -> None:
        self.constants = constants
        self._references = references
        self._sources = sources
        self._cluster_type = cluster_type
        self.recorder = Recorder(references, sources, cluster_type)

    def call(
        self,
        method: str,
        args: tuple[StarlarkValue, ...],
        kwargs: dict[str, StarlarkValue],
        where: SourcePosition,
    ) -> StarlarkValue:
        """Records ``plan.<method>`` and answers as ``starlark-api.md`` section 6 says."""
        called = METHODS[method]
        given = bind(called.signature, args, kwargs)
        description = self._references.readable(given.get("description", ""))
        self.recorder.begin(where.file, where.line, description)
        try:
            answer = called.record(self.recorder, Fields(method, given, self._references))
        except RecursionError:
            raise HostError(f"{method}: an argument is nested too deeply, or holds itself") from None
        for remark in self._references.take_remarks():
            self.recorder.warn(remark)
        return answer

    def construct(
        self, type_name: str, args: tuple[StarlarkValue, ...], kwargs: dict[str, StarlarkValue]
    ) -> Mapping[str, StarlarkValue]:
        """The fields that a type constructor sets."""
        return construct(type_name, args, kwargs)

    def looked_ahead(self) -> None:
        """Ends the evaluation where it would end later for sources that nobody tried to fetch yet."""
        if self._sources.untried:
            raise SourcesAhead

    def source(self, locator: str, calling_file: str) -> SourceFile:
        """What ``import_module`` or ``read_file`` asks for."""
        return self._sources.read(self._references.plain(locator, "the locator"), calling_file)

    def reset(self) -> None:
        """Forgets all calls."""
        self.recorder = Recorder(self._references, self._sources, self._cluster_type)
