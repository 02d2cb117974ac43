"""One request and its answer, watched below the libraries: a bounded body, the status and the headers.

What an answer means is read from here and not from a library's exceptions, which differ, drop headers such as
``Retry-After``, and trip over bodies that are not what they expect.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests

from gitopsd.errors import GitopsdError, Reason, TransientError, UserError
from gitopsd.kit.redact import Redactor
from gitopsd.kit.text import one_line
from gitopsd.model.run import Report

LARGEST = 1024 * 1024
"""Bytes of an answer at most; more is not read."""

_COMMIT = re.compile(r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")


class AnswerTooLarge(requests.RequestException):
    """An answer went on for too long, in bytes or in time."""


class Exchange:
    """What was answered last; ``status`` None as long as nothing was."""

    def __init__(self, name: str, *, timeout: float) -> None:
        self.name = name
        self.timeout = timeout
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.body = b""

    def begin(self) -> None:
        """Forgets the last answer."""
        self.status, self.headers, self.body = None, {}, b""

    def keep(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Takes an answer."""
        self.status, self.body = status, body
        self.headers = {key.lower(): value for key, value in headers.items()}

    def watch(self, response: requests.Response, *_args: object, **_options: object) -> requests.Response:
        """A response hook of requests: reads the body within its limits and puts it back for the library."""
        body, deadline = bytearray(), time.monotonic() + 2 * self.timeout
        while chunk := response.raw.read1(65536, decode_content=True):
            body += chunk
            if len(body) > LARGEST or time.monotonic() > deadline:
                response.close()
                raise AnswerTooLarge(f"more than {LARGEST} bytes or {2 * self.timeout:g} s")
        response.raw.close()
        response.raw = io.BytesIO(bytes(body))
        self.keep(response.status_code, response.headers, bytes(body))
        return response

    def message(self, token: str) -> str:
        """What the other side said, on one short line without the token."""
        try:
            data = json.loads(self.body)
        except ValueError:
            data = None
        said = (data.get("message") or data.get("error")) if isinstance(data, dict) else None
        text = said if isinstance(said, str) else json.dumps(said) if said else ""
        return one_line(Redactor([token]).text(text), limit=200)

    def settle(self, token: str) -> None:
        """Returns when the answer is a success; raises TransientError or UserError REPORT_FAILED when it is not."""
        if self.status is None:
            raise TransientError(Reason.REPORT_FAILED, f"{self.name} does not answer")
        if not 200 <= self.status < 300:
            raise self._refusal(self.message(token))

    def _refusal(self, said: str) -> GitopsdError:
        status = self.status or 0
        text = f"{self.name} answered {status}" + (f": {said}" if said else "")
        wait = retry_after(self.headers)
        limited = status == 429 or (status == 403 and (wait is not None or "rate limit" in said.lower()))
        if limited or status in (408, 425) or status >= 500:
            return TransientError(Reason.REPORT_FAILED, text, retry_after=wait)
        return UserError(Reason.REPORT_FAILED, text, hint=_HINTS.get(status, ""))


_HINTS = {
    401: "the token is wrong or has expired",
    403: "the token may not write commit statuses of this repository",
    404: "the forge has no such repository or commit, or the token may not see it",
    301: "the repository or the API has moved: correct its address",
    302: "the repository or the API has moved: correct its address",
    307: "the repository or the API has moved: correct its address",
    308: "the repository or the API has moved: correct its address",
}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the other side asks to wait (``Retry-After``, or a spent rate limit's reset time), else None."""
    asked = headers.get("retry-after", "").strip()[:64]
    if asked.isdecimal():
        return float(asked[:9])
    if asked:
        try:
            return max((parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds(), 0.0)
        except (ValueError, TypeError):
            return None
    for prefix in ("x-ratelimit", "ratelimit"):
        reset = headers.get(f"{prefix}-reset", "")
        if headers.get(f"{prefix}-remaining") == "0" and reset.isdecimal() and len(reset) < 12:
            return max(float(reset) - time.time(), 0.0)
    return None


def commit_of(report: Report) -> str:
    """The commit's id, which becomes part of a request's path. Raises UserError REPORT_FAILED when it is none."""
    if not _COMMIT.match(report.commit.id):
        raise UserError(Reason.REPORT_FAILED, f"{one_line(report.commit.id, limit=80)!r} is no commit id")
    return report.commit.id


def unknown_repository(url: str) -> UserError:
    """For a URL that does not belong to the forge that was asked."""
    return UserError(
        Reason.REPORT_FAILED, f"{Redactor().text(one_line(url, limit=200))} is no repository of this forge"
    )
