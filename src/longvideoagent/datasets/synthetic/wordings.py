"""Wordings of questions about a whole video, by kind and by what they ask for, and their split.

Slots are in braces. A third of each kind is held out from development: a reader of questions that was made on the
others is measured on them. The split depends on a hash of each wording and on ``SPLIT_SEED``, not on results.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

Wordings = Literal["all", "dev", "held-out"]
WORDINGS: tuple[Wordings, ...] = get_args(Wordings)
SPLIT_SEED = 20
HELD_OUT_FRACTION = 1 / 3


class Wording(NamedTuple):
    """A way to ask: what is asked for, and the text with slots."""

    form: str
    text: str


_TEXTS: Mapping[str, Mapping[str, str]] = {
    "first": {
        "time_of_word": """
            When is the word “{word}” said for the first time?
            At what time does somebody first say “{word}”?
            What is the timestamp of the first mention of “{word}”?
            How far into the video does the word “{word}” come up for the first time?
            Find the earliest moment at which “{word}” is spoken.""",
        "speaker_of_word": """
            Who is the first person to say “{word}”?
            Whose line has “{word}” in it first?
            Which person brings up “{word}” before anyone else does?
            Who said “{word}” first?""",
        "line_of_name": """
            What is the first thing that {name} says?
            What are {name}'s opening words?
            Quote {name}'s first line in the video.
            The very first time {name} talks, what does {name} say?""",
    },
    "last": {
        "time_of_word": """
            When is “{word}” mentioned for the last time?
            What time is it when “{word}” is said for the final time?
            Give the timestamp of the last occurrence of the word “{word}”.
            At which point do they say “{word}” for the very last time?
            After which time is “{word}” never said again?""",
        "speaker_of_word": """
            Who is the last one to mention “{word}”?
            Which person says “{word}” last?
            The final “{word}” of the video: who says it?
            Who has the last line with the word “{word}”?""",
        "line_of_name": """
            What is the last thing {name} says?
            What are {name}'s closing words in this video?
            With which sentence does {name} finish?
            Quote the final line of {name}.""",
    },
    "count": {
        "of_word": """
            How many times is the word “{word}” said?
            How often does “{word}” come up in this video?
            Count how often somebody says “{word}”.
            What is the total number of times that “{word}” is spoken?
            I need a tally: in how many places is “{word}” said?
            Over the whole video, how frequently is “{word}” mentioned?
            “{word}”: how many mentions are there from start to end?""",
        "of_word_by_name": """
            How many times does {name} say “{word}”?
            How often does {name} use the word “{word}”?
            In how many of {name}'s lines is the word “{word}”?
            What's the number of times {name} says “{word}”?
            How many of the mentions of “{word}” are by {name}?""",
    },
    "order": {
        "of_all": """
            In which order are these first mentioned: {list}?
            Put these in the order in which they are mentioned: {list}.
            Sort {list} by when they come up.
            What is the chronological order of {list} in the dialogue?
            {list}: what is the sequence in which people talk about them?
            Arrange the following by their first mention, earliest first: {list}.""",
        "first_of": """
            Which of these is mentioned first: {list}?
            What comes up earliest in the conversation, {list}?
            Out of {list}, which one do they talk about first?
            Which is named before all the others: {list}?""",
    },
    "who_most": {
        "by_lines": """
            Who has the most lines?
            Which person says the largest number of lines?
            Whose lines are the most numerous?
            Who speaks most often?
            Count the lines of each person: who comes out on top?
            Who gets to speak more times than anybody else?""",
        "by_time": """
            Who talks the most?
            Which person speaks for the longest time in total?
            Who has the most speaking time?
            Whose total talk time is the highest?
            Who does most of the talking?
            Who is the most talkative person in the video?""",
    },
    "at": {
        "line": """
            What is said at {time}?
            What are they saying {time} into the video?
            Which sentence is spoken at {time}?
            Go to {time}: what does the person say there?
            What can be read in the subtitles at {time}?
            Quote the line at {time}.""",
        "speaker": """
            Who is talking at {time}?
            At {time}, whose line is it?
            Which person speaks at the {time} mark?
            Who says something at exactly {time}?""",
        "sign": """
            What is on the sign at {time}?
            At {time}, what does the sign at the top say?
            Jump to {time} and read the sign.
            What does the sign read {time} into the video?""",
    },
    "between": {
        "lines": """
            What is said from {start} to {end}?
            What do they say between {start} and {end}?
            List the lines that are spoken between {start} and {end}.
            Which sentences fall into the part from {start} until {end}?
            Quote everything said in {start}–{end}.
            Give me the dialogue of {start} to {end}.""",
        "speakers": """
            Who speaks between {start} and {end}?
            Which people have a line from {start} to {end}?
            Name everybody who talks in the stretch {start} to {end}.
            Who all gets a word in between {start} and {end}?""",
    },
    "list": {
        "signs": """
            List every sign that is shown.
            What do all the signs in the video say?
            Give me a list of all the texts on the sign at the top.
            Which signs appear over the whole video?
            Write down each sign that can be seen.
            Name all signs, from the first to the last.""",
        "speakers": """
            List everyone who speaks.
            Who are all the people with lines in this video?
            Name every person that talks.
            Give the names of all speakers.
            Which people say anything at all?""",
    },
    "duration": {
        "of_video": """
            How long is the video?
            What is the running time of this video?
            How many minutes does it last?
            What's the total length of the recording?
            When does the video end?
            How much time does the whole thing take to watch?""",
        "of_talk": """
            How long does {name} talk in total?
            For how many seconds is {name} speaking, all lines together?
            What is {name}'s total speaking time?
            Add up the time in which {name} speaks: how long is it?""",
    },
    "fast_event": {
        "at_place": """
            At the {place}, a word flashes up at the top right for a split second. Which one?
            What does the text say that flashes up at the {place}?
            Which word is shown for only a fraction of a second at the {place}?
            Read the word that pops up and vanishes at the {place}.
            Something flickers for a moment at the {place}: which word is it?
            For an instant there is an extra text at the {place}. What is it?""",
        "at_time": """
            Which word flashes up at {time}?
            A text blinks on the screen at {time} for an instant. What is it?
            What is the word that appears just for a moment at {time}?
            Around {time} a word pops up very briefly. Which one?""",
    },
}
_BY_KIND: Mapping[str, tuple[Wording, ...]] = {
    kind: tuple(Wording(form, line.strip()) for form, text in forms.items() for line in text.splitlines() if line)
    for kind, forms in _TEXTS.items()
}
WHOLE_VIDEO_KINDS = tuple(_BY_KIND)
"""Kinds of questions about a whole video."""


def wordings_of(kind: str, which: Wordings = "all", seed: int = SPLIT_SEED) -> tuple[Wording, ...]:
    """The wordings of a kind, or those of one part of the split.

    Args:
        kind: One of ``WHOLE_VIDEO_KINDS``.
        which: ``all``, ``dev`` or ``held-out``.
        seed: Of the split; another seed holds out others.

    Returns:
        The wordings in their order; of the parts, none is empty.
    """
    every = _BY_KIND[kind]
    if which == "all":
        return every
    ranked = sorted(every, key=lambda wording: hashlib.sha256(f"{seed}\n{wording.text}".encode()).digest())
    held_out = ranked[: round(len(ranked) * HELD_OUT_FRACTION)]
    return tuple(wording for wording in every if (wording in held_out) == (which == "held-out"))
