"""Many places at once: cutouts of thousands of them, each chunk read once, memory bounded whatever the number.

- `places`: centres of one size, from arrays, tables and CSV files.
- `grouping`: an order in which neighbours follow each other, cut into groups within a byte budget.
- `terms`, `reading`: what is read at every place; the cutouts of one group.
- `failures`: places that could not be read.
- `stream`, `ahead`, `shelf`, `progress`: the cutouts of all places, one after the other; what waits for its turn.
- `export` and the others: the places written into one output, see there.
"""

__all__: list[str] = []
