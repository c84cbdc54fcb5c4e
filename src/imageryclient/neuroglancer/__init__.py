"""Neuroglancer's views, read and written: links, states, colours; pure.

- `links`: a link taken apart, and made.
- `views`: what a viewer shows.
- `states`: the JSON state of a viewer, of today and of older ones, read as a view.
- `fields`, `transforms`, `shading`: its parts: what a value must be, where sources lie, how imagery is shown.
- `looks`: the options of a picture as a viewer has them.
- `sources`: source strings as a viewer takes them.
- `showing`: the layers with which a viewer shows a cutout.
- `localviewer`: a viewer on this machine.
- `colors`: the colours Neuroglancer gives to segments.

What the formats say is taken from Neuroglancer's sources (github.com/google/neuroglancer) and from links in the wild.
"""

__all__: list[str] = []
