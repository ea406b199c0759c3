"""Monte Carlo and simulation of random networks and landscapes: what theory predicts, sampled."""
