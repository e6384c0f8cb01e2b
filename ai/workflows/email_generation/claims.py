"""Checks that a model's text claims nothing without support: each sentence is compared with the sources it names."""

import re
from collections.abc import Iterator, Mapping, Sequence

from ai.workflows.email_generation import wording
from ai.workflows.email_generation.figures import LINK, find_figures
from ai.workflows.email_generation.names import collect_known_words, find_unknown_names
from ai.workflows.email_generation.state import Candidate, EmailGenerationInput, Sentence
from ai.workflows.email_generation.wording import fold

# Sources that support any sentence: the team's own words and the lead's name and company.
_ALWAYS_SUPPORTING = frozenset({"template", "voice", "sender", "lead.first_name", "lead.last_name", "lead.company"})
_LEAD_PREFIXES = ("lead.", "custom.")
_STEM_LENGTH = 4
"""The number of letters that related words share: close, closing, closed."""
_MAX_UNKNOWN_SHARE = 0.5
_MIN_UNKNOWN_WORDS = 2
_MIN_TEMPLATE_WORDS = 12
_MIN_KEPT_SHARE = 0.12

_WORD = re.compile(r"[^\W\d_]+")


def find_unsupported_claims(
    candidate: Candidate, request: EmailGenerationInput, sources: Mapping[str, str]
) -> Iterator[str]:
    """Yield a problem for each sentence that claims more than its sources; `sources` are those of the request."""
    template = fold(sources.get("template", ""))
    language = wording.detect_language(f"{candidate.text} {template}")
    parsed_sources = {name: _Source(text) for name, text in sources.items()}
    yield from _check_subject(candidate.subject, [*parsed_sources.values()], template, language)
    for sentence in candidate.sentences:
        if unknown := sorted(set(sentence.sources) - parsed_sources.keys()):
            yield f"“{_shorten(sentence)}” names the source {unknown[0]}, which this lead does not have."
            continue
        check = _SentenceCheck(sentence, request, parsed_sources, template, language)
        yield from (f"The text {problem} (“{_shorten(sentence)}”)." for problem in check.problems())
    yield from _check_offer(candidate, template)


def _check_subject(subject: str, sources: "Sequence[_Source]", template: str, language: str) -> Iterator[str]:
    """Yield the problems of a subject, whose names and figures any source may support."""
    text = LINK.sub(" ", subject)
    for name in find_unknown_names("subject", text, _collect_names(sources), language):
        yield f"The subject names {name}, which is not in the input."
    for figure in sorted(find_figures(text) - _collect_figures(sources)):
        yield f"The subject has the figure {figure}, which is not in the input."
    for claim in ("congratulated", "observed"):
        if wording.load_claim_pattern(claim).search(fold(text)) and not wording.load_claim_pattern(claim).search(
            template
        ):
            yield "The subject claims an observation or an achievement that is not in the input."


class _Source:
    """The words, names and figures of a source."""

    def __init__(self, text: str) -> None:
        self.folded = fold(text)
        self.names = collect_known_words(text)
        self.figures = find_figures(text)
        self.stems = _get_stems(self.folded)


