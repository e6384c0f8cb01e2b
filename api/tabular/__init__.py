"""Files as people have them, read into rows: encoding, layout, records, blocks to copy, cells that are addresses."""
