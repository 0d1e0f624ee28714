"""Events in real time: written before they are answered for, counted once, seen online within a second.

`Intake` writes accepted events to the event log, `Consumer` takes them on into the live state and, by and by, into
files among the shop's own, from where the next run has them in its tables. `recent` tells what somebody did within the
last minutes.
"""

from ecomine.streaming.consumer import Consumer
from ecomine.streaming.envelope import KINDS, Judged, judge
from ecomine.streaming.following import Following
from ecomine.streaming.intake import Intake
from ecomine.streaming.landing import land, landed, united
from ecomine.streaming.log import Entry, EventLog, event_log
from ecomine.streaming.recent import Recent

__all__ = [
    "KINDS",
    "Consumer",
    "Entry",
    "EventLog",
    "Following",
    "Intake",
    "Judged",
    "Recent",
    "event_log",
    "judge",
    "land",
    "landed",
    "united",
]
