"""Two doors, one result: what a flow made is recorded with DVC, as if `dvc repro` had made it."""

import logging
from collections.abc import Iterable
from pathlib import Path

from ecomine.errors import EcomineError, LockedError
from ecomine.stages import Stage


def record(workspace: Path, finished: Iterable[tuple[Stage, str | None]]) -> bool:
    """Commit the finished tracked stages to DVC; False where the workspace is no DVC repository.

    Only the stages that ran are committed, so that DVC still sees what else is out of date.
    """
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.lock import LockError
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        repo = Repo(str(workspace))
    except NotDvcRepoError:
        return False
    with repo:
        try:
            for stage, domain in finished:
                if stage.tracked:
                    repo.commit(f"{stage.name}@{domain}" if domain else stage.name, force=True)
        except LockError as error:
            raise LockedError(f"DVC is at work in {workspace.name}; try again when it is done ({error}).") from error
        except DvcException as error:
            raise EcomineError(
                f"What was made could not be recorded with DVC: {error}. `dvc status` says more."
            ) from error
    return True


def own_repository(workspace: Path) -> None:
    """Make a workspace a DVC repository of its own, lest its runs be recorded in one that it lies within."""
    if not (workspace / ".dvc").exists():
        from dvc.repo import Repo

        logging.getLogger("dvc").setLevel(logging.ERROR)
        Repo.init(str(workspace), no_scm=True).close()
