import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecomine.errors import SettingsError
from ecomine.risk import rules

FRAME = pd.DataFrame(
    {
        "amount": [600.0, 600.0, 100.0, np.nan],
        "device_age_days": [0.5, 30.0, 0.1, 0.1],
        "method": ["card", "wallet", "card", None],
    }
)
KINDS = {"amount": "number", "device_age_days": "number", "method": "text"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amount > 500 and device_age_days < 1", [True, False, False, False]),
        ("amount > 500 or method == 'card'", [True, True, True, False]),
        ("not amount > 500", [False, False, True, False]),
        ("not (amount > 500 and device_age_days < 1)", [False, True, True, False]),
        ("100 <= amount < 600", [False, False, True, False]),
        ("method != 'card'", [False, True, False, False]),
        ("amount >= -1.5 and not method == 'wallet'", [True, False, True, False]),
        ("amount > 500 or device_age_days < 1", [True, True, True, True]),
    ],
)
def test_what_a_rule_means(text: str, expected: list[bool]) -> None:
    assert rules.hits(rules.parse(text, KINDS), FRAME).tolist() == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("__import__('os').system('true')", "no comparison"),
        ("amount > (lambda: 1)()", "has `"),
        ("amount.real > 1", "has `amount.real`"),
        ("amount > 1 + 1", "only comparisons"),
        ("amount > True", "has `True`"),
        ("amount in [1, 2]", "has `"),
        ("amount is 1", "has `amount is 1`"),
        ("amount", "no comparison"),
        ("(amount := 5) > 1", "has `"),
        ("amount >", "cannot be read"),
        ("amount > 1\nimport os", "cannot be read"),
        ("ammount > 1", "did you mean amount"),
        ("zzz > 1", "there are amount, device_age_days, method"),
        ("amount > 'x'", "a number with a text"),
        ("method > 'x'", "which text is greater"),
        ("1 < 2", "asks for no feature"),
        ("amount > 1" + "0" * 400, "too great"),
        ("not " * 100 + "amount > 1", "levels"),
        ("(" * 300 + "amount > 1" + ")" * 300, "cannot be read"),
        ("amount > 1 or " * 300 + "amount > 1", "Write several rules"),
        ("amount > 1\0", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_what_is_no_rule_is_refused(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        rules.parse(text, KINDS)


numbers = st.sampled_from(["a", "b", "1", "2.5", "-3"])
comparisons = st.builds("{} {} {}".format, st.sampled_from(["a", "b"]), st.sampled_from(["<", ">=", "=="]), numbers)
texts = st.recursive(
    comparisons,
    lambda inner: (
        st.builds("({} and {})".format, inner, inner)
        | st.builds("({} or {})".format, inner, inner)
        | st.builds("not ({})".format, inner)
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(texts)
def test_columns_and_rows_agree(text: str) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.5, -3.0, 0.0], "b": [2.5, 2.5, 1.0, -4.0]})
    found = rules.hits(rules.parse(text, ["a", "b"]), frame)
    assert found.tolist() == [eval(text, {}, row._asdict()) for row in frame.itertuples(index=False)]


@settings(max_examples=60, deadline=None)
@given(st.text("ab amount<>=!()'.,:[]{}123#\\\n\t", max_size=40))
def test_any_text_is_a_rule_or_a_clear_error(text: str) -> None:
    read, said = None, ""
    try:
        read = rules.parse(text, KINDS)
    except SettingsError as error:
        said = str(error)
    assert said if read is None else len(rules.hits(read, FRAME)) == len(FRAME)


def test_the_report_counts_hits_precision_and_money() -> None:
    read = {"great": rules.parse("amount > 500", KINDS), "never": rules.parse("amount > 5000", KINDS)}
    found = rules.report(read, FRAME, [True, None, True, False], [600, 600, 100, 50]).set_index("rule")
    assert found.loc["great", ["hits", "hit_rate", "precision", "recall", "fraud_money"]].tolist() == [
        2,
        0.5,
        1.0,
        0.5,
        600.0,
    ]
    assert found.loc["never", "hits"] == 0 and np.isnan(found.loc["never", "precision"])


def test_a_frame_without_the_feature_is_told() -> None:
    with pytest.raises(SettingsError, match="needs amount"):
        rules.hits(rules.parse("amount > 1", KINDS), FRAME[["method"]])
