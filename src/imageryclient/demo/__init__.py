"""A dataset of one's own: a made (or a real, small) EM volume on disk, and a CAVE on loopback that serves it.

- `phantom`: imagery and objects made from a seed.
- `writer`: arrays to precomputed volumes, in every encoding the package reads.
- `build`: a whole datastack in a folder: imagery, supervoxels, flat segmentation, proofreading history.
- `history`: who belonged to whom, and when.
- `server`: the CAVE services over such a folder.
"""

__all__: list[str] = []
