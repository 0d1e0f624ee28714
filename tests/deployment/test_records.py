import json
from pathlib import Path

import pytest

from ecomine.deployment import records
from ecomine.errors import DeploymentError
from ecomine.store import Store

NAME = "recommendation"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "deployments" / NAME).mkdir(parents=True)
    return Store(tmp_path)


def walk(store: Store, steps: str) -> None:
    """Upper case deploys that version, lower case rolls back to it."""
    for step in steps:
        action = records.DEPLOY if step.isupper() else records.ROLLBACK
        records.change(store, NAME, action, step.upper(), as_of="2024-05-30T00:00:00")


def log(store: Store) -> Path:
    return store.path(f"deployments/{NAME}/history.jsonl")


def test_nothing_is_deployed_at_first(store: Store) -> None:
    assert records.current(store, NAME) is None
    assert records.history(store, NAME) == []
    assert not records.heal(store, NAME)


def test_each_change_is_a_line_that_names_what_was_before(store: Store) -> None:
    walk(store, "ABa")
    lines = [json.loads(line) for line in log(store).read_text().splitlines()]
    assert [(line["number"], line["action"], line["digest"], line["previous"]) for line in lines] == [
        (1, "deploy", "A", None),
        (2, "deploy", "B", "A"),
        (3, "rollback", "A", "B"),
    ]
    assert records.history(store, NAME) == lines
    assert records.current(store, NAME) == "A"
    assert all(line["when"].endswith("+00:00") and line["who"] for line in lines)


@pytest.mark.parametrize(
    ("steps", "stack"),
    [
        ("A", "A"),
        ("ABC", "ABC"),
        ("ABCb", "AB"),
        ("ABCba", "A"),
        ("ABaC", "AC"),
        ("ABA", "ABA"),
        ("ABAb", "AB"),
        ("ABCa", "A"),
        ("ABaB", "AB"),
    ],
)
def test_a_rollback_takes_away_what_lies_above(store: Store, steps: str, stack: str) -> None:
    walk(store, steps)
    assert records.deployed(records.history(store, NAME)) == list(stack)


@pytest.mark.parametrize("lost", [1, 20, "whole line"])
def test_a_history_cut_short_by_a_crash_is_completed_from_the_pointer(store: Store, lost: int | str) -> None:
    walk(store, "AB")
    whole = log(store).read_bytes()
    first = whole.index(b"\n") + 1
    log(store).write_bytes(whole[:first] if lost == "whole line" else whole[: -int(lost)])

    assert [record["digest"] for record in records.history(store, NAME)] == ["A", "B"]
    assert log(store).read_bytes() != whole, "reading writes nothing"
    assert records.heal(store, NAME)
    assert log(store).read_bytes() == whole
    assert not records.heal(store, NAME)


def test_a_crash_before_the_pointer_moved_changes_nothing(store: Store) -> None:
    walk(store, "A")
    store.path(f"deployments/{NAME}/.current.json.new").write_text('{"digest": "B"')
    assert records.current(store, NAME) == "A"
    walk(store, "C")
    assert [record["digest"] for record in records.history(store, NAME)] == ["A", "C"]


def test_a_damaged_line_is_named(store: Store) -> None:
    walk(store, "ABC")
    lines = log(store).read_text().splitlines(keepends=True)
    log(store).write_text(lines[0] + "not json\n" + lines[2])
    with pytest.raises(DeploymentError, match="line 2, is not a record"):
        records.history(store, NAME)


@pytest.mark.parametrize("content", ["", "{}", '{"digest": 3, "number": 1}', "[1]"])
def test_a_damaged_pointer_is_named_and_the_cure_works(store: Store, content: str) -> None:
    walk(store, "AB")
    pointer = records.pointer(store, NAME)
    pointer.write_text(content)
    with pytest.raises(DeploymentError, match=r"Write the last line of history.jsonl, beside it"):
        records.current(store, NAME)
    pointer.write_text(log(store).read_text().splitlines()[-1])
    assert records.current(store, NAME) == "B"
