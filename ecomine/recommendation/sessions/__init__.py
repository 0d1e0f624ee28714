"""What comes next in a running session of somebody who is not known: retrievers, a ranker, and both in one."""

from ecomine.recommendation.sessions.finder import RETRIEVERS
from ecomine.recommendation.sessions.model import SessionRecommender
from ecomine.recommendation.sessions.params import SessionParams

__all__ = ["RETRIEVERS", "SessionParams", "SessionRecommender"]
