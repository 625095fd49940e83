"""What evidence is made of: who asks what, where answers are kept, what is cheap instead."""
