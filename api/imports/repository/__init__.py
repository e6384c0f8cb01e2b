"""The SQL of imports: uploads and their rows, what each row becomes, and the commit, preview and undo of that."""
