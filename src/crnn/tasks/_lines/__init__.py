"""What a reader of lines is made of: its head, how sure it is, where letters lie, several readings made one."""
