from aigc_desktop.core.rehearsal import lessons
from aigc_desktop.engine.catalog import describe_catalogue


def test_what_makes_works_of_nothing_else_is_rehearsed():
    families = {task.family for task in lessons(describe_catalogue())}
    assert {"gpt", "image_flow", "image_transformer"} <= families
    assert not families & {"image_tokens", "diffusion", "language_model", "token_tagger"}
