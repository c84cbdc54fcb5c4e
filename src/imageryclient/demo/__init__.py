"""A dataset of one's own: a made (or a small real) EM volume on disk, and a CAVE on loopback that serves it.

Data, each using those above it::

    writer                        arrays to precomputed volumes, in every encoding the package reads
    neuropil, sections            neurites along z, and whose each pixel of a section is
    noise, staining               sections into grey
    phantom                       a volume of imagery and connected objects; objects into supervoxels
    history (and what it uses)    who belonged to whom, and when
    build                         a datastack in a folder: layers, history, demo.json

`server` (and what it uses) serves such a folder as CAVE does; `tutorial` runs the whole of it.
"""

__all__: list[str] = []
