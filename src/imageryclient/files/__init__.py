"""Files that are complete or not there, and that know what they are.

- `export`: PNG, section by section; the drop-in functions.
- `record`, `reading`: what a file says of itself, and how it is read from any of them.
- `stacks`, `movies`: TIFF and OME-TIFF; MP4, WebP and GIF, of which `turns` makes those of a `turn`.
- `saving`, `panels`: a cutout into any of the formats, or several into one figure.
- `loading`, `remaking`: a cutout back from its file, and the file made again.
"""

__all__: list[str] = []
