"""AWS as we call it: failures by name, when to try again, calls in threads, and the quick ways through botocore.

The ground floor: it knows no other package of this project.
"""
