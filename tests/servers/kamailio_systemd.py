"""Does the drop-in of `freeonce systemd` guard Debian's Kamailio, and does the journal outlive a crash?

The unit is the package's own; Kamailio is started with the environment that the drop-in gives it,
but for the journal's and the log's place.
"""

import pathlib
import re
import shlex
import subprocess

import harness
import kamailio

UNIT = pathlib.Path("/lib/systemd/system/kamailio.service")
ATTEMPTS = 5  # without cures: the bug is a race


def drop_in_environment(stage, freeonce, journal):
    """What the drop-in sets, as a dictionary."""
    if not UNIT.exists():
        raise harness.Skipped(f"no {UNIT}")
    argv = [freeonce, "systemd", UNIT, "--journal", journal, "--library", stage.lib]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    stage.check("exit status of freeonce systemd", 0, done.returncode)
    lines = re.findall(r"^Environment=(.*)$", done.stdout, re.M)
    pairs = [pair.partition("=") for line in lines for pair in shlex.split(line)]
    environment = {name: value for name, _, value in pairs}
    stage.check("LD_PRELOAD of the drop-in", "/usr/$LIB" + "/.." * 8 + str(stage.lib), environment.get("LD_PRELOAD"))
    stage.check("journal of the drop-in", str(journal), environment.get("FREEONCE_JOURNAL"))
    return environment


def report(freeonce, journal):
    argv = [freeonce, "report", "--no-symbols", journal]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def clean(stage, freeonce):
    journal = stage.dir / "clean.journal"
    environment = drop_in_environment(stage, freeonce, journal)
    environment["FREEONCE_LOG"] = str(stage.log)
    server, port, _ = kamailio.start(stage, **environment)
    _, result = kamailio.traffic(stage, port, 1500, "mixed")
    stage.check_served("mixed traffic", result)
    stage.check("exit status of kamailio", 0, stage.stop(server))
    stage.check_silent()
    status, text = report(freeonce, journal)
    stage.check("exit status of freeonce report", 0, f"{status}: {text}", status == 0)
    guarded = int(re.search(r"no findings; (\d+) processes guarded", text)[1])
    stage.check("guarded processes", "more than the 4 workers", guarded, guarded > 4)
    harness.step(f"{guarded} processes of Kamailio were guarded, and nothing was found")


def killed(stage, freeonce):
    """Without the cures the bugs appear; then all processes are killed, and the journal has the findings."""
    for number in range(1, ATTEMPTS + 1):
        journal = stage.dir / f"{number}.journal"
        environment = drop_in_environment(stage, freeonce, journal)
        environment.update(FREEONCE_LOG=str(stage.log), FREEONCE_CURES="none")
        server, port, _ = kamailio.start(stage, **environment)
        kamailio.traffic(stage, port, 1500, "mixed", "--give-up", 30, "--io-timeout", 5)
        print(f"attempt {number}: the server {'runs' if server.running() else 'has crashed'}")
        stage.kill_all()
        status, text = report(freeonce, journal)
        pids = set(re.findall(r"^  freed .* pid (\d+)", text, re.M))
        if status == 99 and "double free of" in text and len(pids) > 1:
            harness.step("after the crash the journal has: " + text.splitlines()[0])
            return
    stage.check("findings in the journal", "double frees by two processes", text, False)


def test(stage, arguments):
    harness.need("kamailio")
    if stage.lib is None or arguments.freeonce is None:
        raise harness.Failed("--lib and --freeonce are needed")
    freeonce = stage.freeonce
    clean(stage, freeonce)
    stage.log.unlink(missing_ok=True)
    kamailio.need_the_bug()
    killed(stage, freeonce)


if __name__ == "__main__":
    harness.main(test, __doc__)
