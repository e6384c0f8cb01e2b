"""Files as people have them, read into rows: encoding, layout, records, and blocks to copy into the database."""
