"""From an alarm to a run that trains again, on a real Prefect server."""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.shell import eventually, free_port, shell, start

LOOKS = """
import sys
from pathlib import Path
from flows.monitor import monitor
from flows.retrain import retrain

workspace = sys.argv[1]
monitor(workspace=workspace)
print("-- served")
retrain.to_deployment(name="on-demand").apply()
state = Path(workspace) / "data/monitoring/windows.jsonl"
state.write_text("".join(line for line in state.open() if '"kind": "told"' not in line))
monitor(workspace=workspace)
print("-- again")
monitor(workspace=workspace)
"""
"""What happens in a shop where the control room is not up yet, then is, then an hour later."""


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """The address of a server's API."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/api"
    server = start(Path(), sys.executable, "-m", "prefect", "server", "start", "--port", str(port), "--no-ui")
    try:
        eventually(lambda: _get(address, "health"))
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
        assert server.stdout is not None
        server.stdout.close()


def _get(api: str, path: str) -> Any:
    try:
        answer = httpx.get(f"{api}/{path}", timeout=10)
    except httpx.HTTPError:
        return None
    return answer.json() if answer.status_code == 200 else None


def _post(api: str, path: str, body: dict | None = None) -> Any:
    answer = httpx.post(f"{api}/{path}", json=body or {}, timeout=30)
    answer.raise_for_status()
    return answer.json()


@pytest.mark.slow
def test_an_alarm_starts_training_of_its_domain_once(shop: Path, api: str) -> None:
    command = ["env", f"PREFECT_API_URL={api}", "ECOMINE_TERMINAL=1", sys.executable, "-c", LOOKS, str(shop)]
    before, served, again = re.split("-- served|-- again", shell(shop, *command).stdout)
    assert "drift starts no run by itself" in before and "ALARM recommendation: habits in orders" in before
    assert "made the automation `retrain on drift: turned" in served and "recommendation: is trained again" in served
    assert "automation" not in again, "it is there and as it should be"
    assert "ALARM" not in again, "the alarm was told"
    (run,) = eventually(_some(lambda: _post(api, "flow_runs/filter", {"flows": {"name": {"any_": ["retrain"]}}})), 30)
    assert run["parameters"]["domains"] == ["recommendation"]
    assert run["parameters"]["workspace"] == str(shop)
    (event,) = _post(api, "events/filter", {"filter": {"event": {"name": ["ecomine.drift"]}}})["events"][:1]
    assert event["resource"]["ecomine.domain"] == "recommendation"
    assert event["payload"]["reasons"][0].startswith("habits, habits in orders")

    assert len(_post(api, "automations/filter")) == 1
    assert len(_post(api, "flow_runs/filter", {"flows": {"name": {"any_": ["retrain"]}}})) == 1
    artifacts = _post(api, "artifacts/latest/filter", {"artifacts": {"key": {"any_": ["monitoring"]}}})
    assert '"state": "ALARM"' in artifacts[0]["data"]


def _some(ask: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: ask() or None
