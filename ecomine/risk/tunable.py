"""The trees of fraud detection: learned on earlier payments, chosen by the later ones of the training."""

import pandas as pd

from ecomine.domain import LABEL, Range, Report, Tunable, over_time, unreported
from ecomine.errors import NotEnoughDataError
from ecomine.risk.boosting import RareEvents
from ecomine.risk.features import FRAUD, OWN, PAID_AT
from ecomine.risk.params import RiskParams

STRETCHES = (0.75, 0.6)
"""Where what is judged by begins, as shares of the time of training; each lasts to the one before, or the end."""

VERDICTS = "_verdicts__"


def validate(frame: pd.DataFrame, params: RiskParams, seed: int, threads: int, report: Report = unreported) -> float:
    """Average precision on later payments, of trees grown on those whose verdict was in when the later ones began.

    Raises NotEnoughDataError where the shop has no verdicts, or too few frauds in each stretch.
    """
    from sklearn.metrics import average_precision_score

    if not set(OWN[FRAUD]) <= set(frame.columns):
        raise NotEnoughDataError(
            "Without verdicts on payments nothing tells which settings of risk are better. Bring payments with "
            "`is_fraud`; what is strange among orders is found without settings to choose."
        )
    columns = [*OWN[FRAUD], *(name for name in frame.columns if VERDICTS in str(name))]
    rows = frame.sort_values([PAID_AT, "payment_id"], ignore_index=True)
    time, fraud = rows[PAID_AT], rows[LABEL].to_numpy(float)
    length = time.max() - time.min()
    ends = [time.max() + pd.Timedelta(seconds=1), *(time.min() + length * share for share in STRETCHES[:-1])]

    def judge(number: int) -> float:
        start = time.min() + length * STRETCHES[number]
        # A verdict takes time: in the last days before a stretch begins, frauds are not known for such.
        wait = min(pd.Timedelta(days=params.maturity_days), (start - time.min()) / 3)
        before, later = (time < start - wait).to_numpy(), ((time >= start) & (time < ends[number])).to_numpy()
        if not fraud[later].any():
            raise NotEnoughDataError(
                f"No fraud among the {int(later.sum()):,} payments that settings would be chosen by. Raise "
                "risk.train_days or bring a longer history."
            )
        events = RareEvents(params.boosting, None, seed, threads).fit(rows.loc[before, columns], fraud[before])
        return float(average_precision_score(fraud[later], events.predict(rows.loc[later, columns])))

    return over_time(len(STRETCHES), judge, report)


TUNABLE = Tunable(
    space={
        "rounds": Range(50, 500, log=True, whole=True),
        "max_depth": Range(2, 7, whole=True),
        "learning_rate": Range(0.01, 0.2, log=True),
        "min_child_weight": Range(0.1, 20, log=True),
    },
    validate=validate,
)
