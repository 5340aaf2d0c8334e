"""Headwind's pipeline: feeds in, articles stored, scored and counted, alerts out."""
