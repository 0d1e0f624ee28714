"""The API as it is in production: uvicorn on a free port, asked over HTTP."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn

from ecomine.serving.app import create_app


@contextmanager
def serving(workspace: Path) -> Iterator[httpx.Client]:
    """A client of a server over the workspace."""
    app = create_app(workspace)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, access_log=False, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            client.app = app  # type: ignore[attr-defined]  # for tests that look behind the counter
            yield client
    finally:
        server.should_exit = True
        thread.join()
