"""The offline master: looks or relocates while the evidence does not separate the options, then
answers with a confidence and with the evidence it rests on. It reads the trace and nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import replace

from longvideoagent.agents.offline.reading import GENERIC_TERMS, EvidenceScorer, Support, probabilities
from longvideoagent.agents.offline.terms import terms
from longvideoagent.core.actions import Action, Answer, Look, Relocate, render_action
from longvideoagent.core.protocol import escape_tags
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import ClipObservation, Evidence, Reply, Usage, VisionResult
from longvideoagent.media.cv import COLOURS

LEAST_SUPPORT = 0.15
LEAST_MARGIN = 0.25
"""Options are separated when the best is supported at least so well, and ahead by this share."""
LEAST_OPEN_SUPPORT = 0.3
QUOTED_FACTS = 3
CLOSE_SHARE = 0.6
"""Facts at least so relevant as this share of the best are quoted beside it."""
UNSPECIFIC_CONFIDENCE = 0.1

Cited = tuple[Evidence, ...]

_QUOTED = re.compile(r"“([^”]*)”")
_COLOUR = re.compile(rf"\b(?:on|something) ({'|'.join(COLOURS)})\b")


class OfflineMaster:
    """See the module."""

    async def reply(self, trace: Trace) -> Reply:
        """The next utterance; never fails."""
        return await asyncio.to_thread(decide, trace)


def decide(trace: Trace) -> Reply:
    """See ``OfflineMaster``."""
    reading = EvidenceScorer(trace.question, known_facts(trace), trace.settings.grounding)
    if trace.question.options:
        return _choose(trace, reading)
    return _tell(trace, reading)


def known_facts(trace: Trace) -> list[Evidence]:
    """All that the master has been told: the lines of located clips and what vision saw, each once."""
    facts: dict[Evidence, None] = {}
    for located in trace.groundings:
        for clip in located.clips:
            facts.update(dict.fromkeys(Evidence.of_line(clip, line) for line in clip.subtitles))
    for observation in trace.observations:
        if isinstance(observation, VisionResult):
            facts.update(dict.fromkeys(observation.evidence))
    return list(facts)


def _choose(trace: Trace, reading: EvidenceScorer) -> Reply:
    """Multiple choice: the best-supported option, once it is clear of the others."""
    supports = reading.supports()
    ranked = sorted(range(len(supports)), key=lambda index: -supports[index].value)
    best = supports[ranked[0]]
    second = supports[ranked[1]].value if len(ranked) > 1 else 0.0
    is_separated = best.value >= LEAST_SUPPORT and best.value - second >= LEAST_MARGIN * best.value
    told = "; ".join(_told_support(trace, index, supports[index]) for index in ranked[:2] if supports[index].fact)
    told = told.rstrip(".") or "No option has any support yet"
    asked_elsewhere = _ask_an_agent(trace, reading, is_separated, told)
    if asked_elsewhere is not None:
        return asked_elsewhere
    chosen = _first_equal(trace, ranked[0] if best.value > second else _guess(trace, supports, best.value))
    confidence = probabilities(supports)[chosen] if len(supports) > 1 else best.value
    if best.value == 0:
        thought = "Nothing supports any option; this is a guess."
    elif best.value == second:
        thought = f"{told}. Nothing tells them apart; I guess a{chosen}."
    else:
        thought = f"{told}. I answer a{chosen}."
    return _reply(thought, Answer(f"a{chosen}"), confidence, _cited(reading, [supports[chosen]]))


def _first_equal(trace: Trace, chosen: int) -> int:
    """Of options that are equal the first stands for all."""
    folded = [option.casefold() for option in trace.question.options]
    return folded.index(folded[chosen])


def _told_support(trace: Trace, index: int, support: Support) -> str:
    where = f"at {format_timestamp(support.fact.time_s)}: {support.fact.text}" if support.fact else "nowhere"
    return f"a{index} “{trace.question.options[index]}” has support {support.value:.2f} {where}"


def _guess(trace: Trace, supports: Sequence[Support], best: float) -> int:
    """One of the options tied at the top, by chance fixed by the question, so that no position is
    favoured and a run can be repeated."""
    tied = [index for index, support in enumerate(supports) if support.value == best]
    seed = hashlib.sha256("\n".join([trace.question.text, *sorted(trace.question.options)]).encode()).digest()
    names = sorted(tied, key=lambda index: trace.question.options[index])
    return random.Random(seed).choice(names)


def _ask_an_agent(trace: Trace, reading: EvidenceScorer, is_settled: bool, told: str) -> Reply | None:
    """A look or a relocation, where one is allowed and could help; else None."""
    if trace.is_last_round or trace.rounds_left < 1:
        return None
    can_look = trace.settings.vision and trace.current is not None and not _has_looked(trace)
    if can_look and (reading.asked.wants_picture or not is_settled):
        query = reading.asked.main.strip() or trace.question.text
        moment = f" Look closely around {format_timestamp(reading.anchor[0].start_s)}." if reading.anchor else ""
        return _reply(
            f"{told}. I need to see clip {trace.visited[-1]}.",
            Look(f"{escape_tags(query)}{moment}"),
        )
    if trace.settings.grounding and not is_settled and not _is_exhausted(trace):
        request = escape_tags(_missing_words(trace, reading))
        return _reply(f"{told}. That does not decide it; I look elsewhere.", Relocate(request))
    return None


def _has_looked(trace: Trace) -> bool:
    """Whether vision has been asked about the current clip."""
    return any(isinstance(each.action, Look) and each.clip == trace.visited[-1] for each in trace.rounds)


def _is_exhausted(trace: Trace) -> bool:
    """Whether the last relocation brought no further clip."""
    last = trace.rounds[-1] if trace.rounds else None
    return last is not None and isinstance(last.action, Relocate) and not isinstance(last.observation, ClipObservation)


def _missing_words(trace: Trace, reading: EvidenceScorer) -> str:
    """The words of the asked moment, or of the question, that no known fact holds; else all of them."""
    known = {term for fact in reading.facts for term in terms(fact.text)}
    source = reading.asked.clause or trace.question.text
    missing = [word for word in re.findall(r"\w+", source[:2000]) if set(terms(word)) - known]
    return " ".join(missing) or source[:500].strip()


def _tell(trace: Trace, reading: EvidenceScorer) -> Reply:
    """Open question: the facts that match best, quoted with their times. A question without content
    of its own ("What happens here?") is told what there is most to tell of."""
    is_generic = not set(terms(trace.question.text)) - GENERIC_TERMS
    matching = _describe(reading) if is_generic else _match(reading)
    best = matching[0][0] if matching else 0.0
    told = (
        f"the best match is at {format_timestamp(matching[0][1].time_s)}: {matching[0][1].text.rstrip('.')}"
        if matching
        else "no match yet"
    )
    is_settled = bool(reading.facts) if is_generic else best >= LEAST_OPEN_SUPPORT
    has_seen = any(isinstance(observed, VisionResult) for observed in trace.observations)
    asked_elsewhere = _ask_an_agent(trace, reading, is_settled and (has_seen or not is_generic), told)
    if asked_elsewhere is not None and not (is_generic and has_seen):
        return asked_elsewhere
    if not matching:
        return _reply("Nothing in the video matches the question.", Answer(""), 0.0)
    chosen = _close_to_best(matching)
    supports = [Support(value, fact) for value, fact in matching if fact in chosen]
    answer = escape_tags(_short_answer(trace.question.text, chosen) or "; ".join(_quoted(fact) for fact in chosen))
    confidence = UNSPECIFIC_CONFIDENCE if is_generic else min(0.9, best) * reading.coverage(chosen)
    return _reply(f"{told}.", Answer(answer), confidence, _cited(reading, supports))


def _match(reading: EvidenceScorer) -> list[tuple[float, Evidence]]:
    """Facts that share terms with the question, the most relevant first. Where something to be seen
    is asked for and nothing seen shares a term, what was seen is the best there is: the things on a
    picture are seldom called by their names."""
    judged = list(zip(reading.relevance, reading.facts, reading.matches, strict=True))
    matching = [(value, fact) for value, fact, is_match in judged if is_match]
    if reading.asked.wants_picture and not any(fact.kind == "frame" for _, fact in matching):
        matching += [(value, fact) for value, fact, _ in judged if fact.kind == "frame"]
    return sorted(matching, key=lambda each: -each[0])


def _describe(reading: EvidenceScorer) -> list[tuple[float, Evidence]]:
    """All facts, the richest first, as shares of the richest."""
    ranked = sorted(((reading.richness(fact), fact) for fact in reading.facts), key=lambda each: -each[0])
    return [(value / (ranked[0][0] or 1.0), fact) for value, fact in ranked]


def _close_to_best(matching: Sequence[tuple[float, Evidence]]) -> list[Evidence]:
    """The best fact and those nearly as good, in order of time."""
    close = [fact for value, fact in matching[:QUOTED_FACTS] if value >= CLOSE_SHARE * matching[0][0]]
    return sorted(close, key=lambda fact: fact.start_s)


def _quoted(fact: Evidence) -> str:
    text = f"“{fact.text}”" if fact.kind == "subtitle" else fact.text
    return f"{text} ({format_timestamp(fact.time_s)})"


def _short_answer(question: str, facts: Sequence[Evidence]) -> str:
    """The colour or the word asked for, where the best fact is something seen that holds one."""
    seen = [fact.text for fact in facts if fact.kind == "frame"]
    asked = set(terms(question))
    if not seen:
        return ""
    if asked & set(terms("colour color")):
        return next((colours[-1] for text in seen if (colours := _COLOUR.findall(text))), "")
    if asked & set(terms("word sign slide title written text read number")):
        words = [word for text in seen for word in _QUOTED.findall(text) if not set(terms(word)) & asked]
        return ", ".join(dict.fromkeys(words[:1] if asked & set(terms("word number")) else words))
    return ""


def _cited(reading: EvidenceScorer, supports: Sequence[Support]) -> Cited:
    """What an answer rests on: the supporting facts and the line that fixed the moment. Something
    seen for a while is cited at the moment asked for, where it was seen then."""
    cited = [support.fact for support in supports if support.fact is not None]
    if reading.anchor is not None and reading.asked.relation:
        moment = reading.anchor[0]
        cited = [
            replace(fact, time_s=min(max(moment.start_s, fact.start_s), fact.end_s)) if fact.kind == "frame" else fact
            for fact in cited
        ]
        cited.append(moment)
    return tuple(sorted(dict.fromkeys(cited), key=lambda fact: fact.start_s))


def _reply(thought: str, action: Action, confidence: float | None = None, evidence: Cited = ()) -> Reply:
    text = f"<think>{escape_tags(thought)}</think>\n{render_action(action)}"
    return Reply(text, confidence=confidence, evidence=evidence, usage=Usage(calls=1))
