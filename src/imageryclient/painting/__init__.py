"""Labels and imagery into pictures: pure work on arrays, with no idea where they came from.

- `color`, `hues`, `steady`: palettes, and colours as people write them; an id's one colour wherever it appears.
- `display`: values of any dtype shown in 8 bits.
- `planes`: which way a block is cut and turned.
- `outline`, `nearby`: the edges of objects.
- `style`: the arguments of a picture, checked: what each id is painted with, and how outlines run.
- `stack`, `beneath`: segmentations and imagery as callers give them, section by section.
- `paint`, `blend`: sections painted by look-up tables.
- `traced`, `trails`, `patches`, `strokes`: sections painted along paths, with soft edges.
- `overlay`: the drop-in function.
- `picture`, `figure`, `scalebar`: upright pictures, stacks of them, scale bars.
- `contours`, `curves`: the edges of labels as rings, and as smooth paths.
- `vector`, `svg`, `pdf`: figures of vectors, and the files they are written as.
"""

__all__: list[str] = []
