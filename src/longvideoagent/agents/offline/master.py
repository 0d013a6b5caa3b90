"""The offline master: looks or relocates while the evidence does not separate the options, then answers with a
confidence and its evidence. It reads only the trace."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from longvideoagent.agents.offline.evidence_scorer import EvidenceScorer
from longvideoagent.agents.offline.open_answer import ASKS_WHEN, open_answer, seen_answer
from longvideoagent.agents.offline.option_reader import OptionReading, read_options
from longvideoagent.agents.offline.parsed_question import GENERIC_TERMS
from longvideoagent.agents.offline.question_words import SAY, WHO, YES_NO
from longvideoagent.agents.offline.screen_texts import is_column
from longvideoagent.agents.offline.timeline_answer import (
    EVENT_CONFIDENCE,
    TimelineAnswer,
    is_whole_video,
    next_action,
    timeline_answer,
)
from longvideoagent.agents.offline.vision_wording import DetectionKind, kind_of, named_colours
from longvideoagent.core.actions import Action, Answer, Look, QueryTimeline, Relocate, render_action
from longvideoagent.core.protocol import escape_tags
from longvideoagent.core.text import plural
from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.core.trace import Trace
from longvideoagent.core.types import ClipObservation, Evidence, Reply, SystemNotice, Usage, VisionResult
from longvideoagent.index.speakers import split_speaker
from longvideoagent.index.terms import terms
from longvideoagent.media.cv import COLOURS
from longvideoagent.media.text_columns import QUOTED

MIN_SUPPORT = 0.15
MIN_MARGIN = 0.25
"""The options are separated if the best has this support, and leads by this fraction of it."""
MIN_OPEN_SUPPORT = 0.3
MAX_QUOTED_FACTS = 3
MIN_QUOTED_FRACTION = 0.6
"""Facts with at least this fraction of the best fact's relevance are quoted with it."""
LEFT_OUT_CONFIDENCE = 0.4
"""Of lines that match the question and may not have what it asks for."""
GENERIC_CONFIDENCE = 0.1
MAX_PART_CONFIDENCE = 0.4
"""Of an answer about the whole video from a part of it."""

_SAID = re.compile(
    r"\b(?:is|are|was|were|being) (?:said|spoken|discussed|talked about)\b"
    r"|\b(?:does|do|did) (?:he|she|they|the (?:man|woman|boy|girl|person|people)) say\b",
    re.IGNORECASE,
)
_ASKS_FOR_A_WORD = re.compile(
    r"(?:who|whose|whom|where|why|how|what(?! time)|which|wer|wessen|wem|wo|warum|wieso|weshalb|was|welche\w?|qui|où"
    r"|pourquoi|quoi|quel\w*|quién|dónde|por qué|qué|cuál)\b",
    re.IGNORECASE,
)
"""What begins questions that their own words do not answer; "when" is answered by the time of a line."""
_CAPITALIZED = re.compile(r"\b[A-ZÀ-ÖØ-Þ]\w+")
_WHY = re.compile(r"\W*(?:why|warum|wieso|weshalb|pourquoi|por qué)\b", re.IGNORECASE)
_REASON = re.compile(
    r"\b(?:because|since|so that|in order to|due to|that['’]s why|therefore|weil|denn|damit|deshalb|wegen|parce qu\w*"
    r"|puisqu\w*|afin|porque|ya que|para que)\b|, so\b",
    re.IGNORECASE,
)
_COLOUR_TERMS = frozenset(terms(f"{' '.join(COLOURS)} colour color"))
_CHANGE_TERMS = frozenset(terms("move motion direction change cut camera"))
_INCIDENTAL = {
    DetectionKind.COLOURS: _COLOUR_TERMS,
    DetectionKind.MOVEMENT: _COLOUR_TERMS | _CHANGE_TERMS,
    DetectionKind.PICTURE_CHANGE: _CHANGE_TERMS,
}
"""The terms of questions that ask for detections of colours and changes."""


