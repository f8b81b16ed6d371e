"""What a run is: its options, its manifest and its files, all as typed records; no Keras is needed to read them."""
