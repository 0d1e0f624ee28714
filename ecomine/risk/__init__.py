"""What to stop: which payment is fraud, which is strange, who pays credit back, and what to do about it in money.

The estimators stand on their own: DataFrames of canonical columns in, DataFrames or arrays out.
"""

from ecomine.risk.anomalies import AnomalyDetector
from ecomine.risk.decisions import Costs, decide_payments
from ecomine.risk.detector import FraudDetector
from ecomine.risk.scorecard import CreditScorecard

__all__ = ["AnomalyDetector", "Costs", "CreditScorecard", "FraudDetector", "decide_payments"]
