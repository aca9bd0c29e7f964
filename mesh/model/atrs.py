"""The Algorithmic Transparency Recording Standard: what a public body publishes of an algorithm that helps it decide.

A record is two tiers of questions. An answer has two halves that are kept apart: what the mesh knows (`derived`, with
where it comes from) and what people wrote (`written`). A question with neither is listed under `to_be_written`; nothing
is ever made up for it. The questions follow the standard's template, in its order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

STANDARD = "Algorithmic Transparency Recording Standard"
FORMAT = 1

TIER_1 = "tier_1"
QUESTIONS: dict[str, tuple[str, dict[str, str]]] = {
    TIER_1: (
        "Summary",
        {
            "name": "Name",
            "description": "Description",
            "website": "Website",
            "contact": "Contact",
        },
    ),
    "owner": (
        "Owner and responsibility",
        {
            "organisation": "Organisation or department",
            "team": "Team",
            "senior_responsible_owner": "Senior responsible owner",
            "supplier": "External supplier involvement",
        },
    ),
    "rationale": (
        "Description and rationale",
        {
            "detailed_description": "Detailed description",
            "scope": "Scope",
            "benefit": "Benefit",
            "previous_process": "Previous process",
            "alternatives": "Alternatives considered",
        },
    ),
    "decision_process": (
        "Decision making process",
        {
            "integration": "Process integration",
            "information_provided": "Information provided",
            "frequency_and_scale": "Frequency and scale of use",
            "human_decisions_and_review": "Human decisions and review",
            "training": "Required training",
            "appeals": "Appeals and review",
        },
    ),
    "tool": (
        "Tool",
        {
            "architecture": "System architecture",
            "phase": "Phase",
            "maintenance": "Maintenance",
            "models": "Models",
        },
    ),
    "performance": (
        "Model performance",
        {
            "figures": "Figures on rows the model never saw",
            "groups": "Figures by group of people",
        },
    ),
    "data": (
        "Data",
        {
            "name": "Names of the data",
            "modality": "Modality",
            "description": "Description",
            "quantities": "Quantities",
            "sensitive_attributes": "Sensitive attributes",
            "completeness_and_representativeness": "Completeness and representativeness",
            "collection": "Collection",
            "cleaning": "Cleaning",
            "sharing_agreements": "Sharing agreements",
            "access_and_storage": "Access and storage",
        },
    ),
    "risks": (
        "Risks, mitigations and impact assessments",
        {
            "risks": "Risks",
            "mitigations": "Mitigations",
            "impact_assessments": "Impact assessments",
        },
    ),
}
"""Sections in the standard's order: title and the questions of each."""


@dataclass(frozen=True)
class Answer:
    """`derived`: lines that follow from contract, definition or training; `source`: which. `written`: by people."""

    derived: tuple[str, ...] = ()
    source: str = ""
    written: str = ""


