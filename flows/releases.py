"""Releases in git: each version that is deployed is a GTO version of its domain, and the one that answers its champion.

A release is a commit of its own beside the branches, whose parent is the commit that was checked out and whose tree
holds parameters and `dvc.lock` as they were at the deployment; so `git checkout pricing@v3.0.0 && dvc checkout` brings
back what made it, whatever had been committed by then. Branches, index and files stay as they are.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from ecomine import deployment
from ecomine.errors import EcomineError
from ecomine.store import Store

STAGE = "champion"
RECORDED = ("params.yaml", "dvc.yaml", "dvc.lock")


def release(workspace: Path, domain: str) -> str | None:
    """Have the registry say what the pointer says, and return the name of the version.

    None where the workspace is no git checkout of its own. What is registered already stays as it is. Raises
    EcomineError where git or GTO refuse.
    """
    from gto import api
    from gto.exceptions import GTOException

    digest = deployment.current(Store(workspace), domain)
    root = _git(workspace, "rev-parse", "--show-toplevel", may_fail=True)
    own = root is not None and Path(root).resolve() == Path(workspace).resolve()
    if digest is None or not own or _git(workspace, "rev-parse", "--verify", "HEAD", may_fail=True) is None:
        return None
    who = {
        "author": _git(workspace, "config", "user.name", may_fail=True) or "ecomine",
        "author_email": _git(workspace, "config", "user.email", may_fail=True) or "ecomine@localhost",
    }
    name = _versions(workspace, domain).get(digest)
    try:
        if name is None:
            commit = _commit(workspace, f"{domain} {digest}", who["author"], who["author_email"])
            latest = max((int(one.split(".")[0][1:]) for one in _versions(workspace, domain).values()), default=0)
            name = f"v{latest + 1}.0.0"
            api.register(str(root), domain, commit, version=name, message=digest, **who)
        if _champion(workspace, domain) != _tagged(workspace, f"{domain}@{name}"):
            api.assign(str(root), domain, STAGE, version=name, message=digest, force=True, **who)
    except (GTOException, OSError) as error:  # the library lets through what the file system refuses
        raise EcomineError(f"{domain}: the release cannot be registered in git: {error}") from error
    return f"{domain}@{name}"


def told(workspace: Path, domain: str, say: Callable[[str], None]) -> None:
    """Release, and say so; where git refuses, what is deployed stays deployed."""
    try:
        name = release(workspace, domain)
    except EcomineError as error:
        say(f"{domain}: not registered in git: {error}")
    else:
        if name is not None:
            say(f"{domain}: registered in git as {name}")


def _versions(workspace: Path, domain: str) -> dict[str, str]:
    """Digest → version, of what is registered."""
    form = "%(refname:lstrip=2) %(contents:subject)"
    lines = _git(workspace, "for-each-ref", f"refs/tags/{domain}@v*", f"--format={form}") or ""
    pairs = (line.split(" ", 1) for line in lines.splitlines() if " " in line)
    return {digest: tag.split("@", 1)[1] for tag, digest in pairs}


def _champion(workspace: Path, domain: str) -> str | None:
    """Commit of the release that answers, by the registry: GTO numbers assignments, the highest holds."""
    lines = _git(workspace, "for-each-ref", f"refs/tags/{domain}#{STAGE}#*", "--format=%(refname:lstrip=2)") or ""
    tags = sorted(lines.splitlines(), key=lambda tag: int(tag.rsplit("#", 1)[1]))
    return _tagged(workspace, tags[-1]) if tags else None


def _tagged(workspace: Path, tag: str) -> str | None:
    return _git(workspace, "rev-parse", f"refs/tags/{tag}^{{commit}}", may_fail=True)


def _commit(workspace: Path, message: str, author: str, email: str) -> str:
    """A commit on top of HEAD, on no branch, that holds what RECORDED names as it lies in the workspace."""
    with tempfile.TemporaryDirectory() as folder:
        own = {
            "GIT_INDEX_FILE": f"{folder}/index",
            **{f"GIT_{role}_NAME": author for role in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{role}_EMAIL": email for role in ("AUTHOR", "COMMITTER")},
        }
        _git(workspace, "read-tree", "HEAD", **own)
        there = [name for name in RECORDED if (workspace / name).is_file()]
        if there:
            _git(workspace, "add", "--force", "--", *there, **own)
        tree = _git(workspace, "write-tree", **own)
        return str(_git(workspace, "commit-tree", str(tree), "-p", "HEAD", "-m", message, **own))


def _git(workspace: Path, *arguments: str, may_fail: bool = False, **variables: str) -> str | None:
    command = ["git", "-C", str(workspace), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True, env={**os.environ, **variables}
        )
    except FileNotFoundError:
        return None
    except subprocess.SubprocessError as error:
        if may_fail:
            return None
        told = getattr(error, "stderr", "") or str(error)
        raise EcomineError(f"`git {arguments[0]}` failed: {' '.join(told.split())}") from error
    return done.stdout.strip()
