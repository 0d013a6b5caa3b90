"""Write detectors of objects with random weights, to measure how long networks of their size take.

    python benchmarks/random_detectors.py FOLDER        # needs the extra transformers, and onnx
    python benchmarks/objects.py FOLDER/*

The sizes are those of the published models D-FINE nano and RT-DETRv2 with a ResNet of 18 layers.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import (
    DFineConfig,
    DFineForObjectDetection,
    HGNetV2Config,
    RTDetrResNetConfig,
    RTDetrV2Config,
    RTDetrV2ForObjectDetection,
)

NUM_CLASSES = 80


def dfine_nano() -> Any:
    """3.8 million weights."""
    backbone = HGNetV2Config(
        stem_channels=[3, 16, 16],
        stage_in_channels=[16, 64, 256, 512],
        stage_mid_channels=[16, 32, 64, 128],
        stage_out_channels=[64, 256, 512, 1024],
        stage_num_blocks=[1, 1, 2, 1],
        stage_downsample=[False, True, True, True],
        stage_light_block=[False, False, True, True],
        stage_kernel_size=[3, 3, 5, 5],
        stage_numb_of_layers=[3, 3, 3, 3],
        hidden_sizes=[64, 256, 512, 1024],
        depths=[1, 1, 2, 1],
        embedding_size=16,
        use_learnable_affine_block=True,
        out_features=["stage3", "stage4"],
    )
    config = DFineConfig(
        backbone_config=backbone,
        d_model=128,
        decoder_in_channels=[128, 128],
        decoder_layers=3,
        decoder_ffn_dim=512,
        decoder_n_points=[6, 6],
        num_feature_levels=2,
        encoder_ffn_dim=512,
        encoder_hidden_dim=128,
        encoder_in_channels=[512, 1024],
        feat_strides=[16, 32],
        encode_proj_layers=[1],
        hidden_expansion=0.34,
        depth_mult=0.5,
        num_labels=NUM_CLASSES,
    )
    return DFineForObjectDetection(config)


def rtdetr_r18() -> Any:
    """20 million weights."""
    backbone = RTDetrResNetConfig(
        hidden_sizes=[64, 128, 256, 512],
        depths=[2, 2, 2, 2],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = RTDetrV2Config(
        backbone_config=backbone,
        encoder_in_channels=[128, 256, 512],
        hidden_expansion=0.5,
        decoder_layers=3,
        num_labels=NUM_CLASSES,
    )
    return RTDetrV2ForObjectDetection(config)


class Outputs(torch.nn.Module):  # type: ignore[misc]
    """A network with the outputs of docs/objects.md only."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixel_values: Any) -> tuple[Any, Any]:
        """Logits and boxes."""
        result = self.network(pixel_values=pixel_values)
        return result.logits, result.pred_boxes


def main() -> None:
    """Write a folder for each network and size."""
    for name, network, side_px in (
        ("dfine-nano-640", dfine_nano, 640),
        ("dfine-nano-320", dfine_nano, 320),
        ("rtdetrv2-r18-640", rtdetr_r18, 640),
    ):
        torch.manual_seed(0)
        folder = Path(sys.argv[1], name)
        folder.mkdir(parents=True, exist_ok=True)
        torch.onnx.export(
            Outputs(network().eval()),
            (torch.rand(1, 3, side_px, side_px),),
            folder / "model.onnx",
            input_names=["pixel_values"],
            output_names=["logits", "pred_boxes"],
            opset_version=17,
            dynamo=False,
        )


if __name__ == "__main__":
    main()
