"""Real servers for tests and benchmarks: each on a free port, in a folder of its own, gone at the end."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgres_server(binaries: Path) -> Iterator[str]:
    """The address of a PostgreSQL server; `binaries` is the folder of initdb and pg_ctl."""
    folder = Path(tempfile.mkdtemp(prefix="ecomine-postgres-"))
    # PostgreSQL refuses to run as root, so there it runs as its own user.
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    port = free_port()
    if user:
        shutil.chown(folder, "postgres")
    data = folder / "data"

    def call(*command: str) -> None:
        subprocess.run([*user, *command], check=True, capture_output=True, cwd=folder, timeout=120)

    try:
        call(f"{binaries}/initdb", "-D", f"{data}", "-U", "shop", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        call(f"{binaries}/pg_ctl", "-D", f"{data}", "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql://shop:secret@127.0.0.1:{port}/postgres"
        finally:
            call(f"{binaries}/pg_ctl", "-D", f"{data}", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis_server(binary: Path) -> Iterator[str]:
    """The address of a Redis server that keeps all in memory."""
    folder = Path(tempfile.mkdtemp(prefix="ecomine-redis-"))
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--appendonly", "no"]
    server = subprocess.Popen([str(binary), *options], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        wait_for_redis(port, server)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for_redis(port: int, server: "subprocess.Popen[bytes]") -> None:
    """Until it answers; RuntimeError where it never does."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(16).startswith(b"+PONG"):
                    return
        except OSError:
            pass
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"redis-server does not answer on port {port}.")
        time.sleep(0.05)
