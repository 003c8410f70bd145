"""What comes next in a series: head, steps, bands, forecasts that need no network, and how they are shown."""
