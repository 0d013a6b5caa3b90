"""A checkout in the shape of the public code: the same files, functions and variables, with other sentences."""

from __future__ import annotations

from pathlib import Path

CONVERTER = '''
"""Rows for training."""
import json

PROMPT_TEMPLATE = """Work through the puzzle.
Wrap your thinking in <reasoning> tags, {{then}} act: <search>what</search>,
<request_grounding> or <answer>ax</answer>. It costs $5.

puzzle: {question}
a0: {a0}
a1: {a1}
a2: {a2}
a3: {a3}
a4: {a4}
<information>subtitles: {initial_clip_subtitle}</information>
"""


def convert(item):
    return PROMPT_TEMPLATE.format(question=item["q"])
'''

TRAINING_LOOP = '''
class Loop:
    def _query_vision(self, query: str, vid: str) -> str:
        messages_content = []
        messages_content.append(
            {
                "type": "text",
                "text": (
                    f"{len(messages_content)} stills of one clip.\\n"
                    f"Say what matters for: {query}"
                ),
            }
        )
        return "nothing"

    def _query_grounding(self, question_data, sub_block: str, current_vid: str) -> str:
        prompt = f"""
Puzzle: {question_data.get("q", "")}
a0: {question_data.get("a0", "")}
a1: {question_data.get("a1", "")}
a2: {question_data.get("a2", "")}
a3: {question_data.get("a3", "")}
a4: {question_data.get("a4", "")}
Lines: {sub_block}

Not {current_vid}. Reply with <clip>clip_label</clip>.
"""
        return prompt

    def _execute_action(self, action_type, content, current_vid, question_data, episode_sub_block):
        if action_type == "answer":
            return f"\\n<answer>{content}</answer>", True, current_vid
        if action_type == "search":
            vision_response = self._query_vision(content, current_vid)
            bbox_content = "{}"
            observation = (
                f"\\n<information>Rectangles:\\n{bbox_content.strip()}\\n"
                f"In the picture:\\n{vision_response.strip()}</information>\\n"
            )
            return observation, False, current_vid
        if action_type == "request_grounding":
            predicted_clip = self._query_grounding(question_data, episode_sub_block, current_vid)
            subtitle = "..."
            observation = f"\\n<New_clip>{predicted_clip} + {subtitle}</New_clip>\\n"
            return observation, False, predicted_clip
        return ("\\nThat was no move of mine. I try another.\\n", False, current_vid)
'''

EVALUATOR = '''
def _initial_answer_format_hint() -> str:
    if config is None:
        raise RuntimeError("no config")
    if config.dataset == "tvqa_plus":
        return (
            "Write the letter and number, "
            "like <answer>a1</answer>."
        )
    return "Write it briefly."


def bbox_to_string_simplified(file_path=None, key=None) -> str:
    if key not in json_data:
        return f"Nothing is marked in '{key}'."
    result = []
    for frame_id in sorted_frame_ids:
        result.append(f"Still {frame_id}:")
        for bbox in bbox_data[frame_id]:
            x, y, width, height, name = bbox
            result.append(f"  * {name}: ({x}, {y}, {width}, {height})")
    return "\\n".join(result)


def process_and_query_seg(seg, vid):
    frame_nums = list(range(1, 181, 12))
    log_debug(f"  {len(frame_nums)} stills: {frame_nums}")
    if config.dataset == "tvqa_plus":
        bbox_info = bbox_to_string_simplified(key=vid)
        prompt = (
            f"{len(frame_nums)} stills. "
            f"Rectangles: {bbox_info}.\\n"
            f"{seg['description']}"
        )
    else:
        prompt = f"{len(frame_nums)} stills.\\n{seg['description']}"
    return prompt


def execute_action(action_type, content, vid, question_data, episode_sub_block, clip_subtitles):
    if action_type == "answer":
        return f"\\n<answer>{content}</answer>", True
    if action_type == "search":
        try:
            information_parts = []
            try:
                vision_response = process_and_query_seg({"description": content}, vid)
                information_parts.append(f"In the picture:\\n{vision_response.strip()}")
            except Exception as e:
                information_parts.append(f"In the picture: failed - {str(e)}")
            combined_info = "\\n".join(information_parts)
            if config and config.dataset == "tvqa_plus":
                bbox_info = bbox_to_string_simplified(key=vid)
                return f"\\n<information>Rectangles:{bbox_info}\\n{combined_info}</information>\\n", False
            return f"\\n<information>\\n{combined_info}</information>\\n", False
        except Exception as e:
            return f"\\n<information>failed - {str(e)}</information>\\n", False
    if action_type == "request_grounding":
        grounding_result = re_analyze_single_question_api(question_data, episode_sub_block, vid, attempt_round=1)
        predicted_clip = grounding_result.get("predicted_clip", vid)
        new_sub = get_clip_subtitle(clip_subtitles, predicted_clip)
        result_content = f"<New_clip>{predicted_clip} + {new_sub}</New_clip>"
        return f"\\n{result_content}\\n", False
    return "\\nThat was no move of mine. I try another.\\n", False


def get_clip_subtitle(clip_subtitles, clip_name):
    subtitle_text = clip_subtitles.get(clip_name, "")
    if subtitle_text:
        return f"<{clip_name}>{subtitle_text}</{clip_name}>"
    log_warn(f"nothing for {clip_name}")
    return ""


def re_analyze_single_question_api(question_data, sub_block, vid, attempt_round):
    prompt_content = f"""
Puzzle: {question_data['q']}
a0: {question_data.get('a0', '')}
a1: {question_data.get('a1', '')}
a2: {question_data.get('a2', '')}
a3: {question_data.get('a3', '')}
a4: {question_data.get('a4', '')}
Lines: {sub_block}
{vid} was wrong; name another <clip>clip_label</clip>.
"""
    return prompt_content


def analyze_single_question_api(question_data, sub_block, attempt_round):
    prompt_content = f"""
Puzzle: {question_data['q']}
a0: {question_data.get('a0', '')}
a1: {question_data.get('a1', '')}
a2: {question_data.get('a2', '')}
a3: {question_data.get('a3', '')}
a4: {question_data.get('a4', '')}
Lines: {sub_block}
Name the <clip>clip_label</clip>.
"""
    return prompt_content


def process_single_question(prompt, max_turn=5):
    conversation_history = prompt
    for turn in range(max_turn):
        if turn == max_turn - 1:
            conversation_history += (
                "\\nNo turn is left. "
                "Give <answer>...</answer> now.\\n"
            )
        result_content = ""
        conversation_history += result_content


def process_question_wrapper(q, clip_subtitles):
    sub_block = get_clip_subtitle(clip_subtitles, "clip")
    initial_prompt = f"""Work through the puzzle.
Think inside <reasoning>, then act: <search>what</search>, <request_grounding> or <answer>ax</answer>.
{_initial_answer_format_hint()}

puzzle: {q['q']}
a0: {q['a0']}
a1: {q['a1']}
a2: {q['a2']}
a3: {q['a3']}
a4: {q['a4']}
<information>subtitles: {sub_block}</information>
"""
    return initial_prompt
'''
FILES = {
    "src/dataset/convert_tvqa_json_to_grpo_parquet.py": CONVERTER,
    "videoagent/verl_ext/agent_loop.py": TRAINING_LOOP,
    "src/evaluation/lvagent/evaluate_local_unified.py": EVALUATOR,
    "src/evaluation/lvagent/evaluate_api_unified.py": EVALUATOR.replace("No turn is left", "The last turn"),
}


def write_checkout(folder: Path) -> Path:
    """Write the files of the checkout."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
