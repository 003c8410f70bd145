"""ReNet (Visin et al. 2015, arXiv 1505.00393): a picture is read column by column, then row by row."""

from __future__ import annotations

from torch import Tensor, nn

from crnn.layers._axes import Size, each
from crnn.layers._given import channels_first, check_axes, check_lengths, check_window
from crnn.layers.padding import out_length, zero_padding
from crnn.layers.recurrent import Recurrent


class Patches(nn.Module):
    """Each ``kernel_size`` (columns, rows) of ``(batch, channels, time, height)`` becomes one place with all their
    values as channels, ``(channels, columns, rows)`` flattened; ``forward(x, lengths) -> (y, lengths)``.

    What is left over at the right and at the bottom is dropped, as a pool does. Padding of ``y`` is zero.
    """

    def __init__(self, kernel_size: Size) -> None:
        super().__init__()
        self.kernel_size = each("kernel_size", kernel_size, 2)

    def extra_repr(self) -> str:
        return f"{self.kernel_size}"

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        check_axes("x", x, channels_first(2))
        check_window(self.kernel_size, x.shape[2:], ("time", "height"))
        check_lengths(lengths, x.shape[0], x.shape[2])
        columns, rows = self.kernel_size
        time, height = x.shape[2] // columns, x.shape[3] // rows
        x = x[:, :, : time * columns, : height * rows].reshape(*x.shape[:2], time, columns, height, rows)
        # (batch, channels, time, columns, height, rows) -> (batch, channels * columns * rows, time, height)
        y = x.permute(0, 2, 4, 1, 3, 5).flatten(3).permute(0, 3, 1, 2)
        lengths = None if lengths is None else self.out_lengths(lengths)
        return zero_padding(y, lengths, axis=2), lengths

    def out_lengths(self, lengths: Tensor) -> Tensor:
        """Steps that are made of ``lengths`` steps."""
        return out_length(lengths, self.kernel_size[0], self.kernel_size[0])


class ReNet(nn.Module):
    """One layer over ``(batch, inputs, time, height)``: patches of ``kernel_size`` (columns, rows), flattened; then a
    recurrence up and down each column; then one there and back along each row of what came of it::

        v[t, r] = (down(p[t, 0..r]), up(p[t, r..]))
        y[t, r] = (right(v[0..t, r]), left(v[t.., r]))

    So each place of ``y`` ``(batch, 2 * size, time / columns, height / rows)`` knows the whole picture.
    ``forward(x, lengths) -> (y, lengths)``; with ``lengths`` the way back begins at each sample's own end, and the
    padding of ``y`` is zero. ``cell`` is one that ``Recurrent`` knows (the paper takes ``"gru"``, and says that LSTM
    does as well).
    """

    def __init__(self, inputs: int, size: int, *, kernel_size: Size = 1, cell: str = "lstm") -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, 2 * size
        self.patches = Patches(kernel_size)
        columns, rows = self.patches.kernel_size
        self.vertical = Recurrent(inputs * columns * rows, size, cell=cell, bidirectional=True)
        self.horizontal = Recurrent(2 * size, size, cell=cell, bidirectional=True)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        check_axes("x", x, channels_first(2), self.inputs)
        x, lengths = self.patches(x, lengths)
        batch, _, time, height = x.shape
        x = x.permute(0, 2, 3, 1).flatten(0, 1)  # -> (batch * time, height, channels)
        x, _ = self.vertical(x)
        x = x.view(batch, time, *x.shape[1:]).transpose(1, 2).flatten(0, 1)  # -> (batch * height, time, channels)
        x, _ = self.horizontal(x, None, None if lengths is None else lengths.repeat_interleave(height))
        return x.view(batch, height, *x.shape[1:]).permute(0, 3, 2, 1), lengths  # -> (batch, outputs, time, height)

    def out_lengths(self, lengths: Tensor) -> Tensor:
        """Steps that come out of ``lengths`` steps."""
        return self.patches.out_lengths(lengths)
