"""A run is a folder: settings, a journal of what happened, half-trained networks, the best one.

The driver leads a search through the folder, so that the same command goes on after whatever ended
it; everything that a run decides is in run.json, everything that happened is a line of
trials.jsonl. `NAS`, reports and the command line may import it; it knows no strategy and no space
by name.
"""