class RankedFact(NamedTuple):
    """A fact, and how well it answers an open question, relative to other facts."""

    value: float
    fact: Evidence


class OfflineMaster:
    """Decides by fixed rules, without a language model."""

    async def reply(self, trace: Trace) -> Reply:
        """The next reply; never fails."""
        return await asyncio.to_thread(decide, trace)


def decide(trace: Trace) -> Reply:
    """The synchronous form of ``OfflineMaster.reply``."""
    if (action := next_action(trace)) is not None:
        return _reply("The question is about the whole video.", _escaped(action))
    if (found := timeline_answer(trace)) is not None:
        return _reply(_found_thought(found), Answer(escape_tags(found.text)), found.confidence, found.evidence)
    scorer = EvidenceScorer(trace.question, known_facts(trace), trace.settings.has_grounding, trace.language)
    reply = _choose_option(trace, scorer) if trace.question.options else _answer_open(trace, scorer)
    if reply.confidence is not None and is_whole_video(trace):  # one moment says little about the whole video
        return replace(reply, confidence=min(reply.confidence, MAX_PART_CONFIDENCE))
    return reply


def _found_thought(found: TimelineAnswer) -> str:
    """Where the answer of the timeline is."""
    if not found.text:
        return "The timeline cannot know it."
    if not found.evidence:
        return "The timeline has it."
    num_places = sum(each.num_at_once > 0 for each in found.evidence)
    return f"It is in {num_places} {plural('place', num_places)}." if num_places else "It was not detected."


def _escaped(action: Action) -> Action:
    if isinstance(action, Look | QueryTimeline):
        return replace(action, query=escape_tags(action.query))
    return action


def known_facts(trace: Trace) -> list[Evidence]:
    """All facts in the trace, without repetition: the lines of located clips and what vision detected."""
    facts = dict.fromkeys(known_lines(trace))
    for observation in trace.observations:
        if isinstance(observation, VisionResult):
            facts.update(dict.fromkeys(observation.evidence))
    return list(facts)


def known_lines(trace: Trace) -> list[Evidence]:
    """The lines in the trace, without repetition: those of located clips and those that grounding quotes, also where it
    finds no clip. What a detector did not find is none."""
    lines: dict[Evidence, None] = {}
    for located in trace.groundings:
        for clip in located.window:
            lines.update(dict.fromkeys(Evidence.from_subtitle(clip, line) for line in clip.subtitles))
        lines.update(dict.fromkeys(each for each in located.evidence if each.num_at_once > 0))
    for observation in trace.observations:
        if isinstance(observation, SystemNotice) and observation.grounding_result is not None:
            lines.update(dict.fromkeys(each for each in observation.grounding_result.evidence if each.num_at_once > 0))
    return list(lines)


def _choose_option(trace: Trace, scorer: EvidenceScorer) -> Reply:
    """Answer a multiple-choice question with the likeliest option once the evidence separates it from the others; else
    request an agent."""
    request = _request_agent(trace, scorer, _is_settled(scorer), _support_summary(trace, scorer))
    if request is not None:
        return request
    readings = read_options(scorer)
    ranked = sorted(range(len(readings)), key=lambda index: -readings[index].probability)
    best, second = readings[ranked[0]], readings[ranked[min(1, len(ranked) - 1)]]
    summary = "; ".join(_reading_text(trace, index, readings[index]) for index in ranked[:2]).rstrip(".")
    is_tie = len(ranked) > 1 and best.probability == second.probability
    chosen = _first_equal(trace, _guess(trace, readings) if is_tie else ranked[0])
    if all(reading.fact is None for reading in readings):
        thought = "Nothing supports any option; this is a guess."
    elif is_tie:
        thought = f"{summary}. Nothing separates them; I guess a{chosen}."
    else:
        thought = f"{summary}. I answer a{chosen}."
    confidence = best.probability if len(ranked) > 1 else scorer.supports[0].value
    fact = readings[chosen].fact
    facts = [fact] if fact else []
    return _reply(thought, Answer(f"a{chosen}"), _limited(confidence, facts), _cited(scorer, facts))


