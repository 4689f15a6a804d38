"""freeonce run: programs in front of which the library cannot be put run as they did, alone and as a child."""

import shutil
import tempfile

import tools

SOURCE = 'int puts(const char *); int main(void) { puts("ran"); return 7; }\n'


class Case(tools.Case):
    def compile(self, *compiler, source=SOURCE):
        """A program; its name says which compiler made it."""
        path = self.dir / "".join(compiler).replace("/", "_")
        path.with_suffix(".c").write_text(source)
        if shutil.which(compiler[0]) is None:
            self.skip_or_fail(f"no {compiler[0]}")
        self.run_program(*compiler, "-o", path, path.with_suffix(".c"), expect=0)
        return path


class AnotherLibc(Case):
    """The dynamic linker of musl ends a program (127) for which LD_PRELOAD names a library of glibc."""

    def setUp(self):
        super().setUp()
        self.program = self.compile("musl-gcc")

    def check(self, *argv, **options):
        done = self.freeonce("--", *argv, expect=7, **options)
        self.assertEqual("ran\n", done.stdout)
        self.assertNotRegex(done.stderr, "(?i)error")

    def test_it_shows(self):
        """What is tested here fails with the path itself."""
        self.run_program(self.program, env={"LD_PRELOAD": tools.arguments.lib}, expect=127)

    def test_as_the_command(self):
        self.check(self.program)

    def test_as_a_child(self):
        """... of a program of glibc, which is guarded."""
        script = f"{tools.arguments.planted} alloc && {self.program}"
        self.check("sh", "-c", script)
        done = self.freeonce("--", "sh", "-c", script, expect=7)
        self.assertIn("1 process guarded", done.stderr)

    def test_with_a_library_of_its_own(self):
        self.check(self.program, env={"LD_PRELOAD": "libdl.so.2"})

    def test_wherever_the_library_is(self):
        """... and however deep, it is found by the programs of glibc."""
        with tempfile.TemporaryDirectory(prefix="freeonce-cli-") as folder:
            for path in (f"{folder}/libfreeonce.so", f"{folder}/a/b/c/d/e/f/g/h/i/j/libfreeonce.so.0"):
                self.run_program("install", "-D", tools.arguments.lib, path, expect=0)
                self.check(self.program, env={"FREEONCE_LIBRARY": path})
                done = self.freeonce("--", tools.arguments.planted, "bug", env={"FREEONCE_LIBRARY": path}, expect=99)
                self.assertNotIn("ERROR", done.stderr)

    def test_by_a_drop_in(self):
        unit = self.dir / "x.service"
        unit.write_text("[Service]\nExecStart=/usr/bin/openssl version\n")
        done = self.freeonce("systemd", unit, expect=0)
        (word,) = [line.partition("=")[2] for line in done.stdout.splitlines() if line.startswith("Environment=LD_P")]
        pair = word.split("=", 1)
        self.assertEqual("LD_PRELOAD", pair[0])
        self.assertIn("$LIB in LD_PRELOAD is right as it stands", done.stdout)
        done = self.run_program(self.program, env=dict([pair]), expect=7)
        self.assertEqual("", done.stderr)
        done = self.run_program(tools.arguments.planted, "bug", env=dict([pair]), expect=0)
        self.assertIn("double free of block", done.stderr)


tools.main()
