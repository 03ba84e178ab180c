"""Pictures in rows and columns, placed to the pixel: no layout engine guesses, so titles never run into pictures."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from avatarpipe.evaluation.style import styled


@dataclass(frozen=True)
class Tiling:
    """Sizes in inches: a tile, the gaps between columns and between rows, and the margins around all of them."""

    rows: int
    columns: int
    width: float
    height: float
    gap: float = 0.04
    row_gap: float = 0.04
    left: float = 0.1
    right: float = 0.1
    top: float = 0.1
    bottom: float = 0.1
    block: int = 1000
    """After so many columns comes a gap five times as wide."""

    @property
    def size(self) -> tuple[float, float]:
        """(width, height) of the whole figure."""
        across = self.corner_x(self.columns - 1) + self.width + self.right
        down = self.rows * self.height + (self.rows - 1) * self.row_gap + self.top + self.bottom
        return across, down

    def corner(self, row: int, column: int) -> tuple[float, float]:
        """(x, y) of a tile's top left corner, from the figure's bottom left."""
        return self.corner_x(column), self.size[1] - self.top - row * (self.height + self.row_gap)

    def corner_x(self, column: int) -> float:
        """x of a column's left edge."""
        return self.left + column * (self.width + self.gap) + column // self.block * 4 * self.gap

    def axes(self, figure: Figure, row: int, column: int) -> Axes:
        """Empty axes that fill a tile, without ticks or frame."""
        x, y = self.corner(row, column)
        place = figure.add_axes(self.share(x, y - self.height, self.width, self.height))
        place.set(xticks=[], yticks=[])
        place.spines[:].set_visible(False)
        place.grid(False)
        return place

    def share(self, x: float, y: float, width: float, height: float) -> tuple[float, ...]:
        """A box in inches as shares of the figure, as add_axes wants it."""
        across, down = self.size
        return x / across, y / down, width / across, height / down

    def text(self, figure: Figure, x: float, y: float, text: str, **style) -> None:
        """`text` at a place in inches."""
        across, down = self.size
        figure.text(x / across, y / down, text, **style)


def picture_grid(
    images: dict[str, list[np.ndarray]], columns: list[str], title: str, width=12.0
) -> Figure:
    """Rows of equally large images, a row's name at its left, column names above, the title on top; `width` in inches."""
    pixels_high, pixels_wide = next(iter(images.values()))[0].shape[:2]
    left = 0.4
    tile = (width - left - 0.1 - 0.04 * (len(columns) - 1)) / len(columns)
    tiling = Tiling(
        len(images), len(columns), tile, tile * pixels_high / pixels_wide, left=left, top=0.72
    )
    with styled():
        figure = Figure(figsize=tiling.size)
        for row, (name, pictures) in enumerate(images.items()):
            for column, picture in enumerate(pictures):
                tiling.axes(figure, row, column).imshow(picture, interpolation="antialiased")
            x, y = tiling.corner(row, 0)
            style = {
                "rotation": 90,
                "ha": "center",
                "va": "center",
                "fontsize": 12,
                "fontweight": "bold",
            }
            tiling.text(figure, x - 0.2, y - tiling.height / 2, name, **style)
        for column, name in enumerate(columns):
            x, y = tiling.corner(0, column)
            style = {"ha": "center", "va": "bottom", "fontsize": 12, "fontweight": "bold"}
            tiling.text(figure, x + tiling.width / 2, y + 0.07, name, **style)
        tiling.text(figure, left, tiling.size[1] - 0.1, title, va="top", fontsize=13)
    return figure
