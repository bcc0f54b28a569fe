"""DynamoDB's expressions and PartiQL statements, each compiled once by its text.

What AWS documents under "Using expressions in DynamoDB" and Kinfold or a test uses; anything else raises
NotModelledError.
"""
