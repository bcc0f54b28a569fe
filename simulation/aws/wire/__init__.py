"""The way of a call: joined to boto3, through the network, and back."""
