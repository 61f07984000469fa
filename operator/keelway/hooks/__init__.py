"""PURE: webhooks of git hosts and registries: who sent one, what it tells, and which Images that concerns.

`engine/webhook.py` serves them, `engine/deliveries.py` records them on the Images.
"""
