"""Which files does `freeonce report` open for functions and lines, and what can such a file do to it?"""

import os
import re
import resource
import shutil

import tools  # finds the modules below

import elf64
import opened

OTHER = 65533  # another user


class Case(tools.Case):
    """A program with a finding; its file is then replaced."""

    def setUp(self):
        super().setUp()
        self.program = self.dir / "program"
        shutil.copy(tools.arguments.planted, self.program)
        self.find(self.program, self.journal)

    def find(self, program, journal):
        pairs = (f"LD_PRELOAD={tools.arguments.lib}", f"FREEONCE_JOURNAL={journal}")
        self.run_program("env", *pairs, program, "object", expect=0)

    def shown(self, *argv, wrap=()):
        """The finding's last place, and the message about the program's file."""
        done = self.run_program(*wrap, tools.arguments.freeonce, "report", *argv, self.journal, expect=99)
        place = re.search(r"freed again +(.*?) +pid ", done.stdout)
        self.assertIsNotNone(place, done.stdout)
        said = [line for line in done.stderr.splitlines() if "symbols" in line]
        return place[1], "\n".join(said)

    def check_read(self, *argv, **options):
        place, said = self.shown(*argv, **options)
        self.assertRegex(place, r"^by free_object_twice\(\) .*planted\.c:\d+")
        self.assertEqual("", said)

    def check_not_read(self, why, *argv, **options):
        place, said = self.shown(*argv, **options)
        self.assertRegex(place, r"^by .*program\+0x[0-9a-f]+$")
        if why is None:
            self.assertEqual("", said)
        else:
            self.assertRegex(said, f"^freeonce: symbols of {re.escape(str(self.program))}: not read: {why}")

    def watch(self, path):
        watch = opened.Watch(path)
        self.addCleanup(watch.close)
        return watch

    def only_root(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give files away")


class Owners(Case):
    """Files of root's and of the caller's are read, others on request."""

    def test_of_the_caller(self):
        self.check_read()
        self.check_read("--symbols=own")
        self.check_read("--symbols=all")

    def test_none(self):
        watch = self.watch(self.program)
        self.check_not_read(None, "--symbols=no")
        self.check_not_read(None, "--no-symbols")
        self.assertFalse(watch.was_opened())

    def test_wrong_word(self):
        done = self.report("--symbols=mine", self.journal, expect=64)
        self.assertIn("--symbols mine: no, own and all are known", done.stderr)

    def test_of_another_user(self):
        self.only_root()
        os.chown(self.program, OTHER, OTHER)
        watch = self.watch(self.program)
        self.check_not_read(f"it belongs to user {OTHER}; --symbols=all reads it$")
        self.assertFalse(watch.was_opened())
        self.check_read("--symbols=all")
        self.assertTrue(watch.was_opened())

    def test_of_the_caller_who_is_not_root(self):
        user = self.unprivileged()
        self.journal.chmod(0o644)
        self.check_read(wrap=user)
        os.chown(self.program, 65534, 65534)
        self.check_read(wrap=user)
        self.check_not_read("it belongs to user 65534;")
        os.chown(self.program, OTHER, OTHER)
        self.check_not_read(f"it belongs to user {OTHER};", wrap=user)

    def test_that_others_can_write(self):
        self.only_root()
        for mode, group in ((0o757, 0), (0o775, OTHER)):
            os.chown(self.program, 0, group)
            self.program.chmod(mode)
            self.check_not_read("users other than root can write it; --symbols=all reads it$")
        self.check_read("--symbols=all")
        os.chown(self.program, 0, 0)
        self.check_read()

    def test_unreadable(self):
        user = self.unprivileged()
        self.journal.chmod(0o644)
        self.program.chmod(0o700)
        self.check_not_read("Permission denied$", wrap=user)

    def test_removed_file(self):
        self.program.unlink()
        self.check_not_read(None)


class Kinds(Case):
    """Only regular files are opened, for any user."""

    def replace(self, make):
        target = self.dir / "target"
        shutil.copy(self.program, target)
        self.program.unlink()
        make(target)
        return target

    def test_no_elf_file(self):
        """An ELF file can name any file as its debug file: /etc/shadow, say, where root reads the journal."""
        self.replace(lambda target: self.program.write_text("root:secret"))
        self.check_not_read("it is no ELF file$", "--symbols=all")

    def test_symbolic_link(self):
        self.replace(self.program.symlink_to)
        self.check_read()

    def test_symbolic_link_to_another_users_file(self):
        self.only_root()
        target = self.replace(self.program.symlink_to)
        os.chown(target, OTHER, OTHER)
        watch = self.watch(target)
        self.check_not_read(f"it belongs to user {OTHER};")
        self.assertFalse(watch.was_opened())
        self.check_read("--symbols=all")

    def test_symbolic_link_of_another_user(self):
        self.only_root()
        target = self.replace(self.program.symlink_to)
        os.chown(self.program, OTHER, OTHER, follow_symlinks=False)
        watch = self.watch(target)
        self.check_not_read(f"it is a symbolic link of user {OTHER}; --symbols=all follows it$")
        self.assertFalse(watch.was_opened())
        self.check_read("--symbols=all")

    def check_special(self, watched):
        watch = self.watch(watched)
        for argv in ([], ["--symbols=all"]):
            self.check_not_read("it is no regular file$", *argv)
        self.assertFalse(watch.was_opened())

    def test_fifo(self):
        self.replace(lambda target: os.mkfifo(self.program))
        self.check_special(self.program)

    def test_device(self):
        self.replace(lambda target: self.program.symlink_to("/dev/full"))
        self.check_special("/dev/full")

    def separate_debug_file(self):
        link = self.dir / "program.debug"
        self.run_program("objcopy", "--only-keep-debug", self.program, link, expect=0)
        self.run_program("objcopy", f"--add-gnu-debuglink={link}", "-g", self.program, expect=0)
        return link

    def test_fifo_in_place_of_a_debug_file(self):
        """The name is that of .gnu_debuglink, so it is the file's choice."""
        link = self.separate_debug_file()
        self.check_read()
        link.unlink()
        os.mkfifo(link)
        watch = self.watch(link)
        place, said = self.shown("--symbols=all")
        self.assertEqual("by main()", place)
        self.assertIn(f"its debug file {link} is not read: it is no regular file", said)
        self.assertFalse(watch.was_opened())

    def test_debug_file_that_several_share(self):
        """dwz(1) moves what they have in common into a third file."""
        if shutil.which("dwz") is None:
            self.skipTest("there is no dwz")
        common, second = self.dir / "common.debug", self.dir / "second"
        shutil.copy(self.program, second)
        self.run_program("dwz", "-m", common, self.program, second, expect=0)
        watch = self.watch(common)
        self.check_read()
        self.assertTrue(watch.was_opened())
        self.only_root()
        os.chown(common, OTHER, OTHER)
        _, said = self.shown()
        self.assertIn(f"its debug file {common} is not read: it belongs to user {OTHER}", said)
        self.assertFalse(watch.was_opened())

    def test_debug_file_of_another_user(self):
        self.only_root()
        link = self.separate_debug_file()
        os.chown(link, OTHER, OTHER)
        watch = self.watch(link)
        place, said = self.shown()
        self.assertEqual("by main()", place)
        self.assertIn(f"its debug file {link} is not read: it belongs to user {OTHER}", said)
        self.assertFalse(watch.was_opened())
        self.check_read("--symbols=all")


class Bounds(Case):
    """A file that was made to attack its reader reaches only a process without privileges."""

    def replace_sections(self, contents, compressed=None):
        source = self.dir / "source"
        if not source.exists():
            self.program.rename(source)
        elf64.replace_sections(source, self.program, contents, compressed)
        self.program.chmod(0o755)

    def test_memory(self):
        """1.2 MB of a file are 1.2 GB of memory, in one section or in several."""
        for names, megabytes in (([".debug_info"], 1200), ([".debug_info", ".debug_line", ".debug_str"], 400)):
            self.replace_sections(dict.fromkeys(names, elf64.deflated_zeros(megabytes)), megabytes << 20)
            place, said = self.shown()
            self.assertEqual("by main()", place)  # of the symbol table
            self.assertRegex(said, r"not read: its \.debug_info cannot be decompressed in \d+ MiB of memory")
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        self.assertLess(used, 300 << 10, "KiB")

    def test_crash(self):
        self.replace_sections(elf64.deep_scopes(0, 1 << 40, 1 << 18))
        self.check_not_read(r"signal 11 \(Segmentation fault\) ended the process that reads it$")

    def test_other_files_are_read_all_the_same(self):
        self.find(tools.arguments.planted, self.dir / "second")
        self.replace_sections(elf64.deep_scopes(0, 1 << 40, 1 << 18))
        done = self.report(self.journal, self.dir / "second", expect=99)
        self.assertIn("not read: signal 11", done.stderr)
        self.assertRegex(done.stdout, r"freed again +by free_object_twice\(\) .*planted\.c")

    def test_after_three_such_files_no_other_is_read(self):
        """... so that hundreds of them cannot take 20 seconds each."""
        journals = [self.journal]
        self.replace_sections(elf64.deep_scopes(0, 1 << 40, 1 << 18))
        for i in range(4):
            program = self.dir / f"program{i}"
            shutil.copy(tools.arguments.planted, program)
            journals.append(self.dir / f"journal{i}")
            self.find(program, journals[-1])
            shutil.copy(self.program, program)
        done = self.report(*journals, expect=99)
        self.assertEqual(3, done.stderr.count("not read: signal 11"), done.stderr)
        self.assertIn("symbols of 3 files could not be read; those of the other files are not tried", done.stderr)

    def test_random_damage(self):
        """With any contents of a file, the report is printed."""
        data = self.program.read_bytes()
        for seed in range(30):
            damaged = bytearray(data)
            for i in range(64):
                at = (seed * 7919 + i * 104729) * 31 % (len(data) - 4096) + 4096
                damaged[at] ^= 1 + (seed + i) % 255
            self.program.write_bytes(damaged)
            self.shown()


class Rights(Case):
    """If privileges cannot be dropped, no file is read, and the report is printed."""

    def test_root_without_the_right_to_become_another_user(self):
        self.only_root()
        watch = self.watch(self.program)
        wrap = ["setpriv", "--bounding-set=-setuid,-setgid"]
        place, said = self.shown(wrap=wrap)
        self.assertRegex(place, r"^by .*program\+0x[0-9a-f]+$")
        self.assertEqual(
            "freeonce: symbols are not read: the process that would read the files cannot be confined: "
            "its rights cannot be dropped (Operation not permitted)", said)
        watch.was_opened()

    def test_limits_that_are_lower_stay(self):
        wrap = ["prlimit", f"--as={512 << 20}:{512 << 20}", "--cpu=10:10"]
        self.check_read(wrap=wrap)


if __name__ == "__main__":
    tools.main()
