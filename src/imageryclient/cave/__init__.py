"""CAVE's services: what a CAVEclient supplies, and the chunked graph that says which object a supervoxel belongs to.

- `datastack`: sources, token, resolution and moment of a CAVEclient.
- `rest`: requests, with a token and bounded patience.
- `chunkedgraph`: roots, leaves and lives of ids at a moment.
- `node_ids`: the bits of ids.
- `rootmemory`: roots that were looked up.
- `lineage`: what became of ids.
"""

__all__: list[str] = []
