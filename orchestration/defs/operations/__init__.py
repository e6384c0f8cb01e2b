"""What ties the pipeline to the operational side: the database, the jobs it asks for, and the checks across sides."""
