"""Whether what is deployed still fits what happens in the shop, and when it is time to train again.

When a version is deployed a reference is made of what it was trained and decided on. Later windows are compared with
it: tables, features, scores, habits, what was decided against what happened, and money once it is known. Several bad
windows make an alarm; an alarm that training may help against starts it (flows/monitor.py), and the new model has to
pass its gate as always. docs/monitoring.md tells the whole.
"""

from ecomine.monitoring.reference import keep
from ecomine.monitoring.report import table
from ecomine.monitoring.watch import SHOP, Alarm, Look, Watched, monitor, untold

__all__ = ["SHOP", "Alarm", "Look", "Watched", "keep", "monitor", "table", "untold"]
