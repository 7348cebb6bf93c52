"""Nothing leaves the machine: the whole job works in an empty network namespace and asks for no connection."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REHEARSE = [sys.executable, "-m", "aigc_desktop", "rehearse", "--seconds", "1"]


def can_unshare() -> bool:
    unshare = shutil.which("unshare")
    return (
        unshare is not None
        and subprocess.run([unshare, "-n", "true"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.network_namespace
@pytest.mark.skipif(not can_unshare(), reason="this user may not make network namespaces")
def test_the_rehearsal_works_without_any_network(tmp_path):
    environment = {**os.environ, "AIGC_DESKTOP_WORKSPACE": str(tmp_path / "工作区 work")}
    done = subprocess.run(
        ["unshare", "-n", *REHEARSE], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    files = [Path(line) for line in done.stdout.splitlines() if line.startswith(str(tmp_path))]
    assert {file.parent.name for file in files} >= {"gpt", "image_gan", "image_vae"}
    assert all(file.is_file() and file.stat().st_size for file in files)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_no_process_of_the_job_asks_for_the_network(tmp_path):
    """The kernel's view: C libraries too. Local sockets are allowed, internet ones are not."""
    environment = {**os.environ, "AIGC_DESKTOP_WORKSPACE": str(tmp_path)}
    log = tmp_path / "trace"
    trace = ["strace", "-f", "-qq", "-e", "trace=socket,connect,bind", "-e", "signal=none", "-o", str(log)]
    done = subprocess.run(
        [*trace, *REHEARSE, "--family", "gpt"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert [line for line in log.read_text(encoding="utf-8").splitlines() if "AF_INET" in line] == []


def test_the_engine_process_is_cut_off_by_the_kernel(tmp_path):
    """Where the system allows it, the engine has no interface but its own loopback, which is down."""
    code = (
        "from aigc_desktop.core.offline import cut_network\n"
        "print(cut_network())\n"
        "print(open('/proc/net/dev', encoding='ascii').read().count(':'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    cut, interfaces = done.stdout.splitlines()
    if cut != "True":
        pytest.skip("this system allows no network namespaces to programs")
    assert interfaces == "1"
