"""The log: structlog to standard error, every text masked, for people on a terminal and as JSON elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, cast

import structlog

from gitopsd.daemon.config import Log
from gitopsd.kit.redact import Redactor
from gitopsd.kit.text import strip_controls


def open_log(settings: Log, redactor: Redactor) -> Any:
    """A logger as configured. Warnings of libraries that use the standard logger go the same way."""
    json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())

    def masked(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return cast("MutableMapping[str, Any]", redactor.data({key: _plain(item) for key, item in event.items()}))

    renderer = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )  # fmt: skip
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    logger = structlog.wrap_logger(
        structlog.PrintLogger(file=sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            masked,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    _bridge(logger)
    return logger


def _plain(value: Any) -> Any:
    return strip_controls(value) if isinstance(value, str) else value


class _Bridge(logging.Handler):
    """Hands records of the standard logger on."""

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        self._logger.warning(record.getMessage(), logger=record.name)


def _bridge(logger: Any) -> None:
    root = logging.getLogger()
    for handler in [item for item in root.handlers if isinstance(item, _Bridge)]:
        root.removeHandler(handler)
    root.addHandler(_Bridge(logger))
