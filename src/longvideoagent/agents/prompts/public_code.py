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
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from longvideoagent.agents.prompts import parse_layout
from longvideoagent.agents.prompts.source_texts import FIELD_OF_NAME, MissingTextError, SourceFile, TextImport, field_of
from longvideoagent.core.layout import PromptLayout
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
        set_name: The data set that an evaluator is started for; its texts differ.

    Returns:
        A layout that has the wording, and the line breaks, of that code.

    Raises:
        UsageError: The folder, the protocol or the set does not exist.
        DataError: Texts that the checkout does not have, each named.
    """
    if protocol not in (_TRAINING, *_EVALUATORS):
        names = " or ".join((_TRAINING, *_EVALUATORS))
        raise UsageError(f"--protocol {protocol}: not a protocol of the public code; give {names}")
    if set_name not in _SET_NAMES:
        raise UsageError(f"--set {set_name}: not a data set of the public code; give {' or '.join(_SET_NAMES)}")
    if not checkout.is_dir():
        raise UsageError(f"{checkout}: not a folder; give a checkout of the public repository")
    importer = (
        _TrainingImport(checkout)
        if protocol == _TRAINING
        else _EvaluatorImport(checkout, _EVALUATORS[protocol], _SET_NAMES[set_name])
    )
    try:
        return parse_layout({"prompt_without_vision": "", "prompt_without_agents": "", **importer.texts()})
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
        try:
            value = ast.literal_eval(self._converter.constant("PROMPT_TEMPLATE"))
        except (MissingTextError, ValueError):
            self.missing.append(f"the prompt (the constant PROMPT_TEMPLATE of {self._converter.path.name})")
            return ""
        names = {name: FIELD_OF_NAME.get(name, "") for name in re.findall(r"(?<!\{)\{(\w+)\}", str(value))}
        unknown = [name for name, field in names.items() if not field]
        if unknown:
            self.missing.append(f"the prompt: what {unknown[0]!r} stands for")
        return re.sub(
            r"\{\{|\}\}|\{(\w+)\}",
            lambda match: match[0][0] if match[1] is None else f"${{{_prompt_field(names[match[1]])}}}",
            str(value).replace("$", "$$"),
        )


def _prompt_field(field: str) -> str:
    """In a prompt, the text of the clip is the first clip."""
    return "first_clip" if field == "clips" else field


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
        """What a function of the module returns for the data set: the text in the branch that names it, else the last
        one."""
        node = self.source.function(function)
        for branch in ast.walk(node):
            if isinstance(branch, ast.If) and self._is_for_set(branch.test):
                return self._returned_texts(branch.body)[0]
        texts = self._returned_texts([each for each in node.body if isinstance(each, ast.Return)])
        if not texts:
            raise MissingTextError(f"what {function} returns")
        return texts[-1]

    def _returned_texts(self, body: Sequence[ast.stmt]) -> list[str]:
        return [self.template(node.value) for node in body if isinstance(node, ast.Return) and node.value is not None]

    def _is_for_set(self, test: ast.expr) -> bool:
        return any(isinstance(part, ast.Constant) and part.value == self._set_name for part in ast.walk(test))

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
        values = self.assigned("the notice of the last round", self._LOOP, "conversation_history")
        texts = [value for value in values if isinstance(value, ast.Constant | ast.JoinedStr)]
        if values and not texts:
            self.missing.append("the notice of the last round (a text added to conversation_history)")
        return self.template(texts[0]) if texts else ""

    def _vision_prompt(self) -> str:
        values = self.assigned("the vision prompt", self._LOOK, "prompt")
        templates = [self.template(value) for value in values if isinstance(value, ast.JoinedStr)]
        fitting = [template for template in templates if ("${boxes}" in template) is self._has_boxes]
        if not fitting:
            self.missing.append("the vision prompt (the variable prompt in process_and_query_seg)")
            return ""
        return self.check("the vision prompt", fitting[0])