class _SentenceCheck:
    """A sentence and its support: the sources that it names, and those that support any sentence."""

    def __init__(
        self,
        sentence: Sentence,
        request: EmailGenerationInput,
        sources: "Mapping[str, _Source]",
        template: str,
        language: str,
    ) -> None:
        self.template, self.language = template, language
        self.support = [sources[name] for name in sources if name in _ALWAYS_SUPPORTING or name in sentence.sources]
        self.facts = {name: sources[name] for name in sentence.sources if name.startswith(_LEAD_PREFIXES)}
        self.named = frozenset(sentence.sources)
        self.text = LINK.sub(" ", sentence.text)
        self.words = fold(self.text)
        self.directions = {message.direction for message in request.earlier_messages}
        self.company = fold(request.lead.company).partition(" ")[0]

    def problems(self) -> Iterator[str]:
        """Yield the unsupported claims of the sentence, each as the end of a problem's sentence."""
        for name in find_unknown_names("body", self.text, _collect_names(self.support), self.language):
            yield f"names {name}, which is not in the input"
        for figure in sorted(find_figures(self.text) - _collect_figures(self.support)):
            yield f"has the figure {figure}, which is not in the input"
        yield from self._check_contact()
        yield from self._check_observations()
        yield from self._check_lead_claims()

    def _check_contact(self) -> Iterator[str]:
        has_reply = "received" in self.directions and "earlier_messages" in self.named
        has_note = any(name.startswith("custom.") for name in self.facts) and self._uses_facts()
        if self._is_new("spoke") and not (has_reply or has_note):
            yield "mentions a contact that is not in the input"
        if self._is_new("wrote") and "sent" not in self.directions:
            yield "mentions an earlier message that was not sent"
        if self._is_new("introduced") and not has_note:
            yield "mentions an introduction that is not in the input"

    def _check_observations(self) -> Iterator[str]:
        if self.facts and self._is_supported():
            return
        if self._is_new("observed"):
            yield "claims an observation that is not in the input"
        if self._is_new("congratulated"):
            yield "congratulates on something that is not in the input"
        if self._is_new("recent") and self._find_event():
            yield "mentions something recent that is not in the input"

    def _check_lead_claims(self) -> Iterator[str]:
        if self.facts and self.named <= self.facts.keys() and not self._uses_facts():
            yield f"names the source {min(self.facts)} and does not use it"
        if "?" in self.text or self._has_voice("hedged"):
            return
        begins_with_lead = self._begins_with_lead()
        if (begins_with_lead or self._has_voice("you")) and (event := self._find_event()):
            yield f"claims {event}, which is not in the input"
        if begins_with_lead and not self._has_voice("us") and not self._is_supported():
            yield "claims something about the lead that is not in the input"

    def _is_new(self, subject: str) -> bool:
        """Return whether the sentence makes a kind of claim that the template does not make."""
        pattern = wording.load_claim_pattern(subject)
        return pattern.search(self.words) is not None and pattern.search(self.template) is None

    def _has_voice(self, voice: str) -> bool:
        return wording.load_voice_pattern(voice, self.language).search(self.words) is not None

    def _find_event(self) -> str | None:
        """Return the first kind of event that the sentence mentions and its support does not."""
        for name, pattern in wording.load_event_patterns().items():
            if pattern.search(self.words) and not any(pattern.search(source.folded) for source in self.support):
                return name
        return None

    def _begins_with_lead(self) -> bool:
        if wording.load_addressing_pattern().match(self.words):
            return True
        return bool(self.company) and re.match(rf"\W*{re.escape(self.company)}\b", self.words) is not None

    def _is_supported(self) -> bool:
        """Return whether at most half of the meaningful words are missing in the support of the sentence."""
        stems = _get_stems(self.words)
        unknown = stems.difference(*(source.stems for source in self.support))
        return len(unknown) < _MIN_UNKNOWN_WORDS or len(unknown) <= _MAX_UNKNOWN_SHARE * len(stems)

    def _uses_facts(self) -> bool:
        """Return whether the sentence contains a word or figure of the lead's fields that it names as sources."""
        starts = _get_word_starts(self.words) | find_figures(self.text)
        return any(not starts.isdisjoint(_get_word_starts(fact.folded) | fact.figures) for fact in self.facts.values())


def _check_offer(candidate: Candidate, template: str) -> Iterator[str]:
    """Yield a problem when the text has almost none of the template's words, so that it is another email."""
    template_stems = _get_stems(LINK.sub(" ", template))
    if len(template_stems) < _MIN_TEMPLATE_WORDS:
        return
    common_stems = template_stems & _get_stems(fold(f"{candidate.subject}\n{candidate.text}"))
    if len(common_stems) < _MIN_KEPT_SHARE * len(template_stems):
        yield "The text has almost nothing in common with the template."


def _get_stems(words: str) -> set[str]:
    """Return the stems of the folded words, without generic words."""
    generic = wording.load_generic_words()
    return {word[:_STEM_LENGTH] for word in _WORD.findall(words) if len(word) >= _STEM_LENGTH and word not in generic}


def _get_word_starts(words: str) -> set[str]:
    return {word[:_STEM_LENGTH] for word in _WORD.findall(words) if len(word) > 1}


def _collect_names(support: Sequence[_Source]) -> frozenset[str]:
    return frozenset().union(*(source.names for source in support))


def _collect_figures(support: Sequence[_Source]) -> set[str]:
    return set().union(*(source.figures for source in support))


def _shorten(sentence: Sentence) -> str:
    return " ".join(sentence.text.split())[:80]
