"""Pictures as answers: spoilt and clean in pairs, tiles of large ones, associative memories beside a network."""
