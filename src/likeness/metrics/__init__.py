"""How good synthetic images are as a set: features, and distances between sets of them."""
