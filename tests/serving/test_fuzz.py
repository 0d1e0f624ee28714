"""Every address, asked what its OpenAPI description allows and what it forbids: never a 5xx, ever what it promises.

Ids that the shop knows stand in for made-up ones half of the time, or only errors would be looked at.
"""

import random
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from ecomine.cli import main
from ecomine.serving.keys import HEADER
from ecomine.serving.routes import ROUTES
from tests.conftest import change_params
from tests.serving.server import serving

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
)
KEY = HEADER.model.name
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@pytest.fixture(scope="module")
def workspace(priced: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "workspace"
    shutil.copytree(priced, folder, ignore=shutil.ignore_patterns("receipts", "frames"))
    change_params(folder, serving={"keys": True})
    return folder


@pytest.fixture(scope="module")
def client(workspace: Path) -> Iterator[httpx.Client]:
    with serving(workspace) as client:
        yield client


@pytest.fixture(scope="module")
def schema(client: httpx.Client) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")


@pytest.fixture(scope="module")
def known(workspace: Path) -> dict[str, list[str]]:
    return ids_of(workspace)


def ids_of(workspace: Path) -> dict[str, list[str]]:
    """Ids of the shop by the names that requests have for them."""
    lines = pd.read_parquet(workspace / "data/clean/order_lines.parquet")
    ids = {name: sorted(map(str, lines[name].unique()[:30])) for name in lines.columns if name.endswith("_id")}
    return ids | {f"{name}s": found for name, found in ids.items()}


@pytest.fixture
def key(workspace: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    scopes = [word for scope in (*ROUTES, "receipts", "events", "operation") for word in ("--scope", scope)]
    assert main(["--workspace", str(workspace), "key", "create", "fuzz", *scopes]) == 0
    yield capsys.readouterr().out.split()[0]
    assert main(["--workspace", str(workspace), "key", "revoke", "fuzz"]) == 0


def at_home(value: Any, known: dict[str, list[str]], draw: random.Random, name: str = "") -> Any:
    """A copy of a request's values with some ids that the shop knows in place of those made up, and lists not long."""
    if isinstance(value, dict):
        return {key: at_home(inner, known, draw, key) for key, inner in value.items()}
    if isinstance(value, list):
        found = [at_home(inner, known, draw, name) for inner in value]
        return list(dict.fromkeys(found)) if name in known and all(isinstance(one, str) for one in found) else found
    if isinstance(value, str) and name == "event_timestamp":
        return datetime.now(UTC).isoformat()
    if isinstance(value, str) and value and name in known and draw.random() < 0.5:
        return draw.choice(known[name])
    return min(value, 20) if name == "k" and isinstance(value, int) else value


def operations(schema: schemathesis.BaseSchema) -> list[Any]:
    return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_every_address_keeps_what_its_description_promises(
    schema: schemathesis.BaseSchema, known: dict[str, list[str]], key: str, mode: GenerationMode
) -> None:
    asked: dict[str, set[int]] = {}
    for operation in operations(schema):
        takes = bool(operation.body or operation.path_parameters or operation.query)
        if takes or mode is GenerationMode.POSITIVE:
            asked[operation.label] = fuzz(operation, mode, known, key, 20 if takes else 1)
    if mode is GenerationMode.POSITIVE:
        silent = {label for label, statuses in asked.items() if 200 not in statuses and "receipt" not in label}
        assert not silent, f"nothing but errors: {asked}"


@pytest.mark.parametrize(("shop", "prefix"), [("placed", "/v1/ads"), ("watched", "/v1/risk")])
def test_so_do_those_of_shops_with_campaigns_and_payments(
    shop: str, prefix: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    ignored = shutil.ignore_patterns("receipts", "frames")
    folder = Path(shutil.copytree(request.getfixturevalue(shop), tmp_path / "workspace", ignore=ignored))
    with serving(folder) as client:
        schema = schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")
        own = [operation for operation in operations(schema) if operation.path.startswith(prefix)]
        assert own
        for operation in own:
            for mode in MODES if operation.body else MODES[:1]:
                statuses = fuzz(operation, mode, ids_of(folder), "", 20)
                assert mode is GenerationMode.NEGATIVE or 200 in statuses or "queue" in operation.path, operation.label


def fuzz(operation: Any, mode: GenerationMode, known: dict[str, list[str]], key: str, examples: int) -> set[int]:
    """Ask an address so often; the statuses of its answers."""
    statuses: set[int] = set()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), draw=st.randoms(use_true_random=False))
    def ask(case: schemathesis.Case, draw: random.Random) -> None:
        checks = list(CHECKS)
        if mode is GenerationMode.POSITIVE:
            case.body = at_home(case.body, known, draw)
            case.path_parameters = at_home(case.path_parameters, known, draw)
            case.query = at_home(case.query, known, draw)
        elif operation.body:  # what is wrong with a query or a header may well be passed over
            checks.append(negative_data_rejection)
        answer = case.call(headers={KEY: key})
        case.validate_response(answer, checks=checks)
        statuses.add(answer.status_code)

    ask()
    return statuses


def test_without_a_key_every_guarded_address_refuses(
    schema: schemathesis.BaseSchema, client: httpx.Client, key: str
) -> None:
    for operation in operations(schema):
        case = operation.Case(path_parameters={"user_id": "u0001", "receipt_id": "0" * 30})
        open_to_all = operation.path in ("/healthz", "/readyz")
        for secret in (None, b"", b"wrong", b"\xff\xfe", key.swapcase().encode()):
            headers = {} if secret is None else {KEY.encode(): secret}
            answer = client.request(operation.method, case.formatted_path, headers=headers)
            assert answer.status_code == (200 if open_to_all else 401), operation.label
            case.validate_response(schemathesis.Response.from_any(answer), checks=list(CHECKS[:-1]))


HOSTILE = {
    "no text": b'{"user_ids": ["\xff\xfe"]}',
    "nothing": b"",
    "null": b"null",
    "too deep": b"[" * 50_000,
    "half a character": b'{"user_ids": ["\\ud800"], "item_ids": ["\\ud800"], "items": [{"item_id": "\\ud800"}]}',
    "a name of half a character": b'{"user_ids": ["a"], "item_ids": ["a"], "items": [{"item_id": "a"}], "\\ud800": 1}',
    "a long number": b'{"user_ids": ["a"], "item_ids": ["a"], "k": 1' + b"0" * 5000 + b"}",
    "infinity": b'{"items": [{"item_id": "i0001", "stock": Infinity, "clear_weeks": 3}], "k": -Infinity}',
    "no number": b'{"items": [{"item_id": "i0001", "price": NaN}], "user_ids": ["a"], "k": NaN}',
    "beyond doubles": b'{"items": [{"item_id": "i0001", "unit_cost": 1e999}], "user_ids": ["a"], "k": 1e999}',
    "nearly nothing": b'{"items": [{"item_id": "i0001", "price": 1e-320}], "user_ids": ["a"], "k": 1e-320}',
    "a word that is not asked for": b'{"user_ids": ["a"], "item_ids": ["a"], "items": [{"item_id": "a"}], "kk": 1}',
}  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_body_is_refused_in_the_form_of_every_error(
    schema: schemathesis.BaseSchema, client: httpx.Client, key: str, body: bytes
) -> None:
    for operation in operations(schema):
        if operation.method.upper() != "POST":
            continue
        answer = client.post(operation.path, content=body, headers={KEY: key, "Content-Type": "application/json"})
        assert answer.status_code == 422, (operation.label, answer.text)
        told = answer.json()
        assert set(told) - {"refused"} == {"error", "hint"} and told["error"] and told["hint"]


@pytest.mark.parametrize("name", ["%00", "%ED%A0%80", "%ff", "a%2F..%2F..%2Fb", "%F0%9F%9B%92", "';--", "%25s{0}"])
def test_a_strange_name_is_a_name(client: httpx.Client, key: str, name: str) -> None:
    for address, status in (("recommendations", 200), ("profiles", 404), ("receipts", 422)):
        answer = client.get(f"/v1/{address}/{name}", headers={KEY: key})
        assert answer.status_code in (status, 404) and answer.json(), answer.text
