"""`sadtalker serve`: the page and the REST API on a server of our own."""
