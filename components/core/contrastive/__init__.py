"""Training an encoder without labels: two views of every picture, and a linear probe that says what it learnt."""
