"""The block-placing masks of BEiT and MaskFeat in plain Python, one cell at a time.

Written from a reading of the released generators, to hold ours against: what is to be masked is
filled with blocks, one after the other; a block is drawn again until one fits, at most so many
times. What 20,000 masks of each kind look like is stored in ``tests/data/naive_masking.json``;
``python -m tests.references.naive_masking`` writes it anew.
"""

import json
import math
import random
from collections import Counter
from pathlib import Path

Cell = tuple[int, int, int]
Box = tuple[int, int, int, int, int, int]  # first step, row, column; steps, rows, columns

STORED = Path(__file__).parents[1] / 'data' / 'naive_masking.json'
NUM_MASKS = 20_000


def draw_sides(area: float, rng: random.Random) -> tuple[int, int]:
    """Rows and columns of a block of about this area, height / width from 0.3 to 1 / 0.3."""
    ratio = math.exp(rng.uniform(math.log(0.3), math.log(1 / 0.3)))
    return int(round(math.sqrt(area * ratio))), int(round(math.sqrt(area / ratio)))


def cells_of(box: Box) -> list[Cell]:
    """All cells of a block."""
    found = []
    for step in range(box[0], box[0] + box[3]):
        for row in range(box[1], box[1] + box[4]):
            for column in range(box[2], box[2] + box[5]):
                found.append((step, row, column))
    return found


def draw_cubes(
    window: Cell, num_masked: int, smallest: int, largest: int, rng: random.Random
) -> tuple[set[Cell], list[Box]]:
    """A clip's mask: blocks that last; 100 tries each, of one area range throughout."""
    masked: set[Cell] = set()
    boxes: list[Box] = []
    while len(masked) < num_masked:
        for _ in range(100):
            rows, columns = draw_sides(rng.uniform(smallest, largest), rng)
            steps = rng.randint(1, window[0])
            if rows >= window[1] or columns >= window[2]:
                continue
            corner = [
                rng.randint(0, whole - side)
                for whole, side in zip(window, (steps, rows, columns), strict=True)
            ]
            box = (*corner, steps, rows, columns)
            new = [cell for cell in cells_of(box) if cell not in masked]
            if 0 < len(new) <= num_masked - len(masked):
                masked.update(new)
                boxes.append(box)
                break
        else:
            break
    return masked, boxes


def draw_blocks(
    window: tuple[int, int], num_masked: int, smallest: int, largest: int, rng: random.Random
) -> tuple[set[Cell], list[Box]]:
    """An image's mask: 10 tries for each block, and none larger than what is left to mask."""
    masked: set[Cell] = set()
    boxes: list[Box] = []
    while len(masked) < num_masked:
        left = num_masked - len(masked)
        for _ in range(10):
            rows, columns = draw_sides(rng.uniform(smallest, min(left, largest)), rng)
            if rows >= window[0] or columns >= window[1]:
                continue
            top = rng.randint(0, window[0] - rows)
            box = (0, top, rng.randint(0, window[1] - columns), 1, rows, columns)
            new = [cell for cell in cells_of(box) if cell not in masked]
            if 0 < len(new) <= left:
                masked.update(new)
                boxes.append(box)
                break
        else:
            break
    return masked, boxes


def tabulate(masks: list[tuple[list[Cell], list[Box]]]) -> dict:
    """How often each cell is masked, and how often each total and each side of a block occurs."""
    cells, totals = Counter(), Counter()
    steps, rows, columns = Counter(), Counter(), Counter()
    for masked, boxes in masks:
        cells.update(masked)
        totals[len(masked)] += 1
        for box in boxes:
            steps[box[3]] += 1
            rows[box[4]] += 1
            columns[box[5]] += 1
    tables = dict(cells=cells, totals=totals, steps=steps, rows=rows, columns=columns)
    return {name: [[key, table[key]] for key in sorted(table)] for name, table in tables.items()}


def draw_many(kind: str, num_masks: int) -> list[tuple[list[Cell], list[Box]]]:
    """Masks of the official settings of ``kind``, 'cube' or 'block', from a fixed seed."""
    rng = random.Random(0)
    if kind == 'cube':
        drawn = [draw_cubes((8, 7, 7), 157, 9, 49, rng) for _ in range(num_masks)]
    else:
        drawn = [draw_blocks((14, 14), 78, 15, 78, rng) for _ in range(num_masks)]
    return [(sorted(masked), boxes) for masked, boxes in drawn]


def stored_tables(kind: str) -> dict[str, dict]:
    """What :func:`tabulate` found in 20,000 masks of one kind: tables from a value to a count."""
    tables = json.loads(STORED.read_text())[kind]
    return {
        name: {tuple(key) if isinstance(key, list) else key: count for key, count in table}
        for name, table in tables.items()
    }


if __name__ == '__main__':
    content = {kind: tabulate(draw_many(kind, NUM_MASKS)) for kind in ('cube', 'block')}
    STORED.write_text(json.dumps(content, separators=(',', ':')) + '\n')
