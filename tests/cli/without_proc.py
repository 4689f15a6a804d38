"""Without /proc, as in a chroot or a container that has none: findings are the same, and what is missing is printed once."""

import tools


class WithoutProc(tools.Case):
    def run_there(self, *argv, env=None, expect):
        script = 'mount -t tmpfs -o ro none /proc; exec "$@"'
        return self.in_namespace(script, *argv, env=env, expect=expect)

    def test_freeonce_run(self):
        argv = [tools.arguments.freeonce, "--set", "STACKS=4", "--journal", self.journal, "--"]
        done = self.run_there(*argv, tools.arguments.planted, "object", expect=99)
        self.assertRegex(done.stderr, r"freed again  by planted\+0x[0-9a-f]+ +pid \d+ \(planted\)")
        self.assertIn("freeonce: 1 finding; 1 process guarded; the command ended with status 0", done.stderr)
        printed = [line for line in done.stderr.splitlines() if "/proc" in line]
        self.assertEqual(
            [
                "freeonce: /proc is not mounted here: processes that cannot write the journal will not be noticed",
                "freeonce: /proc is not mounted here: callers are shown without function and source line, "
                "as module+address",
            ],
            printed,
        )
        there = self.report(self.journal, expect=99).stdout  # the journal has what a command with /proc needs
        self.assertRegex(there, r"freed again  by free_object_twice\(\) \S*planted.c:\d+")

    def test_a_command_that_is_relative(self):
        script = f"cd {tools.arguments.planted.rsplit('/', 1)[0]} && exec ./planted object"
        argv = [tools.arguments.freeonce, "--journal", self.journal, "--", "sh", "-c", script]
        done = self.run_there(*argv, expect=99)
        self.assertRegex(done.stderr, r"freed again  by planted\+0x")
        there = self.report(self.journal, expect=99).stdout
        self.assertIn("by free_object_twice()", there)

    def test_nothing_was_guarded(self):
        done = self.run_there(tools.arguments.freeonce, "--ci", "--", "true", expect=78)
        self.assertIn("nothing was checked", done.stderr)

    def test_the_library_alone(self):
        for backend in "arena", "libc", "shm", "guard":
            with self.subTest(backend):
                env = {"LD_PRELOAD": tools.arguments.lib, "FREEONCE_BACKEND": backend}
                done = self.run_there(tools.arguments.planted, "alloc", "fork", "object", env=env, expect=0)
                self.assertRegex(done.stderr, r"^freeonce: double free of X509 ")
                self.assertRegex(done.stderr, r"freed again  by planted\+0x[0-9a-f]+ +pid \d+ \(planted\), forked from")
                self.assertNotIn("/proc", done.stderr)

    def test_a_log_that_is_a_descriptor(self):
        env = {"LD_PRELOAD": tools.arguments.lib, "FREEONCE_LOG": "/dev/fd/1"}
        done = self.run_there(tools.arguments.planted, "bug", env=env, expect=0)
        self.assertIn("FREEONCE_LOG=/dev/fd/1 cannot be opened (/proc is not mounted), reports go to stderr", done.stderr)
        self.assertIn("double free", done.stderr)

    def test_functions_of_the_program(self):
        """Whether processes share their memory is read from /proc."""
        argv = [tools.arguments.faults, "--host=shared", "double-free"]
        env = {"LD_PRELOAD": tools.arguments.lib}
        done = self.run_there(*argv, env=env, expect=0)
        said = "WARNING: /proc is not mounted here, so whether the processes of this program share the memory"
        self.assertEqual(1, done.stderr.count(said), done.stderr)
        done = self.run_there(*argv, env={**env, "FREEONCE_SHARED": "1"}, expect=0)
        self.assertNotIn("WARNING", done.stderr)


tools.main(lambda parser: parser.add_argument("--faults", required=True))