@dataclass(frozen=True)
class Record:
    """One record. `facts` are the numbers behind the derived answers, for machines; `model` is `domain/name`."""

    model: str
    facts: Mapping[str, Any]
    answers: Mapping[tuple[str, str], Answer] = field(default_factory=dict)

    def answer(self, section: str, question: str) -> Answer:
        return self.answers.get((section, question), Answer())

    @property
    def to_be_written(self) -> tuple[str, ...]:
        """Questions that nobody answered, as `section.question`."""
        return tuple(
            f"{section}.{question}"
            for section, question, _ in questions()
            if not self.answer(section, question).derived and not self.answer(section, question).written
        )

    def with_words(self, words: Mapping[tuple[str, str], str]) -> Record:
        """The same with what people wrote in place of what they wrote before."""
        answers = {
            (section, question): Answer(old.derived, old.source, words.get((section, question), ""))
            for section, question, _ in questions()
            for old in (self.answer(section, question),)
        }
        return Record(self.model, self.facts, answers)

    def to_json(self) -> dict[str, Any]:
        """As `record_schema` describes it."""

        def told(section: str) -> dict[str, Any]:
            return {
                question: {
                    "title": title,
                    "derived": list(self.answer(section, question).derived),
                    "source": self.answer(section, question).source or None,
                    "written": self.answer(section, question).written or None,
                }
                for question, title in QUESTIONS[section][1].items()
            }

        return {
            "format": FORMAT,
            "standard": STANDARD,
            "model": self.model,
            TIER_1: told(TIER_1),
            "tier_2": {section: told(section) for section in QUESTIONS if section != TIER_1},
            "to_be_written": list(self.to_be_written),
            "facts": dict(self.facts),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Record:
        """Read what `to_json` gave."""
        told = {TIER_1: body[TIER_1], **body["tier_2"]}
        answers = {
            (section, question): Answer(tuple(given["derived"]), given["source"] or "", given["written"] or "")
            for section, answered in told.items()
            for question, given in answered.items()
        }
        return cls(body["model"], body["facts"], answers)

    def to_markdown(self) -> str:
        """For people, with what is missing first: whoever publishes it must see that it is not finished."""
        lines = [f"# {STANDARD}: {self.model}", ""]
        if missing := self.to_be_written:
            lines += [f"To be written by people ({len(missing)}):", ""]
            lines += [f"- {QUESTIONS[name.partition('.')[0]][0]}: {_title(name)} (`{name}`)" for name in missing]
            lines.append("")
        lines += ["# Tier 1", ""]
        for number, (section, (heading, asked)) in enumerate(QUESTIONS.items()):
            if number == 1:
                lines += ["# Tier 2", ""]
            lines += [f"## {heading}", ""]
            for question, title in asked.items():
                lines += [f"### {title}", "", *_told(self.answer(section, question)), ""]
        return "\n".join(lines).rstrip() + "\n"


def _told(answer: Answer) -> list[str]:
    lines = [answer.written] if answer.written else []
    if answer.derived:
        lines += [""] * bool(lines)
        lines += [f"- {line}" for line in answer.derived] if len(answer.derived) > 1 else list(answer.derived)
        lines += ["", f"*From {answer.source}.*"]
    return lines or ["*To be written by people.*"]


def _title(name: str) -> str:
    section, _, question = name.partition(".")
    return QUESTIONS[section][1][question]


def questions() -> Iterator[tuple[str, str, str]]:
    """Section, question and its title, in order."""
    for section, (_, asked) in QUESTIONS.items():
        for question, title in asked.items():
            yield section, question, title


def record_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a record."""
    answer = {
        "type": "object",
        "additionalProperties": False,
        "required": ["title", "derived", "source", "written"],
        "properties": {
            "title": {"type": "string", "minLength": 1},
            "derived": {"type": "array", "items": {"type": "string", "minLength": 1}},
            "source": {"type": ["string", "null"], "minLength": 1},
            "written": {"type": ["string", "null"], "minLength": 1},
        },
        # What is derived says from what.
        "if": {"properties": {"derived": {"minItems": 1}}},
        "then": {"properties": {"source": {"type": "string"}}},
        "else": {"properties": {"source": {"type": "null"}}},
    }

    def closed(properties: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "additionalProperties": False,
            "required": list(properties),
            "properties": dict(properties),
        }

    sections = {
        section: closed({question: {"$ref": "#/$defs/answer"} for question in asked})
        for section, (_, asked) in QUESTIONS.items()
    }
    names = [f"{section}.{question}" for section, question, _ in questions()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{STANDARD} record",
        **closed(
            {
                "format": {"const": FORMAT},
                "standard": {"const": STANDARD},
                "model": {"type": "string", "pattern": "^[a-z][a-z0-9_]*/[a-z][a-z0-9_]*$"},
                TIER_1: sections[TIER_1],
                "tier_2": closed({name: given for name, given in sections.items() if name != TIER_1}),
                "to_be_written": {"type": "array", "uniqueItems": True, "items": {"enum": names}},
                "facts": {"type": "object", "required": ["releases", "metrics", "fairness"]},
            }
        ),
        "$defs": {"answer": answer},
    }
