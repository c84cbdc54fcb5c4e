"""Many places at once: cutouts of thousands of them, each chunk read once, memory bounded whatever the number.

- `places`: centres of one size, from arrays, tables and CSV files.
- `grouping`: an order in which neighbours follow each other, cut into groups within a byte budget.
- `terms`, `reading`: what is read at every place; the cutouts of one group.
- `failures`: places that could not be read.
- `stream`, `ahead`, `progress`: the cutouts of all places, one after the other.
- `scattering`, `shelf`: what they take from chunks, waiting on disk for its turn, where they are wanted in order.
- `export` and the others: the places written into one output, see there.
"""

__all__: list[str] = []
