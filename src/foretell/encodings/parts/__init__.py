"""Parts of encodings: `learnt`, those that are networks, trained without targets."""
