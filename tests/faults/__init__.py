"""What goes wrong around headstart: files that change, processes that are killed, disks that are full."""
