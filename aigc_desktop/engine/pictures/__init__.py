"""What the families of pictures are made of: settings, plans, trained models, tasks, judging."""