def _is_settled(scorer: EvidenceScorer) -> bool:
    """Whether no further evidence is needed: one option leads in support by a single fact."""
    values = sorted((support.value for support in scorer.supports), reverse=True)
    second = values[1] if len(values) > 1 else 0.0
    return values[0] >= MIN_SUPPORT and values[0] - second >= MIN_MARGIN * values[0]


def _support_summary(trace: Trace, scorer: EvidenceScorer) -> str:
    """The two options with the most support so far, and where."""
    ranked = sorted(enumerate(scorer.supports), key=lambda item: -item[1].value)[:2]
    texts = [
        f"a{index} “{trace.question.options[index]}” has support {support.value:.2f} "
        f"at {format_timestamp(support.fact.time_s)}: {support.fact.text}"
        for index, support in ranked
        if support.fact is not None
    ]
    return "; ".join(texts).rstrip(".") or "No option has any support yet"


def _first_equal(trace: Trace, chosen: int) -> int:
    """The index of the first option with the same text as the chosen one."""
    folded = [option.casefold() for option in trace.question.options]
    return folded.index(folded[chosen])


def _reading_text(trace: Trace, index: int, reading: OptionReading) -> str:
    where = f"at {format_timestamp(reading.fact.time_s)}: {reading.fact.text}" if reading.fact else "nowhere"
    return f"a{index} “{trace.question.options[index]}” has probability {reading.probability:.2f}, {where}"


def _guess(trace: Trace, readings: Sequence[OptionReading]) -> int:
    """Draw one of the options that tie for the highest probability. The seed comes from the question, so that no
    position is favoured and runs are repeatable."""
    best = max(reading.probability for reading in readings)
    tied = [index for index, reading in enumerate(readings) if reading.probability == best]
    seed = hashlib.sha256("\n".join([trace.question.text, *sorted(trace.question.options)]).encode()).digest()
    names = sorted(tied, key=lambda index: trace.question.options[index])
    return random.Random(seed).choice(names)


def _request_agent(trace: Trace, scorer: EvidenceScorer, is_settled: bool, summary: str) -> Reply | None:
    """A look or a relocation if one is allowed and could help, else None."""
    if trace.is_last_round or trace.rounds_left < 1:
        return None
    can_look = trace.settings.has_vision and trace.current_observation is not None and not _has_looked(trace)
    if can_look and (scorer.parsed.is_visual or not is_settled):
        query = scorer.parsed.main.strip() or trace.question.text
        moment = f" Look closely around {format_timestamp(scorer.anchor.fact.start_s)}." if scorer.anchor else ""
        return _reply(
            f"{summary}. I need to see clip {trace.visited_labels[-1]}.",
            Look(f"{escape_tags(query)}{moment}"),
        )
    if trace.settings.has_grounding and not is_settled and not _is_exhausted(trace):
        request = escape_tags(_missing_words(trace, scorer))
        return _reply(f"{summary}. That does not decide it; I look elsewhere.", Relocate(request))
    return None


def _has_looked(trace: Trace) -> bool:
    """Whether vision has looked at the current clip."""
    if not trace.visited_labels:
        return False
    seen = (each.clip for each in trace.rounds if isinstance(each.observation, VisionResult))
    return trace.visited_labels[-1] in seen


def _is_exhausted(trace: Trace) -> bool:
    """Whether the last relocation found no further clip."""
    last = trace.rounds[-1] if trace.rounds else None
    return last is not None and isinstance(last.action, Relocate) and not isinstance(last.observation, ClipObservation)


def _missing_words(trace: Trace, scorer: EvidenceScorer) -> str:
    """The words of the asked moment, or of the question, that no known fact contains; all words if there are none."""
    known_terms = {term for fact in scorer.facts for term in scorer.terms(fact.text)}
    source = scorer.parsed.clause or trace.question.text
    missing = [word for word in re.findall(r"\w+", source[:2000]) if set(scorer.terms(word)) - known_terms]
    return " ".join(missing) or source[:500].strip()


