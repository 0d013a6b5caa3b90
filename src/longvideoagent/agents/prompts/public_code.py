"""Reads the wording of the public code out of a checkout of it, as a layout.

The released checkpoints were trained and evaluated with sentences that belong to the public repository; they are not
part of this project. Whoever has a checkout gets them from there: the files are parsed, never run, and each sentence
is found by its function and by the tag or the variable that it belongs to.

=================  ========================================================  ===========================
protocol           prompt                                                    observations
=================  ========================================================  ===========================
public-training    ``PROMPT_TEMPLATE`` of the parquet converter              the agent loop of the trainer
public-local       ``initial_prompt`` of the evaluator for local models      the same evaluator
public-api         ``initial_prompt`` of the evaluator for API models        the same evaluator
=================  ========================================================  ===========================
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Formatter

from longvideoagent.agents.prompts import parse_layout
from longvideoagent.agents.prompts.source_texts import (
    FIELD_OF_NAME,
    MissingTextError,
    SourceFile,
    TextImport,
    field_of,
    lacking_error,
)
from longvideoagent.core.layout import PromptLayout, template_fields
from longvideoagent.errors import DataError, UsageError

_CONVERTER = "src/dataset/convert_tvqa_json_to_grpo_parquet.py"
_TRAINING_LOOPS = ("videoagent/verl_ext/agent_loop.py", "videoagent/action_generation.py")
"""Of the branches newversion and main, the first that the checkout has."""
_TRAINING = "public-training"
_EVALUATORS: Mapping[str, str] = {
    "public-local": "src/evaluation/lvagent/evaluate_local_unified.py",
    "public-api": "src/evaluation/lvagent/evaluate_api_unified.py",
}
_SET_NAMES: Mapping[str, str] = {"longtvqa": "tvqa", "longtvqa_plus": "tvqa_plus"}
"""The names of the data sets in the public code."""


def import_layout(checkout: Path, protocol: str = "public-local", set_name: str = "longtvqa_plus") -> PromptLayout:
    """Read the layout of the public code.

    Args:
        checkout: The folder of a checkout of the public repository.
        protocol: Which of its three agents: the one in training, or one of the two evaluators.
        set_name: The data set that an evaluator is started for; its texts differ. Written as for ``--data-set``.

    Returns:
        A layout that has the wording, and the line breaks, of that code, and names the protocol and the set. The
        texts of training are the same for each set.

    Raises:
        UsageError: The folder, the protocol or the set does not exist.
        DataError: Texts that the checkout does not have, each named.
    """
    if protocol not in (_TRAINING, *_EVALUATORS):
        names = " or ".join((_TRAINING, *_EVALUATORS))
        raise UsageError(f"--protocol {protocol}: not a protocol of the public code; give {names}")
    set_name = set_name.lower().replace("-", "_")
    if set_name not in _SET_NAMES:
        names = " or ".join(_SET_NAMES).replace("_", "-")
        raise UsageError(f"--set {set_name}: not a data set of the public code; give {names}")
    if not checkout.is_dir():
        raise UsageError(f"{checkout}: not a folder; give a checkout of the public repository")
    importer = (
        _TrainingImport(checkout)
        if protocol == _TRAINING
        else _EvaluatorImport(checkout, _EVALUATORS[protocol], _SET_NAMES[set_name])
    )
    try:
        texts = {"prompt_without_vision": "", "prompt_without_agents": "", **importer.texts()}
        dataset = "" if protocol == _TRAINING else set_name.replace("_", "-")
        return parse_layout({**texts, "protocol": protocol, "dataset": dataset})
    except ValueError as error:
        raise DataError(f"{checkout}: the imported layout cannot be used: {error}") from error


class _TrainingImport(TextImport):
    """The texts of training: the converter's prompt, and the observations of the trainer's agent loop."""

    _ACT = ("_execute_action", "execute_action")
    _GROUND = ("_query_grounding", "analyze_single_question_api")
    _LOOK = ("_query_vision", "enhanced_process_and_query_seg")

    def __init__(self, checkout: Path) -> None:
        self._converter = SourceFile.read(checkout, _CONVERTER)
        super().__init__(SourceFile.read(checkout, *_TRAINING_LOOPS))

    def fields(self) -> Iterator[tuple[str, str | bool]]:
        yield "prompt", self._prompt()
        yield "clip", "${raw_text}"
        yield from self.observations(self._ACT)
        look = self.text("the result of a look", self._ACT, "<information>")
        yield "vision_result", look.removeprefix("\n").removesuffix("\n")
        yield "boxes", "${boxes}"
        yield "no_boxes", "{}"
        yield "boxes_as_json", True
        yield "last_round", ""
        yield "grounding_prompt", self.text("the grounding prompt", self._GROUND, "${raw_subtitles}")
        yield "regrounding_prompt", ""
        yield "vision_prompt", self.text("the vision prompt", self._LOOK, "${num_frames}")

    def insertion(self, value: ast.expr) -> str:
        return (
            "${raw_subtitles}" if isinstance(value, ast.Name) and value.id == "sub_block" else super().insertion(value)
        )

    def _prompt(self) -> str:
        """The converter's template, which is filled by ``str.format``."""
        path = self._converter.path
        try:
            value = self._converter.constant("PROMPT_TEMPLATE")
            if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
                raise MissingTextError("a constant PROMPT_TEMPLATE that is a text")
            return "".join(self._prompt_parts(value.value))
        except MissingTextError as error:
            raise lacking_error(path, [f"the prompt: {error}"]) from error
        except ValueError as error:
            raise lacking_error(path, [f"the prompt: a PROMPT_TEMPLATE for str.format ({error})"]) from error

    def _prompt_parts(self, text: str) -> Iterator[str]:
        for literal, name, spec, conversion in Formatter().parse(text):
            yield literal.replace("$", "$$")
            if name is None:
                continue
            field = "" if spec or conversion else FIELD_OF_NAME.get(name, "")
            if not field:
                written = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
                raise MissingTextError(f"what {written!r} stands for")
            yield f"${{{'first_clip' if field == 'clips' else field}}}"


