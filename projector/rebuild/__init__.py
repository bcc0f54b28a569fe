"""A new generation of a read model beside the live one."""
