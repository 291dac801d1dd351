"""What the CRM's apps share: abstract records, public ids, durations, admin behaviour.

It knows none of them, so that they need not know each other.
"""
