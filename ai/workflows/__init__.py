"""The workflows, one folder each: state, nodes, graph and the prompts they use."""
