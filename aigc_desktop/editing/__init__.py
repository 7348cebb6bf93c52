"""What is done with pictures after they were made: arithmetic on pixels, free of torch and Qt."""
