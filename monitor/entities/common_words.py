"""Words and names that are also names of companies: such an alias is matched only with its own capitals."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMMON_WORDS = _words(
    """
    ace agility alcoa ally amazon amber anthem apple arch aris aspen atlas aurora axis bath beacon best
    block blue boots box brink bridge bright bunge canopy carnival carrier caterpillar centre charter
    chase chubb citizen citizens clear cloud coach coherent compass concord core corning cove crane
    crown cushing delta devon diamond discover dish dollar dow drax eagle edison element emerald energy
    equity everest evolution express fastly fifth first fiserv focus ford fortune fox frontier gap
    garden general genesis global gold great guess harbor harbour hero hershey home host hub icon impala
    indigo intel international jet just kellogg key kite knight ladder lear liberty life lincoln lloyds
    local lucky lumen magnet mars mattel meta metro mint monster moody morrison national nature nest
    next nike noble nordstrom north nova oak oracle orange orion pacific paramount peak pearl pilot
    pinnacle pioneer polar premier prime progressive prologis prosper public pure quest ralph range
    reliance renaissance republic ring ripple rite rock root ross royal sage salesforce sands santander
    saturn schroder schwab seal sector segro shell signet silver slack snap sonic southern spark spirit
    spectrum sprint square standard state steel stone stride strike summit sun sunrise swan swift target
    tempo terra tesla titan toast total tower toll travelers triumph trust turkey twist uber under union
    unit united unity universal vale valley value vanguard verge vertex victory vision visa vital vivid
    vodafone walker waters wave wells western whirlpool white wise wolf workday world yum zebra zero
    zoom
    """
)
