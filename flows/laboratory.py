"""A workspace made fit for experiments: in git, with DVC, its data linked and not copied."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ecomine import layout
from ecomine.errors import SettingsError
from ecomine.params import FILE
from ecomine.stages import load_params
from ecomine.store import replacing

LINKS = "reflink,hardlink,copy"
"""How DVC brings data to where an experiment runs: linked where the disk can, so that it costs no time."""

AUTHOR = ("-c", "user.name=ecomine", "-c", "user.email=ecomine@localhost")


def dvc(workspace: Path, *arguments: str, shown: bool = False) -> "subprocess.CompletedProcess[str]":
    """Run DVC in a workspace, with this environment's commands within its reach; `shown`: what it says is seen."""
    path = os.pathsep.join([os.fspath(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=workspace,
        env={**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "true"},
        capture_output=not shown,
        text=True,
        check=False,
    )


def begun(workspace: Path) -> bool:
    """Whether a workspace can hold experiments: in git with a commit, and a DVC repository that knows of it."""
    config = workspace / ".dvc/config"
    return (
        config.is_file() and "no_scm = true" not in config.read_text().lower() and _git(workspace, "rev-parse", "HEAD")
    )


def begin(workspace: Path, say: Callable[[str], None]) -> None:
    """Make a workspace fit for experiments; what is there already stays as it is.

    It becomes a git repository of its own where it is in none (or one that ignores it), and a DVC repository that
    knows of git. Raw tables inside of it are kept by DVC, so that an experiment finds them wherever it runs. All of
    this is committed.
    """
    params = load_params(workspace)
    if not _git(workspace, "rev-parse", "--git-dir") or _git(workspace, "check-ignore", "-q", "."):
        _run(workspace, "git", "init", "--quiet")
        say("a git repository is made")
    ignored = workspace / ".gitignore"
    there = ignored.read_text().splitlines() if ignored.is_file() else []
    lines = [
        line for line in ignored_files() if line not in there and f"{line}/" not in there and "/data/*" not in there
    ]
    if lines:
        with replacing(ignored) as path:
            path.write_text("\n".join([*there, *lines]) + "\n")
    _with_git(workspace, say)
    raw, project = Path(params.raw), Path(params.project)
    if not project.is_absolute() and (workspace / project).resolve() != workspace:
        _replace(workspace / FILE, "project", os.fspath((workspace / project).resolve()))
        say("`project` in params.yaml is a whole path now, which holds wherever an experiment runs")
    inside = not raw.is_absolute() and ".." not in raw.parts and (workspace / raw).is_dir()
    if inside and any((workspace / raw).iterdir()) and not _tracked(workspace, raw):
        _run(workspace, "dvc", "add", "--quiet", raw.as_posix())
        say(f"{raw} is kept by DVC; put new files in the place of old ones, and write into none")
    _run(workspace, "git", "add", "--all", ".")
    if not _git(workspace, "rev-parse", "HEAD") or not _git(workspace, "diff", "--cached", "--quiet"):
        known = _git(workspace, "config", "user.email")
        _run(workspace, "git", *(() if known else AUTHOR), "commit", "--quiet", "--message", "Ready for experiments")
        say("committed; experiments go from here")


def ignored_files() -> list[str]:
    """Lines of .gitignore: what stages write, which DVC keeps, and what belongs to no version at all.

    Written out name by name, since DVC looks for nothing in a folder whose files are all ignored.
    """
    written = {name for name in vars(layout).values() if isinstance(name, str) and "/" in name}
    of_data = {f"/{'/'.join(Path(name).parts[:2])}" for name in written if name.startswith("data/")}
    others = {f"/{Path(name).parts[0]}/" for name in written if not name.startswith("data/")}
    return [*sorted(of_data), *sorted(others | {"/shops/"}), "__pycache__/"]


def _with_git(workspace: Path, say: Callable[[str], None]) -> None:
    """A DVC repository that knows of git, and links data."""
    from dvc.repo import Repo

    config = workspace / ".dvc/config"
    if not config.is_file():
        top = subprocess.run(
            ["git", "rev-parse", "--show-toplevel"], cwd=workspace, capture_output=True, text=True, check=True
        ).stdout.strip()
        Repo.init(str(workspace), subdir=Path(top).resolve() != workspace.resolve()).close()
        say("a DVC repository is made")
    elif "no_scm = true" in config.read_text().lower():
        _run(workspace, "dvc", "config", "--quiet", "--unset", "core.no_scm")
        (workspace / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
        say("DVC knows of git now")
    if not dvc(workspace, "config", "cache.type").stdout.strip():
        _run(workspace, "dvc", "config", "--quiet", "cache.type", LINKS)


def _tracked(workspace: Path, raw: Path) -> bool:
    """Whether git or DVC keeps files of a folder already."""
    found = subprocess.run(["git", "ls-files", raw.as_posix()], cwd=workspace, capture_output=True, check=False).stdout
    return bool(found) or (workspace / f"{raw}.dvc").exists()


def _replace(file: Path, key: str, value: str) -> None:
    text = re.sub(rf"(?m)^{key}:[^\n#]*?(?=\s*(#|$))", lambda _: f"{key}: {value}", file.read_text(), count=1)
    with replacing(file) as path:
        path.write_text(text)


def _git(workspace: Path, *arguments: str) -> bool:
    """Whether git says yes."""
    return subprocess.run(["git", *arguments], cwd=workspace, capture_output=True, check=False).returncode == 0


def _run(workspace: Path, *command: str) -> None:
    if command[0] == "dvc":
        done = dvc(workspace, *command[1:])
    else:
        done = subprocess.run(command, cwd=workspace, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SettingsError(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()}")
