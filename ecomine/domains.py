"""The kinds of decision that ecomine makes. A new one is a folder beside the others and a line here."""

from ecomine import recommendation
from ecomine.domain import Domain

DOMAINS: dict[str, Domain] = {domain.name: domain for domain in (recommendation.DOMAIN,)}
