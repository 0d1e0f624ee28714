"""The kinds of decision that ecomine makes. A new one is a folder beside the others and a line here."""

from ecomine import ads, inventory, pricing, profiling, recommendation, risk
from ecomine.domain import Domain

DOMAINS: dict[str, Domain] = {
    domain.name: domain
    for domain in (
        profiling.DOMAIN,
        recommendation.DOMAIN,
        pricing.DOMAIN,
        inventory.DOMAIN,
        risk.DOMAIN,
        ads.DOMAIN,
    )
}
