"""MTCNN's weights as the kernel reads them: the structs of `kernel.h` as arrays of floats."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from pipeline.models import Model

Float = npt.NDArray[np.float32]
Weights = Mapping[str, Float]
"""facenet-pytorch's state of one net: convolutions (out, in, rows, columns), dense (out, in)."""

LANES = 16
"""Outputs are padded to a multiple of this, which every variant's vectors divide."""
TILE = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
"""G of F(2 x 2, 3 x 3), Lavin and Gray, CVPR 2016."""


def read_weights(model: Model) -> dict[str, dict[str, Float]]:
    """The weights of pnet, rnet and onet, by the names that facenet-pytorch gives them.

    Raises ModelError when they are not those of the model's card.
    """
    with np.load(io.BytesIO(model.read(model.file("weights"))), allow_pickle=False) as arrays:
        nets: dict[str, dict[str, Float]] = {"pnet": {}, "rnet": {}, "onet": {}}
        for name in arrays.files:
            net, _, tensor = name.partition(".")
            nets[net][tensor] = arrays[name]
    return nets


def pack_pnet(weights: Weights) -> Float:
    """`struct pnet`."""
    parts: list[npt.NDArray[np.floating]] = []
    for number, group in ((1, 5), (2, 4), (3, 4)):
        tiles, *others = _winograd(weights, number)
        parts += [_streamed(tiles, group), *others]
    parts += _face_logit(weights, "conv4_1")
    parts += [weights["conv4_2.weight"][:, :, 0, 0], weights["conv4_2.bias"]]
    return _flat(parts)


def pack_rnet(weights: Weights) -> Float:
    """`struct rnet`."""
    return _flat(
        [
            *_convolution(weights, 1),
            *_winograd(weights, 2),
            *_convolution(weights, 3),
            *_dense(weights, "dense4", "prelu4", side=3),
            *_heads(weights, "dense5_1", "dense5_2"),
        ]
    )


def pack_onet(weights: Weights) -> Float:
    """`struct onet`."""
    return _flat(
        [
            *_convolution(weights, 1),
            *_winograd(weights, 2),
            *_winograd(weights, 3),
            *_convolution(weights, 4),
            *_dense(weights, "dense5", "prelu5", side=3),
            *_heads(weights, "dense6_1", "dense6_2", "dense6_3"),
        ]
    )


def _face_logit(weights: Weights, layer: str) -> list[Float]:
    """The logit of a face less that of none: what softmax over the two makes of them."""
    kernel, bias = weights[f"{layer}.weight"], weights[f"{layer}.bias"]
    return [(kernel[1] - kernel[0]).reshape(-1), bias[1:] - bias[:1]]


def _streamed(tiles: npt.NDArray[np.floating], group: int) -> npt.NDArray[np.floating]:
    """Tiles (row, column, in, out) in the order in which `convolve` of pnet.h reads them.

    A group of outputs after the other; in each the columns 1, 2, 0 and 3 of the tile; in each the
    rows 1 and 2 together, then 0 and 3.
    """
    sign = np.array([1, 1, 1, -1])
    signed = tiles * sign[:, None, None, None] * sign[None, :, None, None]
    rows, columns, inputs, outputs = signed.shape
    grouped = signed.reshape(rows, columns, inputs, outputs // group, group)
    pairs = np.stack([grouped[[1, 2]], grouped[[0, 3]]])[:, :, [1, 2, 0, 3]]
    return pairs.transpose(4, 2, 0, 3, 1, 5)


def _winograd(weights: Weights, number: int) -> list[npt.NDArray[np.floating]]:
    """As struct WINOGRAD: a convolution's 4 x 4 tiles, for each input and output."""
    kernel = weights[f"conv{number}.weight"].astype(np.float64)
    tiles = np.einsum("ra,oiab,cb->rcio", TILE, kernel, TILE)
    return [tiles, weights[f"conv{number}.bias"], weights[f"prelu{number}.weight"]]


def _convolution(weights: Weights, number: int) -> list[Float]:
    """As struct LAYER: taps in the order row, column, input."""
    kernel = weights[f"conv{number}.weight"]
    taps = kernel.transpose(2, 3, 1, 0).reshape(-1, len(kernel))
    return _layer(taps, weights[f"conv{number}.bias"], weights[f"prelu{number}.weight"])


def _dense(weights: Weights, layer: str, prelu: str, side: int) -> list[Float]:
    """As struct LAYER: the reference flattens its map by column, row, channel, we by row first."""
    kernel = weights[f"{layer}.weight"]
    outputs = len(kernel)
    taps = kernel.reshape(outputs, side, side, -1).transpose(2, 1, 3, 0).reshape(-1, outputs)
    return _layer(taps, weights[f"{layer}.bias"], weights[f"{prelu}.weight"])


def _heads(weights: Weights, face: str, *others: str) -> list[Float]:
    """As struct LAYER: the face logit, then the outputs of the other heads, without PReLU."""
    logit, bias = _face_logit(weights, face)
    taps = np.column_stack([logit, *(weights[f"{head}.weight"].T for head in others)])
    biases = np.concatenate([bias, *(weights[f"{head}.bias"] for head in others)])
    return _layer(taps, biases, np.ones_like(biases))


def _layer(taps: Float, bias: Float, slope: Float) -> list[Float]:
    missing = -taps.shape[1] % LANES
    return [
        np.pad(part, [(0, 0)] * (part.ndim - 1) + [(0, missing)]) for part in (taps, bias, slope)
    ]


def _flat(parts: list[npt.NDArray[np.floating]]) -> Float:
    return np.concatenate([part.ravel() for part in parts]).astype(np.float32)
