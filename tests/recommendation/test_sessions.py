"""Session recommendation against plain loops, values worked out by hand, and a shop whose next item is known."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from ecomine.errors import FeatureError, NotEnoughDataError
from ecomine.recommendation import SessionRecommender
from ecomine.recommendation.sessions import RETRIEVERS, SessionParams
from ecomine.recommendation.sessions.log import Sessions, item_index
from ecomine.recommendation.sessions.neighbours import SessionNeighbours
from ecomine.recommendation.sessions.pairs import Table, best, matrix
from ecomine.recommendation.sessions.retrievers import CoView, Popularity, SequentialRules
from ecomine.recommendation.sessions.vectors import ItemVectors
from ecomine.recommendation.sessions.walk import RandomWalk

FOREVER = 1e9
"""A half-life with which age does not count."""

PARAMS = SessionParams(trees=20, vector_size=8, ranker_share=0.2)


def frame(*sessions: str) -> pd.DataFrame:
    """One session a word, one item a letter."""
    rows = [(number, place, item) for number, word in enumerate(sessions) for place, item in enumerate(word)]
    return pd.DataFrame(rows, columns=["session_id", "position", "item_id"])


def coded(*sessions: str) -> tuple[Sessions, dict[str, int]]:
    visits = frame(*sessions)
    items = item_index(visits, 7)
    return Sessions.of(visits, items), {item: code for code, item in enumerate(items)}


def shop(sessions: int = 1500, items: int = 60, seed: int = 3) -> pd.DataFrame:
    """Sessions that mostly go from item n to n + 1, at times back, at times anywhere."""
    random = np.random.default_rng(seed)
    length = random.integers(2, 7, sessions)
    session = np.repeat(np.arange(sessions), length)
    position = np.arange(len(session)) - np.repeat(np.cumsum(length) - length, length)
    start = random.integers(0, items, sessions)[session]
    anywhere = random.random(len(session)) < 0.15
    item = np.where(anywhere, random.integers(0, items, len(session)), (start + position) % items)
    return pd.DataFrame({"session_id": session, "position": position, "item_id": [f"item-{n}" for n in item]})


@pytest.fixture(scope="module")
def visits() -> pd.DataFrame:
    return shop()


@pytest.fixture(scope="module")
def model(visits: pd.DataFrame) -> SessionRecommender:
    return SessionRecommender(PARAMS, threads=1).fit(visits)


@pytest.fixture(scope="module")
def running() -> pd.DataFrame:
    return shop(200, seed=11)


def test_sessions_are_in_order_of_time_and_prefixes_are_their_beginnings() -> None:
    rows = frame("abc", "d", "ba").sample(frac=1, random_state=0)
    rows["event_timestamp"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        rows["position"] - 100 * rows["session_id"], unit="min"
    )
    items = pd.Index(["d", "c", "b", "a"])
    sessions = Sessions.of(rows.drop(columns="position"), items)
    assert sessions.ids.tolist() == [2, 1, 0]
    assert sessions.item.tolist() == [2, 3, 0, 3, 2, 1]
    prefixes, follows = sessions.prefixes()
    assert [prefixes.item[a:b].tolist() for a, b in zip(prefixes.start, prefixes.start[1:], strict=False)] == [
        [2],
        [3],
        [3, 2],
    ]
    assert follows.tolist() == [3, 2, 1]
    longer, follows = sessions.prefixes(shortest=2)
    assert longer.item.tolist() == [3, 2] and follows.tolist() == [1]
    again, _ = coded("abab")
    assert again.distinct().item.tolist() == again.item[2:].tolist()
    assert sessions.take(np.array([2, 0])).item.tolist() == [3, 2, 1, 2, 3]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 300_000), st.floats(0, 1e6, width=32)),
        unique_by=lambda entry: entry[:2],
        max_size=60,
    ),
    st.integers(1, 8),
)
def test_best_and_look_up_like_a_plain_sort(entries: list[tuple[int, int, float]], k: int) -> None:
    row, column, value = (np.array(part) for part in zip(*entries, strict=True)) if entries else (np.zeros(0, int),) * 3
    scores = matrix(row, column, value, (6, 300_001))
    found = list(zip(*(part.tolist() for part in best(scores, k)), strict=True))
    positive = sorted((r, -v, c) for r, c, v in entries if v > 0)
    expected = [(r, c, -v) for n in range(6) for r, v, c in [entry for entry in positive if entry[0] == n][:k]]
    assert found == expected
    look_up = Table.of(scores)
    assert look_up(row, column).tolist() == [float(np.float32(v)) for v in value]
    assert look_up(np.array([-1, 0]), np.array([5, 300_000])).tolist()[0] == 0


def test_sequential_rules_by_hand() -> None:
    # a is followed by b at one step, by c at two steps and at one step; it was looked at twice.
    sessions, code = coded("abc", "ac")
    rules = SequentialRules(decay=0.5, half_life=FOREVER, reach=5).fit(sessions)
    a, b, c = code["a"], code["b"], code["c"]
    assert rules.similarity[a, b] == 0.5 and rules.similarity[a, c] == 0.75 and rules.similarity[b, c] == 1
    prefix = Sessions(np.zeros(1), np.array([0, 2]), np.array([a, b]), 3)
    scores = rules.scores(prefix)
    assert scores[0, c] == pytest.approx(1 + 0.5 * 0.75) and scores[0, a] == 0


def test_coview_is_the_cosine_of_sessions() -> None:
    sessions, code = coded("aab", "bc", "ba")
    similar = CoView(half_life=FOREVER).fit(sessions).similarity
    assert similar[code["a"], code["b"]] == pytest.approx(2 / (2 * 3) ** 0.5)
    assert similar[code["b"], code["c"]] == pytest.approx(1 / 3**0.5)
    assert similar[code["a"], code["c"]] == 0 and similar[code["a"], code["a"]] == 0


def test_popularity_counts_each_session_once_and_fades() -> None:
    sessions, code = coded("aaaa", "bc", "bd")
    share = Popularity(half_life=1 / 3).fit(sessions).share
    assert share[[code[item] for item in "abcd"]] == pytest.approx(np.array([0.25, 1.5, 0.5, 1]) / 3.25)


def test_random_walk_is_the_sum_of_powers() -> None:
    sessions, _ = coded("abcd", "acd", "bda", "dbe", "eab")
    walk = RandomWalk(half_life=FOREVER, reach=2, falling=1.0, tempering=0.5, stay=0.8, hops=3).fit(sessions)
    graph = np.zeros((5, 5))
    for begin, end in zip(sessions.start, sessions.start[1:], strict=False):
        items = sessions.item[begin:end]
        for step in (1, 2):
            for left, right in zip(items, items[step:], strict=False):
                graph[left, right] += 1 / step
    graph += graph.T
    graph /= graph.sum(axis=1) ** 0.5
    hop = 0.8 * graph / graph.sum(axis=1, keepdims=True)
    assert walk.similarity.toarray() == pytest.approx(hop + hop @ hop + hop @ hop @ hop, rel=1e-5)


def _neighbour_scores(sessions: Sessions, prefix: list[int], kept: int, near: float, behind: float) -> np.ndarray:
    """What SessionNeighbours promises, one session and one event after the other."""
    words = [sessions.item[a:b].tolist() for a, b in zip(sessions.start, sessions.start[1:], strict=False)]
    back = {item: len(prefix) - 1 - place for place, item in enumerate(prefix)}
    rarity = [np.log((len(words) + 1) / (sum(item in word for word in words) + 1)) for item in range(sessions.items)]
    similar = []
    for word in words:
        shared = set(word) & set(back)
        similar.append(sum(0.5 ** back[item] * rarity[item] for item in shared) / len(set(word)) ** 0.5)
    scores = np.zeros(sessions.items)
    for number in sorted(range(len(words)), key=lambda n: (-np.float32(similar[n]), n))[:kept]:
        word = words[number]
        if similar[number] <= 0:
            continue
        anchor_item = min(set(word) & set(back), key=lambda item: back[item])
        anchor = max(place for place, item in enumerate(word) if item == anchor_item)
        for place, item in enumerate(word):
            if place != anchor:
                distance = place - anchor
                scores[item] += similar[number] * near ** abs(distance) * (behind if distance < 0 else 1)
    return scores


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.text("abcdef", min_size=1, max_size=7), min_size=3, max_size=15),
    st.lists(st.text("abcdef", min_size=1, max_size=5), min_size=1, max_size=4),
)
def test_neighbours_like_a_plain_loop(words: list[str], asked: list[str]) -> None:
    sessions, code = coded(*words, "abcdef")
    kept = len(words) + 1
    model = SessionNeighbours(kept, half_life=FOREVER).fit(sessions)
    prefixes = Sessions.of(frame(*asked), pd.Index(sorted(code, key=code.__getitem__)))
    scores = model.scores(prefixes).toarray()
    for row, word in enumerate(asked):
        expected = _neighbour_scores(sessions, [code[item] for item in word], kept, 0.7, 0.7)
        assert scores[row] == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_vectors_are_close_for_items_of_one_corner() -> None:
    sessions, code = coded(*["abc", "bca", "cab", "xyz", "yzx", "zxy"] * 5)
    vectors = ItemVectors(size=2, half_life=FOREVER).fit(sessions)
    left, right = np.array([code["a"], code["a"], -1]), np.array([code["b"], code["x"], code["x"]])
    assert vectors.closeness(left, right) == pytest.approx([1, 0, 0], abs=1e-4)
    prefix = Sessions(np.zeros(2), np.array([0, 0, 2]), np.array([code["a"], code["c"]]), 6)
    near = vectors.closeness_to_all(prefix, np.array([0, 1, 1]), np.array([code["b"], code["b"], code["y"]]), 0.8)
    assert near == pytest.approx([0, 1, 0], abs=1e-4)


def _hits(sessions: pd.DataFrame, answer: pd.DataFrame) -> float:
    """Share of sessions whose last item is the first of the answer."""
    last = sessions.groupby("session_id")["item_id"].last()
    first = answer[answer["rank"] == 1].set_index("session_id")["item_id"]
    return float((first.reindex(last.index) == last).mean())


def test_finds_the_known_next_item(model: SessionRecommender, running: pd.DataFrame, visits: pd.DataFrame) -> None:
    last = running.groupby("session_id")["position"].transform("max")
    answer = model.recommend(running[running["position"] < last], 5)
    # The last item is n + 1 in 85 % of the sessions, and the item before it, which tells n, as often.
    assert _hits(running, answer) > 0.65
    popular = visits["item_id"].value_counts().index[0]
    assert (running.groupby("session_id")["item_id"].last() == popular).mean() < 0.1
    assert answer.columns.tolist() == ["session_id", "item_id", "rank", "score"]
    assert answer.groupby("session_id")["rank"].agg(list).map(lambda ranks: ranks == [1, 2, 3, 4, 5]).all()
    assert not answer.duplicated(["session_id", "item_id"]).any()
    assert (answer.groupby("session_id")["score"].diff().dropna() <= 0).all()


def test_one_answer_is_the_answer_in_bulk_and_quick(model: SessionRecommender, running: pd.DataFrame) -> None:
    bulk = model.recommend(running, 10).groupby("session_id")["item_id"].agg(list)
    taken = []
    for session, items in running.groupby("session_id")["item_id"].agg(list).items():
        started = time.perf_counter()
        alone = model.next_items(items, 10)
        taken.append(time.perf_counter() - started)
        assert alone == bulk[session]
    assert np.median(taken) < 0.1


def test_unknown_items_are_passed_over_and_nobody_goes_without(model: SessionRecommender) -> None:
    rows = pd.DataFrame(
        {"session_id": ["s", "s", "t"], "position": [0, 1, 0], "item_id": ["item-4", "never seen", "never seen"]}
    )
    answer = model.recommend(rows, 60)
    assert answer["session_id"].value_counts().to_dict() == {"s": 60, "t": 60}
    assert answer[answer["session_id"] == "s"]["item_id"].tolist() == model.next_items(["item-4"], 60)
    assert model.recommend(rows.head(0), 5).empty


def test_files_hold_no_code_and_are_the_same_again(
    model: SessionRecommender, visits: pd.DataFrame, running: pd.DataFrame, tmp_path: Path
) -> None:
    model.save(tmp_path / "one")
    again = SessionRecommender(PARAMS, threads=1).fit(visits.sample(frac=1, random_state=1))
    again.save(tmp_path / "two")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert {Path(name).suffix for name in names} == {".json", ".npz", ".parquet", ".ubj"}
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    loaded = SessionRecommender.load(tmp_path / "one")
    pd.testing.assert_frame_equal(loaded.recommend(running, 7), model.recommend(running, 7))


def test_what_items_are_called_does_not_matter(model: SessionRecommender, visits: pd.DataFrame) -> None:
    """New names that sort in the same order give the same answers; numbers carry no meaning of their own."""
    names = np.sort(visits["item_id"].unique())
    number = {name: 10 + 3 * place for place, name in enumerate(names)}
    renamed = SessionRecommender(PARAMS, threads=1).fit(visits.assign(item_id=visits["item_id"].map(number)))
    asked = ["item-7", "item-8"]
    expected = [number[name] for name in model.next_items(asked, 10)]
    assert renamed.next_items([number[name] for name in asked], 10) == expected


@pytest.mark.parametrize("name", RETRIEVERS)
def test_each_retriever_stands_alone_and_comes_back_from_arrays(name: str, visits: pd.DataFrame) -> None:
    items = item_index(visits, 1)
    sessions = Sessions.of(visits, items)
    retriever = RETRIEVERS[name](PARAMS).fit(sessions)
    scores = retriever.scores(sessions.part(0, 50))
    assert isinstance(scores, sparse.csr_matrix) and scores.shape == (50, len(items)) and scores.nnz > 0
    restored = RETRIEVERS[name](PARAMS).restore(retriever.state())
    assert (restored.scores(sessions.part(0, 50)) != scores).nnz == 0
    empty = Sessions(np.arange(2), np.zeros(3, int), np.zeros(0, np.int32), len(items))
    assert retriever.scores(empty).shape == (2, len(items))


def test_says_what_is_missing() -> None:
    with pytest.raises(FeatureError, match="lack event_timestamp or position"):
        SessionRecommender(PARAMS).fit(frame("ab", "cd").drop(columns="position"))
    with pytest.raises(FeatureError, match="lack item_id"):
        SessionRecommender(PARAMS).fit(frame("ab", "cd").drop(columns="item_id"))
    rows = frame("ab", "cd")
    rows.loc[1, "item_id"] = None
    with pytest.raises(FeatureError, match="1 in item_id"):
        SessionRecommender(PARAMS).fit(rows)
    with pytest.raises(NotEnoughDataError, match="expected sessions of two items"):
        SessionRecommender(PARAMS).fit(frame("a", "b", "c"))
    with pytest.raises(NotEnoughDataError):
        SessionRecommender(PARAMS).fit(frame("ab").head(0))
