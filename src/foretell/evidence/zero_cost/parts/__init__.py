"""What proxies are made of: what is seen of a network, ranks, batches of data."""
