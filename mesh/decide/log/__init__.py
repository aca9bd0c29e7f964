"""The decision log: every decision durable before its answer leaves, in a chain in which any change shows.

One process owns a log and writes it (`DecisionLog`); any other may `read` it meanwhile, and `verify` it. It knows no
domain word: a claim's id and its payload are opaque to it.
"""

from mesh.decide.log.entries import Decision, Entry, Erasure, Model, Policy, Recorded, Recovery
from mesh.decide.log.keys import LogKeys, PublicKeys
from mesh.decide.log.log import DecisionLog, Known, Submission
from mesh.decide.log.requests import erase
from mesh.decide.log.roots import Root, last_root, read_root
from mesh.decide.log.segments import log_folder, read
from mesh.decide.log.verify import Verdict, verify
from mesh.decide.log.waiting import NotRecorded, Receipt, RequestConflict

__all__ = [
    "Decision",
    "DecisionLog",
    "Entry",
    "Erasure",
    "Known",
    "LogKeys",
    "Model",
    "NotRecorded",
    "Policy",
    "PublicKeys",
    "Receipt",
    "Recorded",
    "Recovery",
    "RequestConflict",
    "Root",
    "Submission",
    "Verdict",
    "erase",
    "last_root",
    "log_folder",
    "read",
    "read_root",
    "verify",
]
