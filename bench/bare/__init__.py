"""What `startproject` makes, with Channels and Daphne: what starting costs without us."""
