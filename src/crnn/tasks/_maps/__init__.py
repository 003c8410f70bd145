"""A label for each pixel: head, loss, tiles of large pictures, and how label maps are shown."""