def _answer_open(trace: Trace, scorer: EvidenceScorer) -> Reply:
    """Answer an open question by quoting the best-matching facts with their times. A generic question ("What happens
    here?") is answered with the facts that contain the most information."""
    if (not scorer.parsed.is_visual or _has_looked(trace)) and (short := open_answer(scorer)) is not None:
        return _reply("This is what it asks for.", Answer(escape_tags(short.text)), short.confidence, short.evidence)
    is_generic = not set(terms(trace.question.text)) - GENERIC_TERMS
    matching = _rank_by_richness(scorer) if is_generic else _rank_by_match(scorer)
    best = matching[0].value if matching else 0.0
    summary = "no match yet"
    if matching:
        fact = matching[0].fact
        summary = f"the best match is at {format_timestamp(fact.time_s)}: {fact.text.rstrip('.')}"
    is_settled = bool(scorer.facts) if is_generic else best >= MIN_OPEN_SUPPORT
    has_looked = any(isinstance(observation, VisionResult) for observation in trace.observations)
    request = _request_agent(trace, scorer, is_settled and (has_looked or not is_generic), summary)
    if request is not None and not (is_generic and has_looked):
        return request
    if not any(scorer.matches) and (seen := seen_answer(scorer)) is not None:
        thought = "This is seen; whether it is meant is not known."
        return _reply(thought, Answer(escape_tags(seen.text)), seen.confidence, seen.evidence)
    if not matching:
        return _reply("Nothing that was read or seen matches the question.", Answer(""), 0.0)
    chosen = _with_screen(_best_facts(matching), known_lines(trace))
    answer = escape_tags(_short_answer(trace.question.text, chosen) or "; ".join(_quoted(fact) for fact in chosen))
    confidence = GENERIC_CONFIDENCE if is_generic else min(0.9, best) * scorer.coverage(chosen)
    if _leaves_out(scorer, chosen):
        confidence = min(confidence, LEFT_OUT_CONFIDENCE)
    return _reply(f"{summary}.", Answer(answer), _limited(confidence, chosen), _cited(scorer, chosen))


def _leaves_out(scorer: EvidenceScorer, facts: Sequence[Evidence]) -> bool:
    """Whether facts may lack what the question asks for: they have no word of their own, or name nobody or no reason
    where it asks who says something or why."""
    question, texts = scorer.question.text.lstrip("¿¡ "), [fact.text for fact in facts]
    if YES_NO.match(question) or not _ASKS_FOR_A_WORD.match(question):
        return False
    if _WHY.match(question) and not any(map(_REASON.search, texts)):
        return True
    asked = set(scorer.terms(question))
    if WHO.match(question) and SAY.search(question):
        capitalized = (word for text in texts for word in _CAPITALIZED.findall(text))
        has_name = any(not asked.issuperset(scorer.terms(word)) for word in capitalized)
        return not (has_name or any(split_speaker(text).speaker for text in texts))
    return all(asked.issuperset(scorer.terms(text)) for text in texts)


def _limited(confidence: float, facts: Sequence[Evidence]) -> float:
    """At most ``EVENT_CONFIDENCE`` if detectors alone found the facts of an answer."""
    return min(confidence, EVENT_CONFIDENCE) if facts and all(fact.label for fact in facts) else confidence


def _rank_by_match(scorer: EvidenceScorer) -> list[RankedFact]:
    """The facts that share terms with the question, with their relevance, the most relevant first.

    If the question asks for something visible and no detection shares a term, all detections count: people rarely call
    the things in a frame by their names."""
    every = zip(scorer.relevance, scorer.facts, scorer.matches, strict=True)
    rows = [row for row in every if _can_answer(row[1], scorer)]
    matching = [RankedFact(value, fact) for value, fact, is_match in rows if is_match]
    if scorer.parsed.is_visual and not any(ranked.fact.kind == "frame" for ranked in matching):
        matching += [RankedFact(value, fact) for value, fact, _ in rows if fact.kind == "frame"]
    return sorted(matching, key=lambda ranked: -ranked.value)


