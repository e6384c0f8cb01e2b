"""Checks that a written text says nothing of the lead that no input supports: each sentence against what it names."""

import re
from collections.abc import Iterator, Mapping, Sequence

from ai.workflows.email_generation import wording
from ai.workflows.email_generation.figures import LINK, figures_in
from ai.workflows.email_generation.names import known_words, strange_names
from ai.workflows.email_generation.state import Candidate, EmailGenerationInput, Sentence
from ai.workflows.email_generation.wording import folded

# What is the team's own word, or is plain to everybody, supports any sentence.
_ALWAYS = frozenset({"template", "voice", "sender", "lead.first_name", "lead.last_name", "lead.company"})
_OF_LEAD = ("lead.", "custom.")
_STEM = 4
"""How many letters two words share that say the same: close, closing, closed."""
_MOST_STRANGE = 0.5
_FEWEST_STRANGE = 2
_FEWEST_TEMPLATE_WORDS = 12
_LEAST_KEPT = 0.12

_WORD = re.compile(r"[^\W\d_]+")


def claims_without_support(
    candidate: Candidate, request: EmailGenerationInput, sources: Mapping[str, str]
) -> Iterator[str]:
    """Give a problem for each sentence that says more than its sources do; `sources` are those of the request."""
    template = folded(sources.get("template", ""))
    language = wording.language_of(f"{candidate.text} {template}")
    given = {name: _Read(text) for name, text in sources.items()}
    yield from _of_subject(candidate.subject, [*given.values()], template, language)
    for sentence in candidate.sentences:
        if unknown := sorted(set(sentence.sources) - given.keys()):
            yield f"“{_short(sentence)}” rests on {unknown[0]}, which there is not for this lead."
            continue
        said = _Said(sentence, request, given, template, language)
        yield from (f"The text {problem} (“{_short(sentence)}”)." for problem in said.problems())
    yield from _offer_lost(candidate, template)


def _of_subject(subject: str, given: "Sequence[_Read]", template: str, language: str) -> Iterator[str]:
    """Give the problems of a subject, which names no source: anything given may support a name or a figure in it."""
    text = LINK.sub(" ", subject)
    for name in strange_names("subject", text, _names(given), language):
        yield f"The subject names {name}, which nothing that was given supports."
    for figure in sorted(figures_in(text) - _figures(given)):
        yield f"The subject gives the figure {figure}, which nothing that was given supports."
    for claim in ("congratulated", "observed"):
        if wording.speaks_of(claim).search(folded(text)) and not wording.speaks_of(claim).search(template):
            yield "The subject speaks of what was seen or achieved, which nothing that was given supports."


class _Read:
    """What a text holds that may support a sentence."""

    def __init__(self, text: str) -> None:
        self.folded = folded(text)
        self.names = known_words(text)
        self.figures = figures_in(text)
        self.stems = _stems(self.folded)


