"""From signals to ranked causes: features, signs, weights, ranking."""
