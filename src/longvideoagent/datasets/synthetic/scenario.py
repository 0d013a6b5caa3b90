"""The scenes of a synthetic episode, generated from a seed: places, people, what they say, what changes.

Nothing is drawn here. Scenes are similar on purpose: the same people say the same kinds of things at several places,
so a line has to be located in its scene, and a shirt has to be seen in it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from longvideoagent.core.types import Subtitle, TimeSpan

SCENE_S = 60.0
COLOUR_RGB = {
    "red": (205, 40, 40),
    "orange": (240, 140, 20),
    "yellow": (240, 215, 40),
    "green": (40, 150, 60),
    "blue": (40, 80, 205),
    "purple": (128, 40, 160),
    "pink": (250, 130, 180),
}
NAMES = ("Mira", "Otto", "Lena", "Hugo", "Nora", "Felix")


def _split_words(text: str, separator: str | None = None) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split(separator) if part.strip())


WORDS = _split_words(
    """
    KITE MOON RIVER TIGER ROBOT LEMON CLOUD PIANO ROCKET ANCHOR CACTUS FALCON GUITAR HAMMER JUNGLE
    KETTLE MAGNET NEEDLE ORCHID PARROT QUARTZ RABBIT SADDLE TURTLE VELVET WALNUT YOGURT ZEBRA BUTTON
    CANDLE DRAGON ENGINE FOREST GARDEN HARBOR ISLAND JACKET KERNEL LADDER MARBLE NAPKIN OYSTER PEPPER
    """
)
SIGNS = _split_words(
    """
    GOLDEN OWL, SILVER FOX, BRAVE BEAR, QUIET DEER, HAPPY FROG, PROUD SWAN, LUCKY MOUSE, GENTLE WOLF,
    CLEVER CROW, MIGHTY WHALE, TINY SPIDER, NOBLE HORSE, SLEEPY PANDA, RAPID HARE, ROYAL EAGLE, WILD
    GOOSE, CALM OTTER, SHY BADGER, KEEN HAWK, BOLD RAVEN, GRAND MOOSE, FANCY DUCK, NIMBLE GOAT, STURDY
    OX, JOLLY SEAL, WISE CAMEL, WARM ROBIN, EARLY LARK, PLAIN TOAD, GREAT BISON, SMART PIGEON, SOLID
    RHINO, FRESH TROUT, MERRY FINCH, LONE PUMA, GRUMPY CRAB, TALL HERON, SOFT LLAMA, SHARP LYNX, RARE
    KOALA, NEAT BEAVER, SWEET PONY
    """,
    separator=",",
)
PLACES = _split_words(
    """
    bakery library garage museum station aquarium theatre greenhouse lighthouse workshop laundry school
    hospital stadium pharmacy brewery monastery airport castle bookshop vineyard observatory gymnasium
    courthouse windmill
    """
)
ITEMS = _split_words(
    """
    lantern rope ladder blanket compass teapot umbrella suitcase violin telescope basket hammock
    wheelbarrow typewriter accordion backpack candlestick bucket notebook calendar microscope paintbrush
    trumpet thermos saw
    """
)
THINGS = _split_words(
    """
    radio heating elevator printer fountain engine doorbell projector oven freezer pump clock alarm
    camera tractor antenna generator furnace turbine telephone scanner compressor boiler chimney gate
    """
)
STATES = ("broken", "repaired", "stolen", "sold", "painted", "insured", "rented", "borrowed")
REASONS = (
    ("bus", "broke down"),
    ("bridge", "was closed"),
    ("dog", "ran away"),
    ("tram", "was full"),
    ("key", "got stuck"),
    ("ferry", "was cancelled"),
    ("taxi", "got lost"),
    ("bicycle", "had a flat tyre"),
)
FLASH_WORDS = _split_words(
    """
    COMET FJORD GEYSER IGLOO LAGOON METEOR NEBULA OASIS PRAIRIE QUARRY SAVANNA TUNDRA VOLCANO CANYON
    DELTA GLACIER REEF SWAMP CLIFF DUNE CRATER VALLEY MEADOW BASIN SUMMIT
    """
)
FLASH_S = 0.3
"""How long a word flashes up."""
SMALL_TALK = (
    "What a day this has been.",
    "I did not sleep very well.",
    "Have you had lunch yet?",
    "It may rain later on.",
    "That makes me laugh.",
    "I like it here.",
    "We should come more often.",
    "Let us sit down for a while.",
    "You look well today.",
    "My sister sends her regards.",
    "There is no hurry at all.",
    "Please speak up a little.",
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A person in one scene; ``slot`` 0 to 2 is the position from left to right."""

    name: str
    colour: str
    word: str
    slot: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of dialogue; times from the start of the episode."""

    start_s: float
    end_s: float
    speaker: str
    text: str
    role: str
    """The purpose of the line: place, ask, late, state, warn or talk."""

    @property
    def span(self) -> TimeSpan:
        """From its start to its end."""
        return TimeSpan(self.start_s, self.end_s)


@dataclass(frozen=True, slots=True)
class Flash:
    """A word that is shown for ``FLASH_S``."""

    word: str
    start_s: float

    @property
    def end_s(self) -> float:
        """When it is gone."""
        return self.start_s + FLASH_S

    @property
    def span(self) -> TimeSpan:
        """From its start to its end."""
        return TimeSpan(self.start_s, self.end_s)


@dataclass(frozen=True, slots=True)
class Scene:
    """A minute at one place. ``signs`` change from the first to the second at ``sign_change_s``; the prop, a box of
    ``prop_colour``, crosses the floor from ``prop_start_s`` on."""

    index: int
    start_s: float
    place: str
    figures: tuple[Figure, ...]
    item: str
    thing: str
    state: str
    reason: tuple[str, str]
    signs: tuple[str, str]
    sign_change_s: float
    prop_colour: str
    prop_start_s: float
    prop_goes_right: bool
    lines: tuple[Line, ...]
    flash: Flash | None = None

    @property
    def end_s(self) -> float:
        """The start of the next scene."""
        return self.start_s + SCENE_S

    @property
    def span(self) -> TimeSpan:
        """From its start to its end."""
        return TimeSpan(self.start_s, self.end_s)

    @property
    def subtitles(self) -> tuple[Subtitle, ...]:
        """The lines as subtitles."""
        return tuple(Subtitle(line.start_s, line.end_s, f"{line.speaker}: {line.text}") for line in self.lines)

    def line(self, role: str) -> Line:
        """The line with that role."""
        return next(line for line in self.lines if line.role == role)

    def figure(self, name: str) -> Figure:
        """The person with that name."""
        return next(figure for figure in self.figures if figure.name == name)


def generate_scenes(seed: int, scene_count: int) -> tuple[Scene, ...]:
    """Generate ``scene_count`` scenes, each at another place; the same seed gives the same scenes.

    Raises ValueError for more scenes than places (25).
    """
    if not 1 <= scene_count <= len(PLACES):
        raise ValueError(f"an episode has 1 to {len(PLACES)} scenes, not {scene_count}")
    rng = random.Random(seed)
    places, items, things = (rng.sample(pool, scene_count) for pool in (PLACES, ITEMS, THINGS))
    signs = rng.sample(SIGNS, len(SIGNS))
    scenes = []
    for index in range(scene_count):
        names = rng.sample(NAMES, 3)
        colours = rng.sample(sorted(COLOUR_RGB), 4)
        words = rng.sample(WORDS, 3)
        figures = tuple(Figure(names[slot], colours[slot], words[slot], slot) for slot in range(3))
        start_s = index * SCENE_S
        state, reason = rng.choice(STATES), rng.choice(REASONS)
        lines = _write_lines(rng, start_s, names, _Topics(places[index], items[index], things[index], state, reason))
        warning = next(line for line in lines if line.role == "warn")
        scenes.append(
            Scene(
                index=index,
                start_s=start_s,
                place=places[index],
                figures=figures,
                item=items[index],
                thing=things[index],
                state=state,
                reason=reason,
                signs=(signs[(2 * index) % len(signs)], signs[(2 * index + 1) % len(signs)]),
                sign_change_s=next(line for line in lines if line.role == "state").end_s + 1.0,
                prop_colour=colours[3],
                prop_start_s=warning.end_s + 0.6,
                prop_goes_right=rng.random() < 0.5,
                lines=lines,
            )
        )
    return tuple(scenes)


def add_flashes(scenes: tuple[Scene, ...], seed: int) -> tuple[Scene, ...]:
    """The scenes with a word that flashes up in each, somewhere between its first and last 10 seconds."""
    rng = random.Random(seed + 2_000_003)
    words = rng.sample(FLASH_WORDS, len(scenes))
    offsets_s = [round(rng.uniform(10.0, SCENE_S - 10.0) * 5) / 5 for _ in scenes]  # when a frame begins
    return tuple(
        replace(scene, flash=Flash(word, scene.start_s + offset_s))
        for scene, word, offset_s in zip(scenes, words, offsets_s, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Topics:
    place: str
    item: str
    thing: str
    state: str
    reason: tuple[str, str]


def _write_lines(rng: random.Random, start_s: float, names: list[str], topics: _Topics) -> tuple[Line, ...]:
    host, guest, third = names
    subject, event = topics.reason
    is_place_first = rng.random() < 0.5
    script = [
        (guest, f"Sorry that I am late, the {subject} {event}.", "late"),
        *_talk(rng, names, 2),
        (host, f"{guest}, please bring me the {topics.item}.", "ask"),
        *_talk(rng, names, 1),
        (third, f"Did you hear? The {topics.thing} is {topics.state}.", "state"),
        *_talk(rng, names, 2),
        (guest, f"Careful, mind the {rng.choice(('step', 'floor', 'door', 'cable'))}!", "warn"),
        *_talk(rng, names, 2),
    ]
    if is_place_first:
        script.insert(0, (host, f"Here we are at the {topics.place}.", "place"))
    else:
        script.append((host, f"So much for the {topics.place}, let us go home.", "place"))
    gap_s = (SCENE_S - 6.0) / len(script)
    lines = []
    for number, (speaker, text, role) in enumerate(script):
        at_s = start_s + 2.0 + number * gap_s + rng.uniform(0.0, 0.6)
        lines.append(Line(round(at_s, 2), round(at_s + 1.4 + 0.045 * len(text), 2), speaker, text, role))
    return tuple(lines)


def _talk(rng: random.Random, names: list[str], count: int) -> list[tuple[str, str, str]]:
    return [(rng.choice(names), text, "talk") for text in rng.sample(SMALL_TALK, count)]
