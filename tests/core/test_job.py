from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Failed, Finished, Note, Progress, Stopped
from aigc_desktop.core.job import run_job


def counting(log):
    def job(config, run):
        try:
            for step in range(config):
                wish = yield Progress(step, config)
                if wish:
                    yield Note(wish)
        finally:
            log.append("saved")

    return job


def test_a_job_that_ends_is_finished():
    log = []
    events = list(run_job(counting(log), 3, None))
    assert events == [Progress(0, 3), Progress(1, 3), Progress(2, 3), Finished()]
    assert log == ["saved"]


def test_stop_closes_the_job_before_it_says_stopped():
    log = []
    stream = run_job(counting(log), 100, None, should_stop=lambda: True)
    assert next(stream) == Progress(0, 100)
    assert next(stream) == Stopped()
    assert log == ["saved"]


def test_an_abandoned_stream_saves_too():
    log = []
    stream = run_job(counting(log), 100, None)
    next(stream)
    stream.close()
    assert log == ["saved"]


def test_a_request_reaches_the_job():
    wishes = iter(["save", None, None, None])
    events = list(run_job(counting([]), 2, None, next_request=lambda: next(wishes)))
    assert Note("save") in events


def test_an_error_becomes_failed_with_its_hint():
    def job(config, run):
        yield Progress(0, 1)
        raise UserError("The cup is empty.", "Fill it.")

    ending = list(run_job(job, None, None))[-1]
    assert isinstance(ending, Failed)
    assert (ending.message, ending.hint) == ("The cup is empty.", "Fill it.")
    assert "Traceback" in ending.details


def test_an_error_while_closing_becomes_failed():
    def job(config, run):
        try:
            yield Progress(0, 1)
        finally:
            raise OSError(28, "No space left on device")

    events = list(run_job(job, None, None, should_stop=lambda: True))
    assert events[-1].kind == "OutOfSpace"


def test_a_job_that_fails_before_its_first_event_is_failed():
    def job(config, run):
        raise MemoryError
        yield

    assert next(iter(run_job(job, None, None))).kind == "OutOfMemory"
