"""Share between the commands what is not one command's own."""
