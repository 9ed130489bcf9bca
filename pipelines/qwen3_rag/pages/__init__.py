"""Pages to look at: a comparison and an evaluation as files that can be mailed, and the page of the service."""
