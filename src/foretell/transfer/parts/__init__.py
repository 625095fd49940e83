"""Parts of the transfer room: the prior and how it is learnt, the encoder of graphs, its losses."""
