"""What the replays of alerts watch for: watchlists of the time, and crises that a desk must have heard of.

Chosen before the replay was run: large banks and makers, countries in the news, and the companies whose crises are in
the list of crises.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

REUTERS = "headlines_reuters_2006_2013"
LATER = "headlines_cnbc_guardian_reuters_2017_2020"

WATCHLISTS: dict[str, dict[str, str]] = {
    REUTERS: {
        "AIG": "AIG|American International Group",
        "Apple": "Apple",
        "Bank of America": "Bank of America|BofA",
        "Barclays": "Barclays",
        "Bear Stearns": "Bear Stearns",
        "Boeing": "Boeing",
        "BP": "BP",
        "China": "China|Chinese",
        "Chrysler": "Chrysler",
        "Citigroup": "Citigroup|Citi",
        "Deutsche Bank": "Deutsche Bank",
        "Fannie Mae": "Fannie Mae|Freddie Mac|Fannie|Freddie",
        "Ford": "Ford",
        "General Electric": "General Electric|GE",
        "General Motors": "General Motors|GM",
        "Goldman Sachs": "Goldman Sachs|Goldman",
        "Google": "Google",
        "Greece": "Greece|Greek",
        "HSBC": "HSBC",
        "Ireland": "Ireland|Irish",
        "Italy": "Italy|Italian",
        "Japan": "Japan|Japanese",
        "JPMorgan": "JPMorgan|JP Morgan",
        "Knight Capital": "Knight Capital",
        "Lehman Brothers": "Lehman Brothers|Lehman",
        "MF Global": "MF Global",
        "Morgan Stanley": "Morgan Stanley",
        "Olympus": "Olympus",
        "Spain": "Spain|Spanish",
        "Toyota": "Toyota",
        "UBS": "UBS",
    },
    LATER: {
        "Amazon": "Amazon",
        "Apple": "Apple",
        "Argentina": "Argentina",
        "Barclays": "Barclays",
        "Boeing": "Boeing",
        "BP": "BP",
        "Carillion": "Carillion",
        "China": "China|Chinese",
        "Deutsche Bank": "Deutsche Bank",
        "Facebook": "Facebook",
        "Ford": "Ford",
        "General Electric": "General Electric|GE",
        "General Motors": "General Motors|GM",
        "Goldman Sachs": "Goldman Sachs|Goldman",
        "Google": "Google|Alphabet",
        "Hertz": "Hertz",
        "HSBC": "HSBC",
        "Huawei": "Huawei",
        "Iran": "Iran|Iranian",
        "Italy": "Italy|Italian",
        "Japan": "Japan|Japanese",
        "Nissan": "Nissan",
        "Saudi Arabia": "Saudi Arabia|Saudi",
        "Tesco": "Tesco",
        "Tesla": "Tesla",
        "Thomas Cook": "Thomas Cook",
        "Turkey": "Turkey|Turkish",
        "Uber": "Uber",
        "Volkswagen": "Volkswagen|VW",
        "WeWork": "WeWork",
        "Wirecard": "Wirecard",
    },
}


@dataclass(frozen=True, slots=True)
class Crisis:
    """What happened, on which series an alert is wanted, and from which day to which (both included)."""

    what: str
    series: str
    first: datetime
    last: datetime


def _crisis(what: str, series: str, first: str, last: str) -> Crisis:
    end = datetime.fromisoformat(last).replace(hour=23, minute=59, second=59, tzinfo=UTC)
    return Crisis(what, series, datetime.fromisoformat(first).replace(tzinfo=UTC), end)


CRISES: dict[str, tuple[Crisis, ...]] = {
    REUTERS: (
        _crisis("Bear Stearns sold in an emergency", "entity:Bear Stearns", "2008-03-10", "2008-03-20"),
        _crisis("Fannie Mae and Freddie Mac near collapse", "entity:Fannie Mae", "2008-07-07", "2008-07-20"),
        _crisis("Fannie Mae and Freddie Mac taken over", "entity:Fannie Mae", "2008-09-05", "2008-09-12"),
        _crisis("Lehman Brothers fails", "entity:Lehman Brothers", "2008-09-08", "2008-09-20"),
        _crisis("AIG rescued", "entity:AIG", "2008-09-12", "2008-09-20"),
        _crisis("Morgan Stanley under attack", "entity:Morgan Stanley", "2008-09-16", "2008-09-25"),
        _crisis("Autumn 2008", "all", "2008-09-08", "2008-10-31"),
        _crisis("General Motors and Chrysler near bankruptcy", "entity:General Motors", "2008-11-05", "2008-11-25"),
        _crisis("Chrysler goes bankrupt", "entity:Chrysler", "2009-04-20", "2009-05-05"),
        _crisis("Toyota recalls", "entity:Toyota", "2010-01-20", "2010-02-12"),
        _crisis("Goldman Sachs charged by the SEC", "entity:Goldman Sachs", "2010-04-16", "2010-04-24"),
        _crisis("Greece asks for help", "entity:Greece", "2010-04-20", "2010-05-10"),
        _crisis("BP's well in the Gulf of Mexico", "entity:BP", "2010-04-21", "2010-06-05"),
        _crisis("Ireland's rescue", "entity:Ireland", "2010-11-08", "2010-11-30"),
        _crisis("Earthquake and tsunami in Japan", "entity:Japan", "2011-03-11", "2011-03-17"),
        _crisis("Italy's yields rise", "entity:Italy", "2011-07-08", "2011-08-10"),
        _crisis("All news in August 2011", "all", "2011-08-01", "2011-08-15"),
        _crisis("A rogue trader at UBS", "entity:UBS", "2011-09-15", "2011-09-20"),
        _crisis("MF Global fails", "entity:MF Global", "2011-10-24", "2011-11-05"),
        _crisis("Olympus hid losses", "entity:Olympus", "2011-10-14", "2011-11-12"),
        _crisis("JPMorgan's trading loss", "entity:JPMorgan", "2012-05-10", "2012-05-18"),
        _crisis("Spain's banks", "entity:Spain", "2012-05-09", "2012-06-15"),
        _crisis("Barclays and Libor", "entity:Barclays", "2012-06-27", "2012-07-06"),
        _crisis("HSBC and money laundering", "entity:HSBC", "2012-07-12", "2012-07-20"),
        _crisis("Knight Capital's trading error", "entity:Knight Capital", "2012-08-01", "2012-08-04"),
    ),
    LATER: (
        _crisis("Carillion fails", "entity:Carillion", "2018-01-12", "2018-01-22"),
        _crisis("Facebook and Cambridge Analytica", "entity:Facebook", "2018-03-19", "2018-04-02"),
        _crisis("Turkey's lira falls", "entity:Turkey", "2018-08-08", "2018-08-18"),
        _crisis("Tesla's chairman and the SEC", "entity:Tesla", "2018-09-26", "2018-10-03"),
        _crisis("Nissan's chairman arrested", "entity:Nissan", "2018-11-19", "2018-11-26"),
        _crisis("Huawei's finance chief arrested", "entity:Huawei", "2018-12-05", "2018-12-14"),
        _crisis("Boeing 737 MAX grounded", "entity:Boeing", "2019-03-10", "2019-03-20"),
        _crisis("Argentina's markets fall", "entity:Argentina", "2019-08-11", "2019-08-20"),
        _crisis("Attack on Saudi oil", "entity:Saudi Arabia", "2019-09-14", "2019-09-20"),
        _crisis("Thomas Cook fails", "entity:Thomas Cook", "2019-09-20", "2019-09-27"),
        _crisis("WeWork's offering fails", "entity:WeWork", "2019-09-13", "2019-10-05"),
        _crisis("China and the virus", "entity:China", "2020-01-21", "2020-02-05"),
        _crisis("February to March 2020", "all", "2020-02-20", "2020-03-20"),
        _crisis("Oil falls by a quarter", "topic:commodities_property", "2020-03-06", "2020-03-12"),
        _crisis("Credit in March 2020", "topic:credit_distress", "2020-03-09", "2020-03-31"),
        _crisis("Hertz goes bankrupt", "entity:Hertz", "2020-05-20", "2020-05-28"),
        _crisis("Wirecard's missing money", "entity:Wirecard", "2020-06-18", "2020-06-28"),
    ),
}
