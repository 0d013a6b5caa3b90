"""Vision of a model that may turn out to read text only."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from longvideoagent.agents.base import Vision
from longvideoagent.agents.vision import ModelVision
from longvideoagent.core.rollout import VisionRequest
from longvideoagent.core.types import Usage, VisionResult
from longvideoagent.errors import ImagesRefusedError
from longvideoagent.log import logger
from longvideoagent.media.readers.base import VideoReader
from longvideoagent.models.base import failed_usage


@dataclass
class FallbackVision:
    """Vision with the model that all agents share; with the embedded agent from the moment at which the model refuses
    images, since nobody has said that it reads them."""

    model_vision: ModelVision
    offline_vision: Vision
    _refusal: str = field(default="", init=False)
    """Why the model is not used, on one line; empty as long as it is."""

    async def look(self, request: VisionRequest, video: VideoReader) -> VisionResult:
        """Return what the model, or else the embedded agent, sees. Raises ModelError if the model does not answer."""
        spent = Usage()
        if not self._refusal:
            try:
                return await self.model_vision.look(request, video)
            except ImagesRefusedError as error:
                refusal = f"{error}. Vision is offline until then: it reads text and colours only"
                if not self._refusal:
                    logger.warning("%s", refusal)
                self._refusal = refusal
                spent = failed_usage(error)
        result = await self.offline_vision.look(request, video)
        return replace(result, usage=result.usage + spent, warnings=(*result.warnings, self._refusal))
