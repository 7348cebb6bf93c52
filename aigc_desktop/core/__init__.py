"""What a task, a configuration, an event and a run are; standard library, pydantic and numpy only."""
