"""How many columns of labelled files the workflow `csv_mapping` maps rightly by rules alone."""
