"""Who is told what, through Prefect blocks: a web hook in Slack's manner, e-mail, or any other of Prefect's.

`notifications` in params.yaml names the blocks; addresses with secrets and passwords lie in them. What cannot be sent
is logged, and never stands in the way of a run.
"""

import logging
import smtplib
import threading
from collections.abc import Callable
from contextvars import copy_context
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prefect import Flow
from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock, NotificationBlock, SlackWebhook
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import PrefectException
from prefect.logging.loggers import get_run_logger
from prefect.utilities.urls import url_for

from ecomine.errors import EcomineError, GateError, SettingsError
from ecomine.params import FILE, NotificationParams
from ecomine.stages import load_params

FAILED, REFUSED, DEPLOYED, ROLLED_BACK, DRIFT = KINDS = ("failed", "refused", "deployed", "rolled_back", "drift")

PATIENCE = 20.0
"""Seconds that a receiver may take; the libraries below would wait for minutes."""

SLACK = ("hooks.slack.com", "hooks.slack-gov.com")


def notify(subject: str, body: str, kind: str, workspace: Path | None = None) -> int:
    """Tell those whom params.yaml names for this `kind`; the number of blocks that it was sent through.

    workspace: where that params.yaml is; that of the flow run this is called in, where left out. Raises nothing.
    """
    log = _log()
    try:
        settings = _settings(workspace)
    except EcomineError as error:
        log(f"not told, {subject!r}: {error}")
        return 0
    if kind not in settings.kinds:
        return 0
    return sum(not _sent(name, settings, subject, body, log) for name in settings.blocks)


def probe(workspace: Path) -> list[tuple[str, str | None]]:
    """Send a trial message through each block of params.yaml: its name and what went wrong, None where nothing did."""
    settings, found = _settings(workspace), []
    for name in settings.blocks:
        told: list[str] = []
        subject, body = "ecomine: a trial", f"This is how notices of {workspace.name} arrive."
        found.append((name, _sent(name, settings, subject, body, told.append)))
    return found


def told_end(flow: Flow[Any, Any], run: FlowRun, state: State[Any]) -> None:
    """A hook for `on_failure` and `on_crashed` of a flow: say how a run ended, and where to look."""
    try:
        error = state.result(raise_on_failure=False)
    except Exception:  # a run whose process is gone left no result
        error = None
    kind = REFUSED if isinstance(error, GateError) else FAILED
    what = "stopped at a gate" if kind == REFUSED else (state.name or "failed").lower()
    address = url_for(run)
    body = str(error) if isinstance(error, EcomineError) else (state.message or "")
    workspace = Path(run.parameters.get("workspace", "."))
    notify(f"{flow.name} {what}", f"{body}\n{address or f'flow run {run.name}'}", kind, workspace)


TOLD: dict[str, Any] = {
    "log_prints": False,
    "validate_parameters": True,
    "persist_result": False,
    "on_failure": [told_end],
    "on_crashed": [told_end],
}
"""How every flow of ours is declared: nothing is handed on but by files, and a bad end is told."""


def told_change(kind: str, domain: str, digest: str, workspace: Path) -> None:
    """Say that another version of a domain answers from now on. kind: DEPLOYED or ROLLED_BACK."""
    subject = f"{domain}: {digest[:12]} is deployed" if kind == DEPLOYED else f"{domain}: back to {digest[:12]}"
    notify(subject, f"In {workspace}. See `ecomine history {domain}`, `ecomine rollback {domain}`.", kind, workspace)


def save_webhook(name: str, address: str) -> str:
    """A block that posts to a web hook: Slack's own, or one that takes what Slack's take; its name for params.yaml.

    The address is kept as a secret. Raises SettingsError where it is none.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError("A web hook is an address such as https://hooks.slack.com/services/…; another text came.")
    block: NotificationBlock
    if parts.hostname in SLACK:
        block = SlackWebhook(url=address)  # type: ignore[arg-type]
    else:
        block = CustomWebhookNotificationBlock(
            name=name,
            url="{{address}}",
            json_data={"text": "*{{subject}}*\n{{body}}"},
            secrets={"address": address},  # type: ignore[arg-type]
            timeout=PATIENCE / 2,
        )
    return _saved(block, name)


def save_email(name: str, server: str, port: int | None, user: str | None, password: str, security: str) -> str:
    """A block with an SMTP server; its name for params.yaml. security: ssl, starttls or none."""
    from prefect_email import EmailServerCredentials

    kind = {"ssl": "SSL", "starttls": "STARTTLS", "none": "INSECURE"}[security]
    return _saved(
        EmailServerCredentials(
            smtp_server=server, smtp_port=port, smtp_type=kind, username=user, password=password  # type: ignore[arg-type]
        ),
        name,
    )  # fmt: skip


def _saved(block: Block, name: str) -> str:
    block.save(name, overwrite=True)
    return f"{block.get_block_type_slug()}/{name}"


def _settings(workspace: Path | None) -> NotificationParams:
    if workspace is None:
        context = FlowRunContext.get()
        workspace = Path((context.parameters if context else None or {}).get("workspace", "."))
    settings = load_params(workspace).notifications
    unknown = [kind for kind in settings.kinds if kind not in KINDS]
    if unknown:
        raise SettingsError(f"{FILE}: `notifications.kinds` has {unknown[0]!r}; expected of {', '.join(KINDS)}.")
    return settings


def _sent(name: str, settings: NotificationParams, subject: str, body: str, log: Callable[[str], None]) -> str | None:
    """Send through one block; what went wrong, which is logged, or None."""
    wrong: list[str | None] = ["it took too long"]

    def send() -> None:
        try:
            _send(name, settings, subject, body)
        except Exception as error:  # whatever a receiver or a library does must not end the run
            wrong[0] = _reason(error)
        else:
            wrong[0] = None

    sender = threading.Thread(target=copy_context().run, args=(send,), daemon=True)
    sender.start()
    sender.join(PATIENCE)
    if wrong[0]:
        log(f"not told through {name}, {subject!r}: {wrong[0]}")
    return wrong[0]


def _send(name: str, settings: NotificationParams, subject: str, body: str) -> None:
    import prefect_email

    block = Block.load(name)
    if isinstance(block, NotificationBlock):
        with block.raise_on_failure():
            block.notify(body, subject)
    elif isinstance(block, prefect_email.EmailServerCredentials):
        if not settings.to:
            raise SettingsError(f"{FILE}: `notifications.to` names nobody; expected e-mail addresses.")
        message = EmailMessage()
        message["Subject"], message["To"] = subject, ", ".join(settings.to)
        message["From"] = block.username if "@" in (block.username or "") else settings.to[0]
        message.set_content(body)
        with block.get_server() as server:
            server.send_message(message)
    else:
        raise SettingsError(f"the block is a {type(block).__name__}, which sends nothing")


def _reason(error: Exception) -> str:
    """What is safe to log: errors of web clients carry the address, which is a secret."""
    safe = isinstance(error, EcomineError | smtplib.SMTPException | OSError | ValueError | PrefectException)
    return f"{type(error).__name__}: {error}".splitlines()[0] if safe else type(error).__name__


def _log() -> Callable[[str], None]:
    if FlowRunContext.get() or TaskRunContext.get():
        return get_run_logger().warning
    return logging.getLogger("ecomine.notices").warning
