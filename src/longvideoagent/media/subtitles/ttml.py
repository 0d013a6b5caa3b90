"""Read Timed Text Markup Language (TTML, DFXP, IMSC, EBU-TT and Apple's lyrics and iTT).

Times of an element count from the start of the element around it, as the specification says, or from the start of the
document, as in Apple's lyrics; what the document does is recognised by its own times.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from longvideoagent.errors import DataError, one_line
from longvideoagent.media.subtitles.cue import MAX_CUES, Cue, ReadCues, moved
from longvideoagent.media.subtitles.ttml_time import TimeParameters

_EPSILON_S = 0.001
_SKIPPED = {"head", "metadata", "desc", "title", "set", "animate"}
"""Elements whose text is not shown."""
_BARE_AMPERSAND = re.compile(
    r"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9A-Fa-f]{1,6});)(?:([A-Za-z][A-Za-z0-9]{1,31});)?"
)
_BARE_LESS = re.compile(r"<(?![A-Za-z/!?])")
_OPEN_BREAK = re.compile(r"<((?:[A-Za-z]{1,20}:)?br)[ \t]{0,9}>(?![ \t\n]{0,9}</)", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass(slots=True)
class _Element:
    """An element that has times of its own."""

    parent: _Element | None
    begin_s: float | None = None
    end_s: float | None = None
    duration_s: float | None = None
    is_readable: bool = True
    """Whether its begin, if it has one, is a time."""
    is_sequence: bool = False
    anchor: _Element | None = None
    """The nearest element around it that has a begin."""
    start_s: float = 0.0
    """On the clock of the document, once resolved."""
    stop_s: float | None = None
    cursor_s: float | None = None
    """Where the next child of a sequence begins."""


@dataclass(slots=True)
class _Paragraph:
    element: _Element | None
    """The element whose times it has; None if there is none."""
    is_timed: bool
    """Whether these are its own."""
    speaker: str = ""
    """With a colon; empty if it is not known."""
    pieces: list[tuple[_Element | None, str]] = field(default_factory=list)
    """Its text in order, each piece with the element inside of the paragraph whose times it has."""


class _Document:
    """Collects elements and paragraphs while a document is parsed."""

    def __init__(self) -> None:
        self.parameters = TimeParameters()
        self.root = ""
        self.programme_start = ""
        self.elements: list[_Element] = []
        self.paragraphs: list[_Paragraph] = []
        self.num_paragraphs = 0
        self._names: list[str] = []
        self._enclosing: list[_Element | None] = []
        self._paragraph: _Paragraph | None = None
        self._paragraph_depth = 0
        self._skip_depth = 0
        self._agents: dict[str, str] = {}
        self._agent = ""

    def parse(self, text: str) -> str:
        """Parse a text as far as it is XML. Returns where it is not, or nothing. Raises DataError if it defines
        entities."""
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = _refuse_entities
        try:
            parser.Parse(text.encode("utf-8", errors="replace"), True)
        except expat.ExpatError as error:
            return f"line {error.lineno}: {expat.ErrorString(error.code)}"
        return ""

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        local = {key.rpartition(":")[2]: value for key, value in attributes.items()}
        if not self.root:
            self.root = name
            self.parameters = TimeParameters.of_root(local)
        enclosing = self._enclosing[-1] if self._enclosing else None
        if name == "agent":
            self._agent = local.get("id", "")
        if name in _SKIPPED and not self._skip_depth:
            self._skip_depth = len(self._names) + 1
        elif not self._skip_depth:
            enclosing = self._open(name, local, enclosing)
        self._names.append(name)
        self._enclosing.append(enclosing)

    def _open(self, name: str, attributes: dict[str, str], enclosing: _Element | None) -> _Element | None:
        """Begin an element that may be shown. Returns the element that what is inside of it is timed by."""
        is_timed = any(key in attributes for key in ("begin", "end", "dur", "timeContainer"))
        if is_timed:
            enclosing = self._timed(attributes, enclosing)
        if self._paragraph is None and name == "p":
            self.num_paragraphs += 1
            name_of_agent = self._agents.get(attributes.get("agent", ""))
            self._paragraph = _Paragraph(enclosing, is_timed, f"{name_of_agent}: " if name_of_agent else "")
            self._paragraph_depth = len(self._names) + 1
            if self.num_paragraphs <= MAX_CUES:
                self.paragraphs.append(self._paragraph)
        elif self._paragraph is not None and name == "br":
            self._add("\n")
        return enclosing

    def _timed(self, attributes: dict[str, str], parent: _Element | None) -> _Element:
        begin, end, duration = (
            None if value is None else self.parameters.seconds(value)
            for value in map(attributes.get, ("begin", "end", "dur"))
        )
        is_readable = begin is not None or "begin" not in attributes
        is_sequence = attributes.get("timeContainer") == "seq"
        anchor = parent and (parent.anchor if parent.begin_s is None else parent)
        element = _Element(parent, begin, end, duration, is_readable, is_sequence, anchor)
        self.elements.append(element)
        return element

    def _end(self, name: str) -> None:
        depth = len(self._names)
        if depth == self._skip_depth:
            self._skip_depth = 0
        if depth == self._paragraph_depth:
            self._paragraph, self._paragraph_depth = None, 0
        self._names.pop()
        self._enclosing.pop()
        if name.endswith("agent"):
            self._agent = ""

    def _text(self, text: str) -> None:
        if self._skip_depth:
            if self._agent and self._names[-1] == "name":
                self._agents[self._agent] = self._agents.get(self._agent, "") + text.strip()
            elif self._names[-1] == "documentStartOfProgramme":
                self.programme_start += text.strip()
        elif self._paragraph is not None:
            self._add(text.replace("\n", " "))

    def _add(self, text: str) -> None:
        assert self._paragraph is not None
        enclosing = self._enclosing[-1]
        inner = enclosing if enclosing is not self._paragraph.element else None
        self._paragraph.pieces.append((inner, text))


def is_ttml(head: str) -> bool:
    """Whether a file begins like XML, or like the root of TTML without its declaration."""
    return re.match(r"\s*<(?:\?xml\b|!--|!DOCTYPE\b|(?:[A-Za-z]{1,20}:)?tt[\s>])", head) is not None


def read_ttml(text: str) -> ReadCues:
    """Read the paragraphs. Raises DataError if there are none, if it is not TTML, or if it defines entities."""
    document, warnings = _Document(), []
    problem = document.parse(text.lstrip())
    if problem:
        document = _Document()
        problem = document.parse(_escape_bare(text.lstrip()))
        warnings = ["the XML has characters that are not escaped, which were read as text"]
        if problem:
            warnings = [f"the XML is damaged ({problem}) and was read until there"]
    if document.root.lower() not in ("tt", ""):
        raise DataError(
            f"XML of another kind, <{one_line(ValueError(document.root), 40)}>; give TTML or another format"
        )
    if not document.paragraphs:
        raise DataError(f"no cue in it{f'; the XML is damaged ({problem})' if problem else ''}; export it again")
    is_absolute = _has_absolute_times(document.elements)
    for element in document.elements:
        _resolve(element, is_absolute=is_absolute)
    start_s = _programme_start_s(document)
    cues = [cue for paragraph in document.paragraphs for cue in _cues(paragraph)]
    if start_s:
        cues = [moved(cue, -start_s) for cue in cues]
    num_beyond_limit = document.num_paragraphs - len(document.paragraphs) + max(0, len(cues) - MAX_CUES)
    return ReadCues(cues[:MAX_CUES], warnings, num_beyond_limit)


def _has_absolute_times(elements: list[_Element]) -> bool:
    """Whether times of inner elements count from the start of the document: more of them lie within the element around
    them only if they do, or begin with it, than lie within it only if they do not."""
    num_absolute = num_relative = 0
    for element in elements:
        anchor, begin_s = element.anchor, element.begin_s
        if anchor is None or not anchor.begin_s or begin_s is None:
            continue
        end_s = float("inf") if anchor.end_s is None else anchor.end_s
        is_inside = anchor.begin_s - _EPSILON_S <= begin_s <= end_s + _EPSILON_S
        is_inside_later = begin_s < end_s - anchor.begin_s
        is_equal = abs(begin_s - anchor.begin_s) < _EPSILON_S
        num_absolute += is_inside and (is_equal or not is_inside_later)
        num_relative += is_inside_later and not is_inside
    return num_absolute > num_relative


def _resolve(element: _Element, *, is_absolute: bool) -> None:
    """Set the times of an element whose parent has its own already."""
    parent = element.parent
    reference_s = parent.start_s if parent else 0.0
    if parent and parent.is_sequence and parent.cursor_s is not None:
        reference_s = parent.cursor_s
    origin_s = 0.0 if is_absolute else reference_s
    element.start_s = reference_s if element.begin_s is None else origin_s + element.begin_s
    stops_s = [] if element.end_s is None else [origin_s + element.end_s]
    stops_s += [] if element.duration_s is None else [element.start_s + element.duration_s]
    if parent and parent.stop_s is not None and not (is_absolute and element.start_s >= parent.stop_s):
        stops_s.append(parent.stop_s)  # but a line of lyrics outside of its part keeps its own end
    element.stop_s = min(stops_s, default=None)
    if parent:
        parent.cursor_s = element.start_s if element.stop_s is None else element.stop_s
        element.is_readable = element.is_readable and (is_absolute or parent.is_readable)


def _cues(paragraph: _Paragraph) -> Iterator[Cue]:
    """The cue of a paragraph, or those of its timed parts if it has no times of its own."""
    parts = [] if paragraph.is_timed else _timed_parts(paragraph)
    is_by_word = all(len(cue.text.split()) <= 1 for cue in parts)
    if parts and not is_by_word:
        yield from parts
        return
    text = paragraph.speaker + "".join(piece for _, piece in paragraph.pieces)
    if parts:
        ends_s = [cue.end_s for cue in parts if cue.end_s is not None]
        yield Cue(min(cue.start_s or 0.0 for cue in parts), max(ends_s, default=None), text)
        return
    element = paragraph.element
    is_readable = element is not None and element.is_readable
    yield Cue(element.start_s if element and is_readable else None, element.stop_s if element else None, text)


def _timed_parts(paragraph: _Paragraph) -> list[Cue]:
    """A cue for each part of a paragraph that has times; text outside of them belongs to the part before."""
    parts: list[Cue] = []
    pending, last = paragraph.speaker, None
    for element, piece in paragraph.pieces:
        if element is None or (parts and element is last):
            if parts:
                parts[-1] = parts[-1]._replace(text=parts[-1].text + piece)
            else:
                pending += piece
            continue
        last = element
        parts.append(Cue(element.start_s if element.is_readable else None, element.stop_s, pending + piece))
        pending = ""
    return parts


def _programme_start_s(document: _Document) -> float:
    """The time at which the video starts on the clock of an EBU document; 0 if it does not state one."""
    start_s = document.parameters.seconds(document.programme_start) if document.programme_start else None
    starts_s = [element.start_s for element in document.elements]
    return start_s if start_s and document.parameters.is_smpte and min(starts_s, default=0.0) >= start_s else 0.0


def _escape_bare(text: str) -> str:
    """The text with bare ampersands, angle brackets and HTML's entities and line breaks as XML has them."""
    text = _OPEN_BREAK.sub(r"<\1/>", _BARE_LESS.sub("&lt;", _CONTROLS.sub(" ", text)))
    return _BARE_AMPERSAND.sub(lambda match: html.escape(html.unescape(match[0]), quote=False), text)


def _refuse_entities(*_: object) -> None:
    raise DataError("the XML defines entities, which are not read; export it again without them")
