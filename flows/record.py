"""Two doors, one result: what a flow made is recorded with DVC, as if `dvc repro` had made it."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ecomine.errors import EcomineError, LockedError
from ecomine.stages import Stage

if TYPE_CHECKING:
    from dvc.repo import Repo


def record(workspace: Path, finished: Iterable[tuple[Stage, str | None]]) -> bool:
    """Commit the finished tracked stages to DVC; False where the workspace is no DVC repository.

    Only the stages that ran are committed, so that DVC still sees what else is out of date.
    """
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.lock import LockError
    from dvc.repo import Repo, lock_repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        repo = Repo(str(workspace))
    except NotDvcRepoError:
        return False
    with repo:
        try:
            with lock_repo(repo):
                _commit(repo, [f"{stage.name}@{domain}" if domain else stage.name
                               for stage, domain in finished if stage.tracked])  # fmt: skip
        except LockError as error:
            raise LockedError(f"DVC is at work in {workspace.name}; try again when it is done ({error}).") from error
        except DvcException as error:
            raise EcomineError(
                f"What was made could not be recorded with DVC: {error}. `dvc status` says more."
            ) from error
    return True


def _commit(repo: "Repo", names: list[str]) -> None:
    """What `repo.commit(name, force=True)` does for each name, with one reading and one writing of dvc.lock.

    Raw tables that DVC keeps, too, were read as they are now, so these are recorded with the stages.
    """
    known = {stage.addressing: stage for stage in repo.index.stages}
    stages = [stage for name in names for stage in ([known[name]] if name in known else repo.stage.collect(name))]
    read = {given.fs_path for stage in stages for given in stage.deps}
    kept = [one for one in known.values() if one.is_data_source and {out.fs_path for out in one.outs} & read]
    for stage in (*kept, *stages):
        stage.save()
        stage.commit()
    for stage in kept:
        stage.dump()
    if stages:
        stages[0].dvcfile.dump_stages(stages, update_pipeline=False)


def own_repository(workspace: Path) -> None:
    """Make a workspace a DVC repository of its own, lest its runs be recorded in one that it lies within."""
    if not (workspace / ".dvc").exists():
        from dvc.repo import Repo

        logging.getLogger("dvc").setLevel(logging.ERROR)
        Repo.init(str(workspace), no_scm=True).close()