class _Said:
    """One sentence beside what supports it: the sources that it names, and the team's own words."""

    def __init__(
        self,
        sentence: Sentence,
        request: EmailGenerationInput,
        given: "Mapping[str, _Read]",
        template: str,
        language: str,
    ) -> None:
        self.template, self.language = template, language
        self.support = [given[name] for name in given if name in _ALWAYS or name in sentence.sources]
        self.facts = {name: given[name] for name in sentence.sources if name.startswith(_OF_LEAD)}
        self.named = frozenset(sentence.sources)
        self.text = LINK.sub(" ", sentence.text)
        self.words = folded(self.text)
        self.directions = {message.direction for message in request.earlier_messages}
        self.company = folded(request.lead.company).partition(" ")[0]

    def problems(self) -> Iterator[str]:
        """Give what the sentence says without support, each the rest of a sentence."""
        for name in strange_names("body", self.text, _names(self.support), self.language):
            yield f"names {name}, which nothing that was given supports"
        for figure in sorted(figures_in(self.text) - _figures(self.support)):
            yield f"gives the figure {figure}, which nothing that was given supports"
        yield from self._contact()
        yield from self._presumed()
        yield from self._said_of_lead()

    def _contact(self) -> Iterator[str]:
        answers = "received" in self.directions and "earlier_messages" in self.named
        noted = any(name.startswith("custom.") for name in self.facts) and self._touches()
        if self._is_new("spoke") and not (answers or noted):
            yield "speaks of a contact that nothing given tells of"
        if self._is_new("wrote") and "sent" not in self.directions:
            yield "speaks of an earlier message that was not sent"
        if self._is_new("introduced") and not noted:
            yield "speaks of an introduction that nothing given tells of"

    def _presumed(self) -> Iterator[str]:
        if self.facts and self._is_borne_out():
            return
        if self._is_new("observed"):
            yield "says that something was seen or heard, which nothing that was given supports"
        if self._is_new("congratulated"):
            yield "congratulates, which nothing that was given supports"
        if self._is_new("recent") and self._event():
            yield "speaks of something recent, which nothing that was given supports"

    def _said_of_lead(self) -> Iterator[str]:
        if self.facts and self.named <= self.facts.keys() and not self._touches():
            yield f"rests on {min(self.facts)} and says nothing of it"
        if "?" in self.text or self._holds("hedged"):
            return
        begins_with_lead = self._begins_with_lead()
        if (begins_with_lead or self._holds("you")) and (event := self._event()):
            yield f"tells of {event}, which nothing that was given supports"
        if begins_with_lead and not self._holds("us") and not self._is_borne_out():
            yield "says of the lead what nothing that was given supports"

    def _is_new(self, subject: str) -> bool:
        """Tell whether the sentence speaks of something that the template does not speak of."""
        pattern = wording.speaks_of(subject)
        return pattern.search(self.words) is not None and pattern.search(self.template) is None

    def _holds(self, voice: str) -> bool:
        return wording.voice(voice, self.language).search(self.words) is not None

    def _event(self) -> str | None:
        """Return the first class of event the sentence speaks of and its support does not."""
        for name, pattern in wording.events().items():
            if pattern.search(self.words) and not any(pattern.search(one.folded) for one in self.support):
                return name
        return None

    def _begins_with_lead(self) -> bool:
        if wording.speaks_first_of_you().match(self.words):
            return True
        return bool(self.company) and re.match(rf"\W*{re.escape(self.company)}\b", self.words) is not None

    def _is_borne_out(self) -> bool:
        """Tell whether at most half of the words that say something are foreign to what supports the sentence."""
        said = _stems(self.words)
        strange = said.difference(*(one.stems for one in self.support))
        return len(strange) < _FEWEST_STRANGE or len(strange) <= _MOST_STRANGE * len(said)

    def _touches(self) -> bool:
        """Tell whether the sentence holds a word or a figure of the facts about the lead that it names."""
        own = _beginnings(self.words) | figures_in(self.text)
        return any(not own.isdisjoint(_beginnings(fact.folded) | fact.figures) for fact in self.facts.values())


def _offer_lost(candidate: Candidate, template: str) -> Iterator[str]:
    """Give a problem where next to nothing of a template's words is left: what was written is another mail."""
    offered = _stems(LINK.sub(" ", template))
    if len(offered) < _FEWEST_TEMPLATE_WORDS:
        return
    kept = offered & _stems(folded(f"{candidate.subject}\n{candidate.text}"))
    if len(kept) < _LEAST_KEPT * len(offered):
        yield "The text says next to nothing of what the template says."


def _stems(words: str) -> set[str]:
    """Return the beginnings of the words, folded, that say something."""
    generic = wording.generic()
    return {word[:_STEM] for word in _WORD.findall(words) if len(word) >= _STEM and word not in generic}


def _beginnings(words: str) -> set[str]:
    return {word[:_STEM] for word in _WORD.findall(words) if len(word) > 1}


def _names(support: Sequence[_Read]) -> frozenset[str]:
    return frozenset().union(*(one.names for one in support))


def _figures(support: Sequence[_Read]) -> set[str]:
    return set().union(*(one.figures for one in support))


def _short(sentence: Sentence) -> str:
    return " ".join(sentence.text.split())[:80]
