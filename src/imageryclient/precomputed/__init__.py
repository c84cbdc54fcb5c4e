"""The Neuroglancer precomputed volume format: pure bytes and plans, no reading or writing of files.

- `info`: the info document: scales, chunk sizes, encodings.
- `chunks`: which chunks a box touches, and what they are called.
- `sharding`: where a chunk lies within shard files.
- `codecs`: the bytes of a chunk into voxels.
- `labels`: the labels of a chunk read and replaced in encoded form.

The format is specified at https://github.com/google/neuroglancer/tree/master/src/datasource/precomputed.
"""

__all__: list[str] = []
