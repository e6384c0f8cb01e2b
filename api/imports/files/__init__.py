"""Files as people have them, read into rows: kind, encoding, layout, records, frames, cells that are addresses."""
