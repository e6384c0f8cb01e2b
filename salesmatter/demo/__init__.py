"""The main job, shown: from a CSV file to the campaign table, over real HTTP against the Everlytic sandbox."""
