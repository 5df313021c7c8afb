"""What reaches into Hypercorn's insides."""
