"""What models take: counted per workspace, day and workflow, and kept within the day's budget."""
