"""Encoders, one paper a file: sizes and wiring, no mathematics. The table below is all there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from crnn.models.cascade import Cascade
from crnn.models.conv_attention import ConvAttention
from crnn.models.convlstm import ConvLSTMStack
from crnn.models.crnn import CRNN
from crnn.models.crnn_htr import CRNNHTR
from crnn.models.crnn_kws import CRNNKWS
from crnn.models.crnn_vgg import CRNNVGG
from crnn.models.deepconvlstm import DeepConvLSTM
from crnn.models.deepspeech2 import DeepSpeech2
from crnn.models.eeg_cascade import EEGCascade
from crnn.models.eeg_parallel import EEGParallel
from crnn.models.grcnn import GRCNN
from crnn.models.lrcn import LRCN
from crnn.models.lstm_fcn import LSTMFCN
from crnn.models.lstnet import LSTNet
from crnn.models.mdlstm_htr import MDLSTMHTR
from crnn.models.nin import NIN
from crnn.models.parallel import Parallel
from crnn.models.pyramid import AbstractionPyramid
from crnn.models.r2unet import R2UNet
from crnn.models.rcnn import RCNN96, RCNN128, RCNN160
from crnn.models.rcnn_pinheiro import RCNNPinheiro
from crnn.models.rcnn_scene import RCNNScene
from crnn.models.renet import ReNetReader
from crnn.models.sednet import SEDnet
from crnn.models.tcn import TCN
from crnn.models.text_rcnn import TextRCNN
from crnn.models.transformer import Transformer
from crnn.models.unet import UNet
from crnn.types import Features, Level, Seq

MODELS: dict[str, Any] = {
    "cascade": Cascade,
    "parallel": Parallel,
    "crnn": CRNN,
    "crnn_vgg": CRNNVGG,
    "crnn_htr": CRNNHTR,
    "mdlstm_htr": MDLSTMHTR,
    "renet": ReNetReader,
    "rcnn_96": RCNN96,
    "rcnn_128": RCNN128,
    "rcnn_160": RCNN160,
    "nin": NIN,
    "grcnn": GRCNN,
    "rcnn_scene": RCNNScene,
    "rcnn_pinheiro": RCNNPinheiro,
    "r2unet": R2UNet,
    "unet": UNet,
    "pyramid": AbstractionPyramid,
    "lrcn": LRCN,
    "text_rcnn": TextRCNN,
    "deepconvlstm": DeepConvLSTM,
    "lstm_fcn": LSTMFCN,
    "lstnet": LSTNet,
    "tcn": TCN,
    "transformer": Transformer,
    "conv_attention": ConvAttention,
    "convlstm": ConvLSTMStack,
    "crnn_kws": CRNNKWS,
    "sednet": SEDnet,
    "deepspeech2": DeepSpeech2,
    "eeg_cascade": EEGCascade,
    "eeg_parallel": EEGParallel,
}


class Encoder(Protocol):
    """Built as ``Model(spec: InputSpec, settings: Model.Settings)``."""

    accepts: tuple[str, ...]
    """Kinds of input that it can read."""
    branches: tuple[tuple[str, ...], ...] | Mapping[str, tuple[str, ...]]
    """Only where it can read several inputs: the kinds of each, in their order or by the names that they must have. It
    is then built of a mapping name -> ``InputSpec`` and given a mapping name -> ``Seq``; steps are the first's."""
    fused: tuple[str, ...]
    """Only where branches are fused by a module ``fusion``: what each is called, in the order in which it is given
    them, so that a test can say what each does for the answers."""
    pooling: str
    """How its steps are best made one, if there is a best: mean, max, last, attention."""
    streams: bool
    """Only where a network can listen to a stream though it looks a little ahead: ``begin()`` gives a state,
    ``forward(piece, state)`` the steps that are certain, ``finish(state)`` the ``Features`` that are owed at the end.
    An encoder that is ``causal`` owes nothing, and begins with ``None``."""
    answers: tuple[str, ...]
    """Only where a network reads its own answers: of which kinds these may be, maps of labels or pictures. It is built
    with ``outputs``, how many there are at each place, and its levels are their logits, the last of which counts."""
    height: int
    """Height of the pictures that it was made for (readers of lines only)."""
    levels: tuple[Level, ...]
    """What comes out, fine to coarse."""

    def out_lengths(self, lengths: Tensor) -> Tensor:
        """Steps of the last level for inputs of ``lengths`` steps."""

    def forward(self, seq: Seq, state: Any = None) -> Features: ...
