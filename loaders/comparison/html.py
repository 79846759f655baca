"""A data comparison as one HTML page without scripts or external files."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from loaders.comparison.column_summary import QUANTILES, ColumnSummary, Histogram
from loaders.comparison.data_diff import ColumnDiff, DataDiff, shown

_WIDTH, _HEIGHT = 360, 90
_COLORS = ("#3b6fb6", "#d9822b")

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1f2933; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin: 0 0 .5rem; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .15rem .9rem .15rem 0; vertical-align: top; }
th { font-weight: 600; color: #52606d; } td { font-variant-numeric: tabular-nums; }
.column { border-top: 1px solid #d9e0e6; padding: 1rem 0; display: grid; gap: 0 2rem;
  grid-template-columns: minmax(0, 1fr) 360px; }
.column h2 { grid-column: 1 / -1; } .same h2 { color: #7b8794; font-weight: 500; }
.badge { font-size: .8rem; font-weight: 500; border-radius: .6rem; padding: .1rem .6rem; background: #e4e7eb; }
.differs { background: #fbe3c8; } .left { color: #3b6fb6; } .right { color: #b8620f; }
.note, .where { color: #52606d; } code { font-size: .92em; } svg { display: block; max-width: 100%; }
@media (max-width: 46rem) { .column { grid-template-columns: minmax(0, 1fr); } }
"""