class _EvaluatorImport(TextImport):
    """The texts of one of the two evaluators, for one data set."""

    _ACT = ("execute_action",)
    _ASK = ("process_question_wrapper",)
    _LOOP = ("process_single_question",)
    _GROUND = ("analyze_single_question_api",)
    _GROUND_AGAIN = ("re_analyze_single_question_api",)
    _LOOK = ("process_and_query_seg",)
    _BOXES = ("bbox_to_string_simplified",)
    _CLIP = ("get_clip_subtitle",)

    def __init__(self, checkout: Path, name: str, set_name: str) -> None:
        super().__init__(SourceFile.read(checkout, name))
        self._set_name = set_name
        self._has_boxes = set_name == _SET_NAMES["longtvqa_plus"]
        self._in_prompt = False

    def fields(self) -> Iterator[tuple[str, str | bool]]:
        yield "prompt", self._prompt()
        yield "clip", self.text("the text of a clip", self._CLIP, "${raw_text}")
        yield from self.observations(self._ACT)
        yield "vision_result", self._look()
        yield "boxes", "${boxes}" if self._has_boxes else ""
        yield "boxes_as_json", False
        yield from self._boxes() if self._has_boxes else (("no_boxes", ""),)
        yield "last_round", self._last_round()
        for field, function in (("grounding_prompt", self._GROUND), ("regrounding_prompt", self._GROUND_AGAIN)):
            yield field, self.text(field.replace("_", " "), function, "${raw_subtitles}")
        yield "vision_prompt", self._vision_prompt()

    def insertion(self, value: ast.expr) -> str:
        if isinstance(value, ast.Name) and value.id == "sub_block":
            return "${first_clip}" if self._in_prompt else "${raw_subtitles}"
        if isinstance(value, ast.Name) and value.id == "combined_info":
            return self._seen_heading()
        if (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Name)
            and value.func.id != "len"
            and not value.args
        ):
            return self._returned(value.func.id)
        return super().insertion(value)

    def _returned(self, function: str) -> str:
        """What a function of the module returns for the data set."""
        value = self._return_value(self.source.function(function).body)
        if value is None:
            raise MissingTextError(f"what {function} returns for {self._set_name}")
        return self.template(value)

    def _return_value(self, body: Sequence[ast.stmt], *, is_certain: bool = True) -> ast.expr | None:
        """The first value that these statements return for the data set, or None. In a branch whose condition does not
        name a data set, only what inner conditions decide counts."""
        value: ast.expr | None = None
        for node in body:
            if isinstance(node, ast.Return) and is_certain:
                value = node.value
            elif isinstance(node, ast.If):
                holds = self._holds(node.test)
                branch = [*node.body, *node.orelse] if holds is None else node.body if holds else node.orelse
                value = self._return_value(branch, is_certain=holds is not None)
            elif isinstance(node, ast.Try | ast.With):
                value = self._return_value(node.body, is_certain=is_certain)
            if value is not None:
                break
        return value

    def _holds(self, test: ast.expr) -> bool | None:
        """Whether a condition holds for the data set; None if it does not name one."""
        if isinstance(test, ast.BoolOp):
            parts = [part for each in test.values if (part := self._holds(each)) is not None]
            return (all(parts) if isinstance(test.op, ast.And) else any(parts)) if parts else None
        if not isinstance(test, ast.Compare) or len(test.ops) > 1:
            return None
        names = {part.value for part in ast.walk(test) if isinstance(part, ast.Constant)} & set(_SET_NAMES.values())
        is_negated = isinstance(test.ops[0], ast.NotEq | ast.NotIn)
        return (self._set_name in names) is not is_negated if names else None

    def _prompt(self) -> str:
        values = self.assigned("the prompt", self._ASK, "initial_prompt")
        if not values:
            return ""
        self._in_prompt = True
        try:
            return self.check("the prompt", self.template(values[0]))
        except MissingTextError as error:
            self.missing.append(f"the prompt: {error}")
            return ""
        finally:
            self._in_prompt = False

    def _look(self) -> str:
        """The result of a look: with boxes for TVQA+, without for TVQA."""
        what = "the result of a look"
        texts = [text for text in self.texts_in(self._ACT) if "<information>" in text and "${seen}" in text]
        texts = [text for text in texts if ("${boxes}" in text) is self._has_boxes]
        if not texts:
            self.missing.append(f"{what} (in execute_action, with <information>)")
            return ""
        return self.check(what, texts[0].removeprefix("\n").removesuffix("\n"))

    def _seen_heading(self) -> str:
        """The text that the answer of the vision model is put into before the result is composed."""
        for node in ast.walk(self.source.function(*self._ACT)):
            if isinstance(node, ast.JoinedStr):
                fields = [field_of(part.value) for part in node.values if isinstance(part, ast.FormattedValue)]
                if "seen" in fields:
                    return self.template(node)
        raise MissingTextError("the heading of what the vision model says (in execute_action)")

    def _boxes(self) -> Iterator[tuple[str, str | bool]]:
        yield "box_frame", self.text("the line of a frame with boxes", self._BOXES, "${frame}")
        yield "box", self.text("the line of a box", self._BOXES, "${left}")
        yield "no_boxes", self.text("the text for a clip without boxes", self._BOXES, "${label}", without="${left}")

    def _last_round(self) -> str:
        """The text that is added before the last reply. A layout has it as it is and not as a template, so it can hold
        no expression."""
        what = "the notice of the last round"
        values = self.assigned(what, self._LOOP, "conversation_history", is_added=True)
        texts = [value for value in values if isinstance(value, ast.Constant | ast.JoinedStr)]
        if not texts:
            if values:
                self.missing.append(f"{what} (a text added to conversation_history)")
            return ""
        template = self.check(what, self.template(texts[0]))
        if template_fields(template):
            self.missing.append(f"{what} as a plain text (it inserts {min(template_fields(template))})")
        return template.replace("$$", "$")

    def _vision_prompt(self) -> str:
        values = self.assigned("the vision prompt", self._LOOK, "prompt")
        templates = [self.template(value) for value in values if isinstance(value, ast.JoinedStr)]
        fitting = [template for template in templates if ("${boxes}" in template) is self._has_boxes]
        if not fitting:
            self.missing.append("the vision prompt (the variable prompt in process_and_query_seg)")
            return ""
        return self.check("the vision prompt", fitting[0])
