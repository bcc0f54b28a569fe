"""Kinfold by itself: throughput, costs and profiles, with AWS from memory."""
