"""What `benchmarks/peers.py` is made of; the peers themselves are in `benchmarks/peers/`."""
