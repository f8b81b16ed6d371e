"""The parts of `headstart demo` that are no verb: its folder, its pictures of letters, and the picture at its end.

Only the demo imports from here. What a user's training does never enters.
"""
