"""Headwind's classifier: sentiment and topics of financial news. Never imports monitor."""
