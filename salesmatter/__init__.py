"""Starting things: the environment, the command line, the processes of one machine, and the demo."""
