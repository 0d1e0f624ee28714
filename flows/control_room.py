"""`make up`: a Prefect server with its UI, and one process that serves the deployments of prefect.yaml."""

import importlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from ecomine.errors import EcomineError, SettingsError
from flows import schedules

FILE = "prefect.yaml"


def is_up(api_url: str) -> bool:
    """Whether a Prefect server answers at this API address."""
    try:
        with urllib.request.urlopen(f"{api_url}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def use_running_server(api_url: str = "http://127.0.0.1:4200/api") -> None:
    """Have Prefect in this process speak to the server of this machine, where one answers and no other is named."""
    if "PREFECT_API_URL" not in os.environ and is_up(api_url):
        os.environ["PREFECT_API_URL"] = api_url


def up(workspace: Path, project: Path, host: str = "127.0.0.1", port: int = 4200) -> None:
    """Start a server where none answers, then serve the deployments until interrupted."""
    api_url = f"http://{host}:{port}/api"
    os.environ["PREFECT_API_URL"] = api_url
    server = None if is_up(api_url) else _start_server(host, port, api_url)
    try:
        print(f"Prefect UI   http://{host}:{port}\nDeployments  {', '.join(names(project))}", flush=True)
        _serve(workspace, project)
    finally:
        if server is not None:
            server.terminate()
            server.wait()


def names(project: Path) -> list[str]:
    """`flow/deployment` for each entry of prefect.yaml."""
    return [f"{entry['entrypoint'].split(':')[1]}/{entry['name']}" for entry in _entries(project)]


def _start_server(host: str, port: int, api_url: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PREFECT_UI_API_URL": api_url, "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", str(port)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not is_up(api_url):
        if server.poll() is not None or time.monotonic() > deadline:
            server.kill()
            raise EcomineError(
                f"The Prefect server did not come up at {api_url}. Is port {port} taken? Try another: --port."
            )
        time.sleep(0.3)
    return server


def _entries(project: Path) -> list[dict[str, Any]]:
    path = project / FILE
    if not path.is_file():
        raise SettingsError(f"There is no {FILE} in {project}; it lists the deployments to serve.")
    return list(yaml.safe_load(path.read_text())["deployments"])


def _serve(workspace: Path, project: Path) -> None:
    from prefect import serve
    from prefect.utilities.templating import apply_values

    times = {"schedules": schedules.read(str(workspace))}
    deployments = []
    for entry in apply_values(_entries(project), times):
        file, function = entry["entrypoint"].split(":")
        flow = getattr(importlib.import_module(Path(file).with_suffix("").as_posix().replace("/", ".")), function)
        deployments.append(
            flow.to_deployment(
                name=entry["name"],
                description=entry.get("description"),
                tags=entry.get("tags"),
                parameters={**entry.get("parameters", {}), "workspace": str(workspace)},
                cron=[schedule["cron"] for schedule in entry.get("schedules", [])] or None,
            )
        )
    serve(*deployments, print_starting_message=False, limit=1)