def as_html(diff: DataDiff) -> str:
    """Return the comparison as an HTML page."""
    left, right = (escape(name) for name in diff.names)
    verdict = "the same" if diff.same else "different"
    title = f"{escape(diff.dataset)}: {left} and {right}"
    body = [
        f"<h1>{escape(diff.dataset)} <span class='badge{'' if diff.same else ' differs'}'>{verdict}</span></h1>",
        f"<p class='where'><b class='left'>{left}</b> <code>{escape(diff.locations[0])}</code><br>"
        f"<b class='right'>{right}</b> <code>{escape(diff.locations[1])}</code></p>",
        _overview(diff),
        *(f"<p class='note'>{escape(note)}</p>" for note in diff.notes),
        *(_column(column, diff.names) for column in sorted(diff.columns, key=lambda column: not column.differs)),
    ]
    return (
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
        f"<meta name='viewport' content='width=device-width'><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _overview(diff: DataDiff) -> str:
    what = f"keys ({', '.join(diff.key)})" if diff.key else "rows"
    rows = [
        _row("rows", f"{diff.rows[0]:,}", f"{diff.rows[1]:,}"),
        _row(f"{what} only here", *(f"{count:,}" for count in diff.only)),
        _row("of these", *("; ".join(examples) or "none" for examples in diff.only_examples)),
        _row(f"{what} in both", f"{diff.common:,}", f"{diff.common:,}"),
    ]
    return f"<table>{_head(diff.names)}{''.join(rows)}</table><br>"


def _head(names: tuple[str, str]) -> str:
    left, right = names
    return f"<tr><th></th><th class='left'>{escape(left)}</th><th class='right'>{escape(right)}</th></tr>"


def _row(title: str, *cells: str) -> str:
    return f"<tr><th>{escape(title)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _column(column: ColumnDiff, names: tuple[str, str]) -> str:
    sides = (column.left, column.right)
    rows = [_row("type", *(kind or "missing" for kind in column.types))]
    for title, cells in _numbers(sides):
        rows.append(_row(title, *cells))
    changed = f"<span class='badge differs'>{column.changed:,} changed</span>" if column.changed else ""
    examples = "".join(
        f"<tr><td>{escape(key)}</td><td class='left'>{escape(a)}</td><td class='right'>{escape(b)}</td></tr>"
        for key, a, b in column.examples
    )
    changes = (
        f"<table><tr><th>key</th>{_head(names)[len('<tr><th></th>') : -5]}</tr>{examples}</table>" if examples else ""
    )
    return (
        f"<section class='column{'' if column.differs else ' same'}'><h2>{escape(column.name)} {changed}</h2>"
        f"<div><table>{_head(names)}{''.join(rows)}</table></div><div>{_plot(sides, names)}{changes}</div></section>"
    )


def _numbers(sides: tuple[ColumnSummary | None, ColumnSummary | None]) -> Iterator[tuple[str, list[str]]]:
    yield "nulls", [f"{side.nulls:,}" if side else "" for side in sides]
    yield "distinct", ["" if side is None or side.distinct is None else f"{side.distinct:,}" for side in sides]
    if any(side is not None and side.minimum is not None for side in sides):
        yield "minimum", [shown(side.minimum) if side else "" for side in sides]
        if any(side is not None and side.quantiles for side in sides):
            for number, quantile in enumerate(QUANTILES):
                yield (
                    f"{quantile:.0%}",
                    [shown(side.quantiles[number]) if side and side.quantiles else "" for side in sides],
                )
        yield "maximum", [shown(side.maximum) if side else "" for side in sides]


def _plot(sides: tuple[ColumnSummary | None, ColumnSummary | None], names: tuple[str, str]) -> str:
    histograms = [side.histogram if side else None for side in sides]
    if histograms[0] is not None and histograms[1] is not None:
        return _histogram_plot(histograms[0], histograms[1], names)
    return _frequency_plot(sides, names)


def _histogram_plot(left: Histogram, right: Histogram, names: tuple[str, str]) -> str:
    """Return a plot of both sides over a common range, with each side's counts as shares of its rows."""
    shares = [[count / max(1, sum(side.counts)) for count in side.counts] for side in (left, right)]
    top = max([*shares[0], *shares[1], 1e-12])
    paths = []
    for color, side, name in zip(_COLORS, shares, names, strict=True):
        step = _WIDTH / len(side)
        points = [f"0,{_HEIGHT}"]
        for number, share in enumerate(side):
            height = _HEIGHT - share / top * (_HEIGHT - 6)
            points += [f"{number * step:.1f},{height:.1f}", f"{(number + 1) * step:.1f},{height:.1f}"]
        points.append(f"{_WIDTH},{_HEIGHT}")
        paths.append(
            f"<polygon points='{' '.join(points)}' fill='{color}' fill-opacity='.22' stroke='{color}' "
            f"stroke-width='1.5'><title>{escape(name)}</title></polygon>"
        )
    axis = (
        f"<line x1='0' y1='{_HEIGHT}' x2='{_WIDTH}' y2='{_HEIGHT}' stroke='#9aa5b1'/>"
        f"<text x='0' y='{_HEIGHT + 15}' font-size='11' fill='#52606d'>{escape(_edge(left.low))}</text>"
        f"<text x='{_WIDTH}' y='{_HEIGHT + 15}' font-size='11' fill='#52606d' text-anchor='end'>"
        f"{escape(_edge(left.high))}</text>"
    )
    label = escape(f"Distribution in {names[0]} and {names[1]}", quote=True)
    return f"<svg role='img' aria-label='{label}' viewBox='0 0 {_WIDTH} {_HEIGHT + 20}'>{''.join(paths)}{axis}</svg>"


def _edge(text: str) -> str:
    try:
        return f"{float(text):.6g}"
    except ValueError:
        return shown(text)


def _frequency_plot(sides: tuple[ColumnSummary | None, ColumnSummary | None], names: tuple[str, str]) -> str:
    """Return a plot of the most frequent values, with a bar of each side for each."""
    counts = [dict(side.frequent) if side else {} for side in sides]
    values = list(dict.fromkeys([*counts[0], *counts[1]]))[:8]
    if not values:
        return ""
    top = max(count for side in counts for count in side.values())
    bars = []
    for line, value in enumerate(values):
        y = line * 26
        text = escape(shown(value, 18))
        bars.append(f"<text x='118' y='{y + 15}' font-size='11' fill='#1f2933' text-anchor='end'>{text}</text>")
        for number, (color, side) in enumerate(zip(_COLORS, counts, strict=True)):
            width = side.get(value, 0) / top * (_WIDTH - 190)
            bars.append(f"<rect x='124' y='{y + 3 + 10 * number}' width='{width:.1f}' height='9' fill='{color}'/>")
            label = f"{side[value]:,}" if value in side else "0"
            at = 128 + width
            bars.append(f"<text x='{at:.1f}' y='{y + 11 + 10 * number}' font-size='9' fill='#52606d'>{label}</text>")
    label = escape(f"Most frequent values in {names[0]} and {names[1]}", quote=True)
    return f"<svg role='img' aria-label='{label}' viewBox='0 0 {_WIDTH} {len(values) * 26 + 4}'>{''.join(bars)}</svg>"
