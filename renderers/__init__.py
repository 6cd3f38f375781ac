"""A Cluster as text for another program. Pure: no file is read but the templates beside this one."""
