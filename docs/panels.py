"""Axes side by side, drawn as an SVG, for the scripts of this folder. Needs nothing but Python."""

import math
import pathlib

COLOURS = ["#0b62a4", "#d1495b", "#3c8d40", "#8a5aa8", "#b07d1a"]
WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 860, 330, 56, 40, 46, 70
PANEL = (WIDTH - 2 * LEFT - GAP) / 2


def ticks(low, high, count=6):
    rough = (high - low) / count
    unit = 10 ** math.floor(math.log10(rough))
    unit *= next(factor for factor in (1, 2, 5, 10) if factor * unit >= rough)
    first = math.ceil(low / unit - 1e-9)
    return [i * unit for i in range(first, math.floor(high / unit + 1e-9) + 1)]


def doublings(low, high):
    """Powers of two times `low`."""
    return [low * 2**i for i in range(math.floor(math.log2(high / low) + 1e-9) + 1)]


class Panel:
    """One pair of axes in a row of two; what lies outside the range of y is cut off. `doubling`: both are logarithmic."""

    def __init__(self, place, title, label, x_range, y_range, doubling=False):
        column, row = place % 2, place // 2
        self.left, self.top = LEFT + column * (PANEL + GAP), row * HEIGHT + TOP
        self.scale = math.log2 if doubling else float
        self.title, self.label, self.x_range, self.y_range = title, label, x_range, y_range
        self.x_ticks = doublings(*x_range) if doubling else ticks(*x_range, 5)
        self.y_ticks = doublings(*y_range) if doubling else ticks(*y_range)
        self.parts = []
        self.draw_axes()

    def share(self, value, value_range):
        low, high = (self.scale(end) for end in value_range)
        return (self.scale(value) - low) / (high - low)

    def at(self, x, y):
        height = HEIGHT - TOP - BOTTOM
        down = min(max(1 - self.share(y, self.y_range), 0), 1)
        return self.left + PANEL * self.share(x, self.x_range), self.top + height * down

    def text(self, x, y, content, anchor="middle", extra=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{content}</text>')

    def draw_axes(self):
        bottom = self.top + HEIGHT - TOP - BOTTOM
        self.text(self.left, self.top - 14, self.title, "start", ' font-weight="bold"')
        for value in self.y_ticks:
            y = self.at(self.x_range[0], value)[1]
            self.parts.append(f'<path d="M{self.left:.1f} {y:.1f}h{PANEL:.1f}" stroke="#ddd"/>')
            self.text(self.left - 6, y + 4, f"{value:,.6g}", "end")
        for value in self.x_ticks:
            self.text(self.at(value, self.y_range[0])[0], bottom + 18, f"{value:,.6g}")
        self.text(self.left + PANEL / 2, bottom + 36, self.label)
        self.parts.append(
            f'<path d="M{self.left:.1f} {self.top}V{bottom}h{PANEL:.1f}" fill="none" stroke="#444"/>'
        )

    def draw_line(self, points, colour, width, opacity=1.0):
        path = " ".join("%.1f,%.1f" % self.at(x, y) for x, y in points)
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" opacity="{opacity}"/>'
        )

    def draw_band(self, low, high):
        left, top = self.at(self.x_range[0], high)
        bottom = self.at(self.x_range[0], low)[1]
        self.parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{PANEL:.1f}" height="{bottom - top:.1f}" fill="#e7efe2"/>'
        )

    def draw_legend(self, names, left=False):
        """At the top, on the right, or where lines rise on the left."""
        x, anchor = (self.left + 8, "start") if left else (self.left + PANEL - 8, "end")
        for row, (name, colour) in enumerate(names):
            self.text(x, self.top + 20 + 18 * row, name, anchor, f' fill="{colour}" font-weight="bold"')


def write_svg(path, panels):
    height = HEIGHT * math.ceil(len(panels) / 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="#222">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    parts += [part for panel in panels for part in panel.parts]
    pathlib.Path(path).write_text("\n".join(parts) + "\n</svg>\n")
