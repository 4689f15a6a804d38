"""Where can other users run what is under test?  The tree may lie in root's home, which they cannot enter.

Called by tests whose programs run as another user.
"""

import pathlib
import shutil


def copy_library(lib, folder):
    """The library and those beside it, as they lie in the build folder; the command finds them so."""
    lib = pathlib.Path(lib)
    for path in lib.parent.glob("**/libfreeonce*.so*"):
        target = folder / path.relative_to(lib.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target, follow_symlinks=False)
    return folder / lib.name


def copy_program(program, folder):
    folder.mkdir(parents=True, exist_ok=True)
    return pathlib.Path(shutil.copy(program, folder))


def copy_under_test(arguments, folder):
    """Copies what `arguments` names as lib, freeonce, planted, plant and tlsload, and puts the new paths in their place."""
    folder = pathlib.Path(folder)
    folder.chmod(0o755)
    if arguments.lib is not None:
        arguments.lib = copy_library(arguments.lib, folder / "src")
    for name, room in (("freeonce", "src/cli"), ("planted", "."), ("plant", "."), ("tlsload", ".")):
        path = getattr(arguments, name, None)
        if path is not None:
            setattr(arguments, name, copy_program(path, folder / room))
