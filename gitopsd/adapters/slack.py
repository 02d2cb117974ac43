"""Slack, through slack-sdk: one message per environment and run, edited in place, with its details in the thread.

Text from elsewhere is escaped (``&``, ``<``, ``>``; https://docs.slack.dev/messaging/formatting-message-text), so that
``<!channel>`` and links stay text; nothing is parsed for names and no link is unfurled. Slack's own limits are kept by
its ``Retry-After``; the outbox waits, nothing sleeps here.
"""

from __future__ import annotations

import http.client
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError
from slack_sdk.web.slack_response import SlackResponse

from gitopsd.errors import GitopsdError, Reason, TransientError, UserError
from gitopsd.kit.redact import Redactor
from gitopsd.kit.text import one_line, shorten, strip_controls
from gitopsd.model.run import Report, ReportState

TEXT = 3000
"""Characters of a message at most; ``chat.update`` refuses more than 4000, escapes included."""

_SIGNS = {
    ReportState.PENDING: ":hourglass_flowing_sand:",
    ReportState.SUCCESS: ":white_check_mark:",
    ReportState.FAILURE: ":x:",
    ReportState.ERROR: ":rotating_light:",
    ReportState.SUPERSEDED: ":fast_forward:",
}
_SILENT = logging.Logger("slack", logging.CRITICAL)
"""The library logs answers as they came; what they mean is said by the errors raised here."""

_MESSAGE_ID = re.compile(r"^[A-Z0-9]{1,32}/\d{1,16}\.\d{1,16}$")
_CODE = re.compile(r"^[a-z][a-z_]{0,79}$")
_TRANSIENT = {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
_GONE = {"message_not_found", "cant_update_message", "edit_window_closed"}
_HINTS = {
    "channel_not_found": "give the channel's id, and invite the app into it",
    "not_in_channel": "invite the app into the channel",
    "missing_scope": "the app needs the scope chat:write",
    "invalid_auth": "the token is wrong",
    "token_revoked": "the token was revoked",
    "not_authed": "the token is empty",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackSettings:
    """``channel`` by id or name; ``token`` (``xoxb-…``, scope ``chat:write``) is asked at every call; ``timeout`` in
    seconds."""

    token: Callable[[], str]
    channel: str
    base_url: str = WebClient.BASE_URL
    timeout: int = 15


class Slack:
    """The port ``Chat`` for Slack. A message's id is ``<channel id>/<ts>``."""

    def __init__(self, settings: SlackSettings) -> None:
        self._settings = settings

    def post(self, report: Report, message_id: str) -> str:
        """Posts a report's line, or edits the message; see the port. A message that is gone is posted anew."""
        text = self._headline(report)
        if _MESSAGE_ID.match(message_id):
            channel, _, ts = message_id.partition("/")
            try:
                self._call("chat.update", {"channel": channel, "ts": ts, "text": text, "parse": "none"})
            except _Gone:
                return self.post(report, "")
            return message_id
        return self._send({"channel": self._settings.channel, "text": text})

    def reply(self, report: Report, message_id: str) -> None:
        """Posts a report's details into the thread of a message; see the port."""
        if not _MESSAGE_ID.match(message_id):
            raise UserError(Reason.REPORT_FAILED, "there is no message whose thread could take the details")
        channel, _, ts = message_id.partition("/")
        text = escape("\n".join(strip_controls(line) for line in report.details).replace("```", "'''"))
        self._send({"channel": channel, "thread_ts": ts, "text": f"```{_cut(text, TEXT)}```"})

    def _headline(self, report: Report) -> str:
        name = escape(one_line(report.environment, limit=100))
        commit = escape(one_line(report.commit.short))
        subject = escape(one_line(report.commit.subject, limit=120))
        line = _cut(escape(one_line(report.line)), TEXT - 600)
        return f"{_SIGNS[report.state]} *{name}* `{commit}` {subject}\n{line}"

    def _send(self, arguments: dict[str, Any]) -> str:
        quiet = {"parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False}
        answer = self._call("chat.postMessage", {**arguments, **quiet})
        message_id = f"{answer.get('channel')}/{answer.get('ts')}"
        if not _MESSAGE_ID.match(message_id):
            raise TransientError(Reason.REPORT_FAILED, "Slack answered without the message's channel and ts")
        return message_id

    def _call(self, method: str, arguments: dict[str, Any]) -> SlackResponse:
        token = self._settings.token()
        client = WebClient(
            token=token,
            base_url=self._settings.base_url,
            timeout=self._settings.timeout,
            retry_handlers=[],
            logger=_SILENT,
        )
        try:
            return client.api_call(method, json=arguments)
        except SlackClientError as error:
            response = getattr(error, "response", None)
            raise _refusal(method, response, token) from None
        except (OSError, http.client.HTTPException, ValueError, TypeError, AttributeError) as error:
            raise TransientError(
                Reason.REPORT_FAILED, f"Slack does not answer {method}: {type(error).__name__}"
            ) from None


class _Gone(UserError):
    """The message that was to be edited is not there, or may not be edited any more."""


def _refusal(method: str, response: object, token: str) -> GitopsdError:
    status = getattr(response, "status_code", 0)
    data = getattr(response, "data", None)
    code = data.get("error") if isinstance(data, dict) else None
    code = Redactor([token]).text(code) if isinstance(code, str) and _CODE.match(code) else ""
    text = f"Slack answered {method} with {code or status or 'something unexpected'}"
    headers = {str(key).lower(): value for key, value in (getattr(response, "headers", None) or {}).items()}
    asked = str(headers.get("retry-after", ""))
    wait = float(asked[:9]) if asked.isdecimal() else None
    if status == 429 or status >= 500 or code in _TRANSIENT or not code:
        return TransientError(Reason.REPORT_FAILED, text, retry_after=wait)
    if code in _GONE:
        return _Gone(Reason.REPORT_FAILED, text)
    return UserError(Reason.REPORT_FAILED, text, hint=_HINTS.get(code, ""))


def escape(text: str) -> str:
    """Text that Slack shows as it is: its three control characters escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(escaped: str, limit: int) -> str:
    """Escaped text cut to a length, never inside an escape."""
    if len(escaped) <= limit:
        return escaped
    return re.sub(r"&[a-z]{0,3}$", "", shorten(escaped, limit)[:-1]) + "…"
