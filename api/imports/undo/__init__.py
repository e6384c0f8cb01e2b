"""Taking back what the commit of a file did to leads, except where somebody has worked with them since."""