def _can_answer(fact: Evidence, scorer: EvidenceScorer) -> bool:
    """Whether a fact may answer the question. Colours and changes of the picture only do if the question asks for them:
    every frame has some. What people say is in lines."""
    asked = set(terms(scorer.parsed.main))
    if fact.kind != "subtitle" and _SAID.search(scorer.parsed.main):
        return False
    kind = kind_of(fact.text) if fact.kind == "frame" else None
    return kind not in _INCIDENTAL or bool(_INCIDENTAL[kind] & asked)


def _rank_by_richness(scorer: EvidenceScorer) -> list[RankedFact]:
    """All facts, the richest first, with their richness as a fraction of the richest."""
    ranked = [RankedFact(scorer.richness(fact), fact) for fact in scorer.facts if _can_answer(fact, scorer)]
    richest = max((value for value, _ in ranked), default=0.0) or 1.0
    return [RankedFact(value / richest, fact) for value, fact in sorted(ranked, key=lambda row: -row.value)]


def _best_facts(matching: Sequence[RankedFact]) -> list[Evidence]:
    """The best fact and those nearly as good, in order of time."""
    min_value = MIN_QUOTED_FRACTION * matching[0].value
    close = [ranked.fact for ranked in matching[:MAX_QUOTED_FACTS] if ranked.value >= min_value]
    return sorted(close, key=lambda fact: fact.start_s)


def _with_screen(facts: Sequence[Evidence], lines: Sequence[Evidence]) -> list[Evidence]:
    """The facts, each line of text on screen with those that are shown from the same time on: they belong together."""
    screen = [line for line in lines if line.kind == "frame" and not (is_column(line) or line.label)]
    shown: dict[Evidence, None] = {}
    for fact in facts:
        same = [line for line in screen if line.start_s == fact.start_s] if fact in screen else [fact]
        shown |= dict.fromkeys(same)
    return list(shown)


def _quoted(fact: Evidence) -> str:
    text = f"“{fact.text}”" if fact.kind == "subtitle" else fact.text
    return f"{text} ({format_timestamp(fact.time_s)})"


def _short_answer(question: str, facts: Sequence[Evidence]) -> str:
    """The colour or the word that the question asks for, if a fact from a frame contains it; else empty."""
    texts = [fact.text for fact in facts if fact.kind == "frame"]
    question_terms = set(terms(question))
    if not texts or ASKS_WHEN.match(question):  # the facts are quoted with their times
        return ""
    if question_terms & set(terms("colour color")):
        return next((colours[-1] for text in texts if (colours := named_colours(text))), "")
    if question_terms & set(terms("word sign slide title written text read number")):
        words = [word for text in texts for word in QUOTED.findall(text) if not set(terms(word)) & question_terms]
        return ", ".join(dict.fromkeys(words[:1] if question_terms & set(terms("word number")) else words))
    return ""


def _cited(scorer: EvidenceScorer, supporting: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The evidence of an answer: the supporting facts and the anchor. A fact from a frame is cited at the time within
    its span that is nearest to the anchor."""
    facts = list(supporting)
    if scorer.anchor is not None and scorer.parsed.relation:
        moment = scorer.anchor.fact
        facts = [
            replace(fact, time_s=min(max(moment.start_s, fact.start_s), fact.end_s)) if fact.kind == "frame" else fact
            for fact in facts
        ]
        facts.append(moment)
    return tuple(sorted(dict.fromkeys(facts), key=lambda fact: fact.start_s))


def _reply(thought: str, action: Action, confidence: float | None = None, evidence: tuple[Evidence, ...] = ()) -> Reply:
    text = f"<think>{escape_tags(thought)}</think>\n{render_action(action)}"
    return Reply(text, confidence=confidence, evidence=evidence, usage=Usage(calls=1))
