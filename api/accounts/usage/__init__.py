"""Model usage: counted per workspace, day and workflow, and kept within a budget per day."""
