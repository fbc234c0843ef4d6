"""How many images/s a cluster can carry, from measured costs of its parts; no files or clock in here."""
