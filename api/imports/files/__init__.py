"""Reading of uploaded files: any encoding, delimiter and preamble, plain, gzipped or an Excel workbook."""
