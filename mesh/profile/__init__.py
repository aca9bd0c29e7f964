"""What a sample file says about its columns: types, keys, missing values, ranges, sets, patterns, personal data.

    sample = read_sample(path)
    found = profile(sample)

A profile holds facts of one file, not promises: what of it becomes a rule is decided where a contract is written.
"""

from mesh.profile.columns import ColumnProfile, Profile, profile
from mesh.profile.names import column_names, words
from mesh.profile.personal import Handling, handling

__all__ = ["ColumnProfile", "Handling", "Profile", "column_names", "handling", "profile", "words"]
