"""The guard of a service: who may ask it for what, how often, how much and for how long; and what stays on record."""

from services.guard.guard import Guard
from services.guard.limits import Limits, Rule
from services.guard.problem import Problem

__all__ = ["Guard", "Limits", "Problem", "Rule"]
