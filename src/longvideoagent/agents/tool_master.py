"""A master that acts by native tool calls, where its server takes them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.prompts import default_layout
from longvideoagent.core.actions import Invalid, offered_tools
from longvideoagent.core.context import answer_form
from longvideoagent.core.layout import tool_layout
from longvideoagent.core.protocol import parse
from longvideoagent.core.trace import Agents, Trace
from longvideoagent.core.types import Reply, Usage
from longvideoagent.errors import ToolsRefusedError
from longvideoagent.log import logger
from longvideoagent.models.base import failed_usage, with_charge

NO_TOOLS = "the master's server does not accept tools; the master writes its actions as tags"

NO_CALL = 'the master wrote text in place of a tool call; if it does so often, set dialect = "tags" in [master]'


@dataclass
class ToolMaster:
    """The master ``tag_master``, which calls tools in place of writing tags. Its traces are the same."""

    tag_master: ModelMaster
    is_required: bool = False
    """Whether a server that refuses tools is an error. If not, the master writes tags from then on."""
    _is_refused: bool = field(default=False, init=False)

    async def reply(self, trace: Trace) -> Reply:
        """Return the model's next reply, in tags. A master without agents has nothing to call: it writes tags. Raises
        ModelError without a reply."""
        if trace.settings.agents is Agents.NONE:
            return await self.tag_master.reply(trace)
        spent = Usage()
        if not self._is_refused:
            try:
                reply = await self._caller(trace).reply(trace)
                is_call = not isinstance(parse(reply.text, reply.reasoning).action, Invalid)
                return reply if is_call else replace(reply, warnings=(*reply.warnings, NO_CALL))
            except ToolsRefusedError as error:
                if self.is_required:
                    raise
                if not self._is_refused:
                    logger.info("%s", error)
                self._is_refused = True
                spent = failed_usage(error)
        reply = await with_charge(self.tag_master.reply(trace), spent)
        return replace(reply, usage=reply.usage + spent, warnings=(*reply.warnings, NO_TOOLS))

    def _caller(self, trace: Trace) -> ModelMaster:
        """The same master with tools for what can be done in this rollout."""
        settings, form = trace.settings, answer_form(trace.question)
        tools = offered_tools(settings.agents.names, form, has_timeline_tools=settings.timeline_tools)
        call_settings = replace(self.tag_master.settings, tools=tools, stop_at_action=False)
        layout = tool_layout(self.tag_master.layout or default_layout())
        return replace(self.tag_master, layout=layout, settings=call_settings)
