"""The soak over time as SVG: four panels above one axis of time, the outages in grey."""
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
from bench_plot import document  # noqa: E402

LEFT, WIDTH, TOP, PANEL, SPACE = 70, 800, 40, 110, 40
COLOURS = ("#2a7f62", "#b5452c", "#3b5b92")


def _points(samples, get, place):
    """A line for each stretch that has values."""
    stretches = [[]]
    for sample in samples:
        value = get(sample)
        if value is None:
            stretches.append([])
        else:
            stretches[-1].append(place(sample.at_s, value))
    return [" ".join(f"{x:.0f},{y:.1f}" for x, y in stretch) for stretch in stretches if len(stretch) > 1]


def _panel(top, title, series, samples, length_s, is_log):
    values = [get(s) for _, get in series for s in samples if get(s) is not None]
    most = max([1, *values])
    if is_log:
        most = 10 ** math.ceil(math.log10(max(most, 10)))

    def place(at_s, value):
        share = math.log10(max(value, 1)) / math.log10(most) if is_log else value / (1.1 * most)
        return LEFT + WIDTH * at_s / length_s, top + PANEL * (1 - share)

    parts = [f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{PANEL}" fill="none" stroke="#999"/>',
             f'<text x="{LEFT}" y="{top - 6}">{title}</text>']
    marks = [10 ** n for n in range(int(math.log10(most)) + 1)] if is_log else [0, most]
    for mark in marks:
        y = place(0, mark)[1]
        parts += [f'<text x="{LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{mark:,.4g}</text>' if mark < 1e4 else
                  f'<text x="{LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{mark:,.0f}</text>',
                  f'<line x1="{LEFT}" y1="{y:.0f}" x2="{LEFT + WIDTH}" y2="{y:.0f}" stroke="#eee"/>']
    for n, (name, get) in enumerate(series):
        parts.append(f'<text x="{LEFT + WIDTH - 130 * (len(series) - n) + 20}" y="{top - 6}" fill="{COLOURS[n]}">{name}</text>')
        parts += [f'<polyline points="{line}" fill="none" stroke="{COLOURS[n]}" stroke-width="1.2"/>'
                  for line in _points(samples, get, place)]
    return parts


def plot(samples, outages, title):
    """outages: pairs of seconds, begin and end."""
    length_s = samples[-1].at_s
    panels = [
        ("memory, MiB", [("RSS", lambda s: s.rss_kb / 1024), ("allocated", lambda s: s.heap_kb / 1024)], False),
        ("descriptors and threads", [("descriptors", lambda s: s.files), ("threads", lambda s: s.threads)], False),
        ("acquisition to arrival at the subscriber, ms", [
            ("p50", lambda s: s.p50), ("p95", lambda s: s.p95), ("p99", lambda s: s.p99)], True),
        ("outbox", [("messages", lambda s: s.rows), ("KiB", lambda s: s.bytes / 1024)], True),
    ]
    height = TOP + len(panels) * (PANEL + SPACE) + 20
    bottom = height - SPACE
    parts = [f'<rect x="{LEFT + WIDTH * a / length_s:.1f}" y="{TOP}" width="{max(WIDTH * (b - a) / length_s, 1):.1f}" '
             f'height="{bottom - TOP}" fill="#e4e4e4"/>' for a, b in outages]
    for n, (name, series, is_log) in enumerate(panels):
        parts += _panel(TOP + 20 + n * (PANEL + SPACE), name, series, samples, length_s, is_log)
    for tenth in range(0, 11, 2):
        parts.append(f'<text x="{LEFT + WIDTH * tenth / 10}" y="{height - 8}" text-anchor="middle">'
                     f'{length_s * tenth / 600:.3g} min</text>')
    return document(LEFT + WIDTH + 30, height, title, parts)
