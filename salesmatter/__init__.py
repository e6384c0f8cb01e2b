"""Command line of SalesMatter: sets up the environment, starts processes, and runs the demo."""
