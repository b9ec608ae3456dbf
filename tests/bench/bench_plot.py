"""A plot of the ratios as SVG: a bar for each row, its spread, and its target."""
from html import escape

LEFT, WIDTH, ROW, TOP = 560, 420, 28, 40


def document(width, height, title, parts):
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="12" y="20" font-size="14">{escape(title)}</text>', *parts, "</svg>", ""])


def _x(ratio, most):
    return LEFT + WIDTH * min(ratio, most) / most


def _row(n, row, most):
    y, x = TOP + n * ROW, _x(row.median, most)
    colour = "#2a7f62" if row.reached else "#b5452c"
    low, high, target = _x(min(row.ratios), most), _x(max(row.ratios), most), _x(row.target, most)
    return [
        f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(row.work[:78])}</text>',
        f'<rect x="{LEFT}" y="{y + 4}" width="{x - LEFT:.1f}" height="14" fill="{colour}"/>',
        f'<line x1="{low:.1f}" y1="{y + 11}" x2="{high:.1f}" y2="{y + 11}" stroke="#222" stroke-width="2"/>',
        f'<line x1="{target:.1f}" y1="{y}" x2="{target:.1f}" y2="{y + 22}" stroke="#222" stroke-dasharray="3 2"/>',
        f'<text x="{max(x, high, target) + 6:.1f}" y="{y + 15}">{row.median:.2f} {"≥" if row.at_least else "≤"} {row.target:g}</text>',
    ]


def plot(rows):
    """Only rows whose figure is a ratio."""
    rows = [row for row in rows if not row.shown]
    most = max([1.5, *(min(max(*row.ratios, row.target), 3) for row in rows)])
    height = TOP + len(rows) * ROW + 30
    one = _x(1, most)
    text = [
        f'<line x1="{one:.1f}" y1="{TOP - 6}" x2="{one:.1f}" y2="{height - 20}" stroke="#bbb"/>',
        f'<text x="{one:.1f}" y="{height - 8}" text-anchor="middle">1</text>',
    ]
    for n, row in enumerate(rows):
        text += _row(n, row, most)
    return document(LEFT + WIDTH + 120, height,
                    "field2mqtt to the reference of the same run: bar = median, black = spread, dashed = target", text)
