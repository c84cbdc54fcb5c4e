"""Files that are complete or not there, and that know what they are.

- `export`: PNG, section by section; the drop-in functions.
- `record`: what a file says of itself.
- `stacks`: TIFF and OME-TIFF.
- `saving`, `loading`: a cutout into any of the formats, and back.
"""

__all__: list[str] = []
