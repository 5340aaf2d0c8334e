"""Words that stand around names of companies, wherever companies are: lines of business, offices, who appoints whom.

No company is listed here: the lists hold for names that nobody has seen yet.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A line of business behind a name makes another company of the group: "Acme Motors Finance" is not "Acme Motors".
LINES = _words(
    """
    aerospace agro air airlines airways asset auto automotive aviation bank banking beverages biotech breweries
    broadcasting broking capital cards cement chemical chemicals coal coffee communications constructions consumer
    copper credit dairy defence defense electric electronics energy engineering entertainment estate finance financial
    finserv finvest foods gas healthcare homes hospitals hotels housing hydro infocomm infotech infra
    infrastructure insurance investment investments leasing life logistics machinery media metals microfinance
    minerals mining mortgage motor motors nutrition offshore oil packaging paper payments pensions petrochemicals
    petroleum pharma pharmaceutical pharmaceuticals phosphates pipelines ports power properties railways realty
    refining renewables retail savings sec securities semiconductor shipbuilding shipping solar steel sugar tea tech
    technologies technology telecom telecoms teleservices textiles trading travel tyres ventures wealth
    """
)
# Arms that are quoted on markets: what they say is no news of the house.
ARMS = _words("asset broking capital investment investments sec securities wealth")
# These keep to the company: its legal form, its place in the group, its reach.
FORMS = _words(
    """
    ag bhd co company corp corporation enterprises global group holding holdings inc incorporated india industries
    international intl kk limited llc llp ltd nv plc pte pty sa se spa worldwide
    """
)
FUNDS = ("mutual fund", "mutual funds", "mf", "amc", "asset management")
# Places and events that only carry the name of a sponsor or a founder.
NAMED_AFTER = _words(
    """
    arena avenue college county cup field foundation highway marathon museum school stadium street theater theatre
    university
    """
)
ROLES = _words(
    """
    actor actress advisor analyst ceo cfo chair chairman chairperson chairwoman chief cio coo cto director economist
    founder governor head judge justice lawmaker lawyer manager minister officer partner president professor prosecutor
    secretary senator spokesman spokesperson spokeswoman strategist trader treasurer
    """
)
APPOINTS = _words(
    """
    appoint appointed appointing appoints elect elected elects hire hired hires name named names nominate nominated
    nominates pick picks promote promoted promotes tap tapped taps
    """
)
HONORIFICS = _words("dame gov judge justice lady lord miss mr mrs ms prof professor rep sen senator sir")
# Small words that headlines in title case leave small.
SMALL = _words(
    """
    about above across after against along amid among around before behind below beside between beyond down during from
    have into like more near onto over past per plus since than that their then they this through till toward towards
    under until upon versus were when which while will with within without your cent
    """
)
