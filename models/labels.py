"""The sentiments and the topic taxonomy, in the one order that every array in the project uses."""

from __future__ import annotations

from typing import Final

SENTIMENTS: Final = ("negative", "neutral", "positive")

TOPICS: Final = (
    "credit_distress",
    "credit_rating",
    "liquidity_funding",
    "earnings_guidance",
    "capital_actions",
    "mergers_ownership",
    "governance_people",
    "fraud_crime",
    "regulation_enforcement",
    "litigation",
    "conduct_customers",
    "cyber_resilience",
    "business_operations",
    "labour_environment",
    "analyst_opinion",
    "market_move",
    "macro_policy",
    "geopolitics_trade",
    "commodities_property",
    "other",
)

SEVERE_TOPICS: Final = (
    "credit_distress",
    "liquidity_funding",
    "fraud_crime",
    "cyber_resilience",
    "regulation_enforcement",
)
"""Topics of which one story about a watched company can be enough for an alert."""

MAX_TOPICS: Final = 3
"""A text gets one to this many topics, most central first; `other` stands alone."""
