"""The garbage collector of a command's process."""

import subprocess
import sys


def test_a_process_looks_seldom_for_cycles_and_not_at_its_end() -> None:
    program = (
        "import gc\n"
        "class Loop:\n"
        "    def __init__(self): self.own = self\n"
        "    def __del__(self): print('found')\n"
        "Loop(); gc.collect()\n"
        "from mt.garbage import spare_garbage_collector\n"
        "spare_garbage_collector()\n"
        "print(gc.get_threshold()[0])\n"
        "Loop(); gc.collect()\n"
        "Loop()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("found\n10000\nfound\n", "")
