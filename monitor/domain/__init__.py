"""The frozen types of the vocabulary. No I/O, no clock: `now` is passed in, and every time is aware UTC.

Each stage of the pipeline hands the next one a value of one of these types, never a dict:
`ArticleDraft → NewArticle → Article → Prediction → Rollup → Alert → Delivery`.
"""

from models.backend import Prediction
from monitor.domain.alerts import (
    Alert,
    AlertEvent,
    AlertState,
    Evidence,
    Rule,
    RuleKind,
    Severity,
    Silence,
    Transition,
    TransitionKind,
)
from monitor.domain.articles import (
    AddCounts,
    Article,
    Entity,
    Mention,
    NewArticle,
    ScoredArticle,
)
from monitor.domain.counting import (
    ALL,
    OTHER,
    Counted,
    Rollup,
    StoryFact,
    series_of,
    series_of_entity,
    series_of_topic,
)
from monitor.domain.feeds import (
    ArticleDraft,
    DateQuality,
    Feed,
    FeedState,
    Fetched,
    NewFeed,
    ParsedFeed,
    PollRecord,
    PollResult,
)
from monitor.domain.notices import (
    ChannelConfig,
    Delivery,
    DeliveryState,
    Message,
    NewDelivery,
    SendOutcome,
    SendReason,
)
from monitor.domain.reading import (
    ArticleQuery,
    AuditEntry,
    CellFilter,
    StatusCounts,
    Verdict,
)

__all__ = [
    "ALL",
    "OTHER",
    "AddCounts",
    "Alert",
    "AlertEvent",
    "AlertState",
    "Article",
    "ArticleDraft",
    "ArticleQuery",
    "AuditEntry",
    "CellFilter",
    "ChannelConfig",
    "Counted",
    "DateQuality",
    "Delivery",
    "DeliveryState",
    "Entity",
    "Evidence",
    "Feed",
    "FeedState",
    "Fetched",
    "Mention",
    "Message",
    "NewArticle",
    "NewDelivery",
    "NewFeed",
    "ParsedFeed",
    "PollRecord",
    "PollResult",
    "Prediction",
    "Rollup",
    "Rule",
    "RuleKind",
    "ScoredArticle",
    "SendOutcome",
    "SendReason",
    "Severity",
    "Silence",
    "StatusCounts",
    "StoryFact",
    "Transition",
    "TransitionKind",
    "Verdict",
    "series_of",
    "series_of_entity",
    "series_of_topic",
]
