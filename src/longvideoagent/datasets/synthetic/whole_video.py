"""Questions about a whole synthetic episode, with what was put into it as the right answers.

Ten kinds: ``first`` and ``last`` (when a word is said, by whom, and what a person says), ``count``, ``order``,
``who_most``, ``at`` a time, ``between`` two times, ``list``, ``duration``, and ``fast_event``, a word on screen for 0.3
seconds. Answers are read from the scenes. Words that are asked about have one form in all dialogue.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import permutations

from longvideoagent.core.timefmt import format_timestamp
from longvideoagent.datasets.gold import Box, Reference
from longvideoagent.datasets.synthetic.question_draft import QuestionDraft
from longvideoagent.datasets.synthetic.render import flash_box
from longvideoagent.datasets.synthetic.scenario import NAMES, Line, Scene
from longvideoagent.datasets.synthetic.wordings import Wording, Wordings, wordings_of

TOPIC_WORDS = (
    "lunch", "rain", "sister", "laugh", "hurry", "sleep", "regards", "careful", "please", "home", "late", "step",
    "floor", "door", "cable",
)  # fmt: skip
"""Words of the dialogue that have one form in it."""
TIME_TOLERANCE_S = 5.0
"""A line lasts this long, and a person points at any part of it."""
TALK_TOLERANCE = 0.1
"""The fraction by which a total time of speech may be off."""
TIME_GAP = 3.0
"""Times of options are this many tolerances apart, or more."""
OTHER_NAMES = ("Anna", "Paul", "Clara", "David")
"""Names of people who are not in any episode."""
NUM_LISTED = 4
"""Things to put in order."""

Slots = dict[str, str]


class Episode:
    """What was put into an episode, and the random choices of its questions."""

    def __init__(self, scenes: Sequence[Scene], rng: random.Random) -> None:
        self.scenes, self.rng = scenes, rng
        self.lines = [line for scene in scenes for line in scene.lines]
        self.end_s = scenes[-1].end_s
        self.names = list(dict.fromkeys(line.speaker for line in self.lines))

    def with_word(self, word: str, name: str | None = None) -> list[Line]:
        """The lines that have a word, of one speaker or of all."""
        return [line for line in self.lines if name in (None, line.speaker) and count_word(line.text, word)]

    def by(self, name: str) -> list[Line]:
        """The lines of a speaker."""
        return [line for line in self.lines if line.speaker == name]

    def topic(self, min_lines: int = 2) -> str:
        """A word that some lines have."""
        return self.rng.choice([word for word in TOPIC_WORDS if len(self.with_word(word)) >= min_lines])

    def shuffled(self, values: Iterable[str]) -> list[str]:
        """Each value once, in random order."""
        listed = list(dict.fromkeys(values))
        return self.rng.sample(listed, len(listed))


def count_word(text: str, word: str) -> int:
    """How often a word stands in a text."""
    return re.findall(r"[a-z]+", text.lower()).count(word)


Template = Callable[[Episode, Wording], QuestionDraft]


def draft_questions(
    scenes: Sequence[Scene], kind: str, count: int, rng: random.Random, wordings: Wordings
) -> list[QuestionDraft]:
    """``count`` questions of a kind, each in another wording while there are some."""
    episode, every = Episode(scenes, rng), wordings_of(kind, wordings)
    shuffled = rng.sample(every, len(every))
    chosen = [shuffled[number % len(shuffled)] for number in range(count)]
    return [_TEMPLATES[kind](episode, wording) for wording in chosen]


# --- parts of drafts -------------------------------------------------------------------------------


def _value(wording: Wording, slots: Slots, values: Sequence[str], wrong: Sequence[str]) -> QuestionDraft:
    """A question whose answer is a value; several values are equally right, and the first is the option."""
    others = [each for each in dict.fromkeys(wrong) if each not in values]
    reference = Reference("exact_match", tuple(values), tuple(others))
    return QuestionDraft(wording.text.format(**slots), values[0], others, None, reference=reference)


def _time(
    wording: Wording, slots: Slots, time_s: float, others_s: Iterable[float], tolerance_s: float
) -> QuestionDraft:
    """A question whose answer is a time, with other times that are clearly apart as wrong options."""
    kept = [time_s]
    for other_s in others_s:
        if other_s >= 0 and all(abs(other_s - each) >= TIME_GAP * tolerance_s for each in kept):
            kept.append(other_s)
    options = [format_timestamp(each) for each in kept]
    reference = Reference("time", time_s=time_s, tolerance_s=tolerance_s)
    return QuestionDraft(wording.text.format(**slots), options[0], options[1:], None, reference=reference)


def _set(wording: Wording, slots: Slots, items: Sequence[str], option: str, wrong: Sequence[str]) -> QuestionDraft:
    """A question whose open-ended answer is a set, and whose right option is ``option``."""
    reference = Reference("set_f1", tuple(items))
    return QuestionDraft(wording.text.format(**slots), option, wrong, None, reference=reference)


def _join(values: Sequence[str], word: str = "and") -> str:
    return f"{', '.join(values[:-1])} {word} {values[-1]}" if len(values) > 1 else "".join(values)


def _spoken_time(episode: Episode, time_s: float) -> str:
    """A time as people write it: mostly as 7:29."""
    minutes, seconds = divmod(int(time_s), 60)
    spelled = [f"{minutes} min {seconds} s", f"{int(time_s)} seconds"]
    return episode.rng.choice([format_timestamp(time_s)] * 5 + spelled)


# --- first and last --------------------------------------------------------------------------------


def _end(index: int) -> Template:
    """Questions about the first line (0) or the last (-1) with a word or of a person."""

    def draft(episode: Episode, wording: Wording) -> QuestionDraft:
        if wording.form == "line_of_name":
            name = episode.rng.choice(episode.names)
            texts = [line.text for line in episode.by(name)]
            own = episode.shuffled(texts[1:] if index == 0 else texts[:-1])
            pool = episode.shuffled(line.text for line in episode.lines)
            return _value(wording, {"name": name}, [texts[index]], [*own, *pool])
        word = episode.topic()
        line = episode.with_word(word)[index]
        if wording.form == "speaker_of_word":
            return _value(wording, {"word": word}, [line.speaker], episode.shuffled(NAMES))
        others = [each.start_s for each in episode.with_word(word)] + [each.start_s for each in episode.lines]
        others_s = episode.rng.sample(others, len(others))
        return _time(wording, {"word": word}, line.start_s, others_s, TIME_TOLERANCE_S)

    return draft


# --- count, order, who most ------------------------------------------------------------------------


def _count(episode: Episode, wording: Wording) -> QuestionDraft:
    word = episode.topic()
    slots = {"word": word}
    lines = episode.with_word(word)
    if wording.form == "of_word_by_name":
        slots["name"] = episode.rng.choice(episode.shuffled(line.speaker for line in lines))
        lines = episode.with_word(word, slots["name"])
    total = sum(count_word(line.text, word) for line in lines)
    first = max(1, total - episode.rng.randrange(5))  # the right number is anywhere among the options
    wrong = [str(number) for number in range(first, first + 5) if number != total]
    return _value(wording, slots, [str(total)], episode.shuffled(wrong))


def _order(episode: Episode, wording: Wording) -> QuestionDraft:
    scenes = sorted(episode.rng.sample(list(episode.scenes), NUM_LISTED + 1), key=lambda scene: scene.index)
    if wording.form == "first_of":
        things = [f"the {scene.thing}" for scene in scenes]
        listed = _join(episode.shuffled(things), "or")
        return _value(wording, {"list": listed}, things[:1], things[1:])
    items = [f"the {scene.item}" for scene in scenes[:NUM_LISTED]]
    listed = _join(episode.shuffled(items))
    wrong = [", ".join(each) for each in permutations(items) if list(each) != items]
    text = wording.text.format(list=listed)
    text = text[0].upper() + text[1:]
    reference = Reference("order", tuple(items))
    return QuestionDraft(text, ", ".join(items), episode.shuffled(wrong), None, reference=reference)


def _who_most(episode: Episode, wording: Wording) -> QuestionDraft:
    num_lines = Counter(line.speaker for line in episode.lines)
    talk_s: Counter[str] = Counter()
    for line in episode.lines:
        talk_s[line.speaker] += round(100 * (line.end_s - line.start_s))
    by_lines, by_time = _leaders(num_lines), _leaders(talk_s)
    leaders = by_lines if wording.form == "by_lines" else by_time
    if wording.text == "Who talks the most?":  # it may mean lines as well
        leaders = [*leaders, *(name for name in by_lines if name not in leaders)]
    return _value(wording, {}, leaders, [*episode.shuffled(NAMES), *OTHER_NAMES])


def _leaders(counts: Counter[str]) -> list[str]:
    return [name for name, count in counts.items() if count == max(counts.values())]


# --- at a time, between two times ------------------------------------------------------------------


def _at(episode: Episode, wording: Wording) -> QuestionDraft:
    scene = episode.rng.choice(episode.scenes)
    line = episode.rng.choice(scene.lines)
    time_s = float(round((line.start_s + line.end_s) / 2))
    slots = {"time": _spoken_time(episode, time_s)}
    if wording.form == "speaker":
        return _value(wording, slots, [line.speaker], episode.shuffled(NAMES))
    if wording.form == "line":
        return _value(wording, slots, [line.text], episode.shuffled(each.text for each in episode.lines))
    end_s = episode.rng.choice([scene.start_s, scene.end_s])
    time_s = float(round((end_s + scene.sign_change_s) / 2))
    shown = scene.signs[time_s >= scene.sign_change_s]
    wrong = [*scene.signs, *episode.shuffled(sign for other in episode.scenes for sign in other.signs)]
    return _value(wording, {"time": _spoken_time(episode, time_s)}, [shown], wrong)


def _between(episode: Episode, wording: Wording) -> QuestionDraft:
    quiet_s = [
        time_s
        for time_s in range(1, int(episode.end_s))
        if not any(line.start_s < time_s + 0.3 and time_s - 0.3 < line.end_s for line in episode.lines)
    ]
    spans = [(start_s, end_s) for start_s in quiet_s for end_s in quiet_s if 8 <= end_s - start_s <= 30]
    start_s, end_s = episode.rng.choice(spans)
    inside = [line for line in episode.lines if start_s < line.start_s < end_s]
    slots = {"start": format_timestamp(start_s), "end": format_timestamp(end_s)}
    if wording.form == "lines":
        texts = list(dict.fromkeys(line.text for line in inside))
        wrong = [text for text in episode.shuffled(line.text for line in episode.lines) if text not in texts]
        return _set(wording, slots, texts, episode.rng.choice(texts), wrong)
    names = list(dict.fromkeys(line.speaker for line in inside))
    sets = _other_sets(episode, names, [*NAMES, *OTHER_NAMES])
    return _set(wording, slots, names, _join(names), [_join(each) for each in sets])


def _other_sets(episode: Episode, items: Sequence[str], pool: Sequence[str]) -> list[list[str]]:
    """Sets that differ from ``items`` in one item that is missing, added or replaced."""
    missing = [[each for each in items if each != item] for item in items] if len(items) > 1 else []
    others = [each for each in pool if each not in items]
    added = [[*items, other] for other in others[:2]]
    replaced = [[other if each == item else each for each in items] for item in items[:2] for other in others[2:4]]
    every = missing[:2] + added + replaced
    return episode.rng.sample(every, len(every))


# --- list, duration, fast event --------------------------------------------------------------------


def _list(episode: Episode, wording: Wording) -> QuestionDraft:
    if wording.form == "speakers":
        items, pool = episode.names, list(OTHER_NAMES)
    else:
        items = list(dict.fromkeys(sign for scene in episode.scenes for sign in scene.signs))
        pool = [word for scene in episode.scenes for figure in scene.figures for word in [figure.word]]
    sets = _other_sets(episode, items, list(dict.fromkeys(pool)))
    return _set(wording, {}, items, _join(items), [_join(each) for each in sets])


def _duration(episode: Episode, wording: Wording) -> QuestionDraft:
    if wording.form == "of_video":
        others_s = [episode.end_s + shift_s for shift_s in (-90.0, 75.0, -200.0, 180.0, 300.0)]
        return _time(wording, {}, episode.end_s, others_s, TIME_TOLERANCE_S)
    talks_s = {name: sum(line.end_s - line.start_s for line in episode.by(name)) for name in episode.names}
    longest = sorted(talks_s, key=lambda each: -talks_s[each])[: max(1, len(talks_s) // 2)]  # others say too little
    name = episode.rng.choice(longest)
    talk_s = talks_s[name]
    others_s = [talk_s * factor for factor in episode.rng.sample((0.3, 0.55, 1.5, 2.0, 2.6, 3.2, 4.0, 5.0), 8)]
    tolerance_s = max(2.0, TALK_TOLERANCE * talk_s)
    return _time(wording, {"name": name}, round(talk_s, 1), others_s, tolerance_s)


def _fast_event(episode: Episode, wording: Wording) -> QuestionDraft:
    flashes = {scene.flash: scene for scene in episode.scenes if scene.flash is not None}
    flash = episode.rng.choice(list(flashes))
    slots = {"place": flashes[flash].place, "time": format_timestamp(flash.start_s)}
    words = [each.word for each in flashes if each is not flash]
    own = [figure.word for figure in flashes[flash].figures]
    draft = _value(wording, slots, [flash.word], [*own[:2], *episode.shuffled(words), *own[2:]])
    box = Box(flash.start_s, *flash_box(), "word")
    return QuestionDraft(draft.text, flash.word, draft.wrong, flash.span, (box,), draft.reference)


_TEMPLATES: dict[str, Template] = {
    "first": _end(0),
    "last": _end(-1),
    "count": _count,
    "order": _order,
    "who_most": _who_most,
    "at": _at,
    "between": _between,
    "list": _list,
    "duration": _duration,
    "fast_event": _fast_event,
}
