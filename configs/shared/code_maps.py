"""Convolutional networks between x and a map of codes, for several configs."""

from typing import Any

from ml_collections import ConfigDict

from atelier.data.dataset import Spec
from configs.shared import common
from models.autoencoders.vq_networks import MapDecoder, MapEncoder
from models.nets.conv_encoder_decoder import spatial_shape, stage_shapes


def networks(
    config: ConfigDict, spec: Spec, output_shape: tuple[int, ...], channels: int
) -> tuple[MapEncoder, MapDecoder, tuple[int, ...]]:
    """Returns (encoder, decoder, shape of the map between them), by the fields of config.model.

    Args:
      config: has `channels`, one stage each, `block_channels`, `kernel_size`, `conv_form` and
        `activation`.
      spec: spec of the data.
      output_shape: shape of one output of the decoder.
      channels: channels of the map.

    Raises:
      UserError: a field is out of its range.
    """
    shape = map_shape(config, spec, channels)
    return encoder(config, spec, shape), decoder(config, spec, output_shape), shape


def map_shape(config: ConfigDict, spec: Spec, channels: int) -> tuple[int, ...]:
    """Returns [*positions, channels], the shape of a map: each stage halves the resolution."""
    num_stages = len(common.conv_shapes(config)['channels'])
    return (*stage_shapes(spatial_shape(spec.event_shape), num_stages)[-1], channels)


def encoder(config: ConfigDict, spec: Spec, encoded_shape: tuple[int, ...]) -> MapEncoder:
    """Returns the network from x to a map of this shape."""
    return MapEncoder(spec.event_shape, (), encoded_shape, **_options(config))


def decoder(config: ConfigDict, spec: Spec, output_shape: tuple[int, ...]) -> MapDecoder:
    """Returns the network from a map to an output of this shape."""
    return MapDecoder(spec.event_shape, (), output_shape, **_options(config))


def _options(config: ConfigDict) -> dict[str, Any]:
    """Returns the fields of both networks; raises as `networks`."""
    return {
        **common.conv_shapes(config),
        **common.conv_form(config),
        **common.network_options(config),
        'block_channels': common.sizes(config, 'block_channels'),
    }
