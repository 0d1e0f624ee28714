"""Many who ask at the same time, a version that nobody has asked before among them."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import httpx
import pytest

from tests.serving.server import serving

ASKERS = 8


@pytest.mark.parametrize("domain", ["profiles", "recommendations", "prices"])
def test_the_first_questions_may_come_together_and_one_or_many_at_once(
    priced: Path, tmp_path: Path, domain: str
) -> None:
    """Boosted trees are configured at their first prediction, and use more threads for many rows than for few."""
    workspace = Path(
        shutil.copytree(priced, tmp_path / "w", ignore=shutil.ignore_patterns("receipts", "raw", "frames"))
    )
    users = [f"u{number:04d}" for number in range(1, 100)]
    together = Barrier(ASKERS)

    def ask(number: int) -> list[httpx.Response]:
        with httpx.Client(base_url=client.base_url, timeout=60) as own:
            together.wait(30)
            if domain == "prices":
                items = [{"item_id": f"i{place:04d}"} for place in range(number * 3, number * 3 + 3)]
                return [own.post("/v1/prices", json={"items": items, "skip_unknown": True}) for _ in range(5)]
            many = own.post("/v1/recommendations", json={"user_ids": users}) if domain == "recommendations" else None
            alone = [own.get(f"/v1/{domain}/{user}") for user in users[number * 5 : number * 5 + 5]]
            return [*alone, *([many] if many is not None else [])]

    with serving(workspace) as client, ThreadPoolExecutor(ASKERS) as askers:
        answers = [answer for found in askers.map(ask, range(ASKERS)) for answer in found]
        for answer in answers:
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-answered-by"] == "deployed"
        if domain != "prices":
            once_more = client.get(f"/v1/{domain}/{users[0]}").json()
            assert once_more == next(answer for answer in answers if answer.json().get("user_id") == users[0]).json()
