"""Semantic versions of contracts, and which changes a new version admits."""

from __future__ import annotations

from dataclasses import dataclass

from mesh.contract.evolution.changes import GRADES, Grade


@dataclass(frozen=True, order=True)
class Version:
    """A semantic version without its pre-release part: it says what a change may be, not which build it is."""

    major: int
    minor: int
    patch: int

    @classmethod
    def of(cls, text: str) -> Version:
        """The version in `1.2.3` or `1.2.3-beta.1`, as a contract was read with it."""
        major, minor, patch = text.partition("-")[0].split(".")
        return cls(int(major), int(minor), int(patch))

    def step_from(self, old: Version) -> Grade | None:
        """What the step from an older version announces; None where the version did not go up.

        Before 1.0.0 nothing is settled: 0.2.0 after 0.1.0 may break what it likes, and 0.1.1 may add.
        """
        if self <= old:
            return None
        if self.major != old.major:
            return "major"
        if self.minor != old.minor:
            return "minor" if self.major else "major"
        return "patch" if self.major else "minor"

    def next(self, grade: Grade) -> Version:
        """The least version that admits a change of this grade."""
        if not self.major:
            return Version(0, self.minor + 1, 0) if grade == "major" else Version(0, self.minor, self.patch + 1)
        match grade:
            case "major":
                return Version(self.major + 1, 0, 0)
            case "minor":
                return Version(self.major, self.minor + 1, 0)
            case "patch":
                return Version(self.major, self.minor, self.patch + 1)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def admitted(old: str, new: str, grade: Grade | None) -> bool:
    """Whether the step from one version to the next admits a change of this grade (None: nothing changed).

    Words may change under the same version; promises may not. A version never goes back.
    """
    before, after = Version.of(old), Version.of(new)
    if after < before:
        return False
    if grade is None or grade == "patch":
        return True
    step = after.step_from(before)
    return step is not None and GRADES.index(step) >= GRADES.index(grade)
