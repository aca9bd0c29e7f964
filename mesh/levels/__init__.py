"""Service levels that no snapshot of the data holds, judged from what is on record.

    freshness, latency   without a column: the age of the newest release
    frequency            the time between releases
    availability         the share of probes that could read the product

A missed level only warns: a release that is refused makes nothing fresher, more frequent or easier to reach.
"""

from mesh.levels.judging import judge_levels
from mesh.levels.probes import Outage, Probe, last_probe, newest_outage
from mesh.levels.probing import probe
from mesh.levels.results import LevelResult

__all__ = ["LevelResult", "Outage", "Probe", "judge_levels", "last_probe", "newest_outage", "probe"]
