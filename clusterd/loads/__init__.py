"""Where the load of real servers is read from: `sources` has all of them."""
