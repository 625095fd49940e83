"""From plain arguments (operations, edges, widths) to an `nn.Module`: one builder per space.

`ops` has one constructor per operation; `counts` counts parameters and flops of any module,
`formats` writes one as ONNX or .pt2, `devices` says where it runs. The first room where torch is
imported, so spaces import their builder inside `build` alone; it knows nothing of spaces.
"""
