"""Pictures and texts to look at: grids, thumbnails, the close look, drawing on a picture."""
