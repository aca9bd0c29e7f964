"""The catalogue: a static site of every product, for people who look for data.

`gather` reads what is on record, `Site` turns it into pages, `write` puts them into a folder. The pages need no server
and no network, work without JavaScript, and say the same for the same state: no time is in them but those of releases
and probes.
"""

from mesh.catalogue.gathering import Catalogue, Entry, gather, stamp
from mesh.catalogue.site import Site
from mesh.catalogue.writing import Written, write

__all__ = ["Catalogue", "Entry", "Site", "Written", "gather", "stamp", "write"]
