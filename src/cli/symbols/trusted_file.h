/* Which of the files may be opened that a journal or an ELF file names?  A journal is input: it can
 * name a device, a FIFO, or a file that another user made for this purpose. */
#ifndef FO_CLI_SYMBOLS_TRUSTED_FILE_H
#define FO_CLI_SYMBOLS_TRUSTED_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

struct fo_trusted_file {
    int fd;          /* for reading; -1: not opened */
    char real[4096]; /* the path without symbolic links; "" if it is longer */
    dev_t device;
    ino_t inode;
    char refused[128]; /* why it is not opened; "": there is no such file */
};

/* Open `path` if it is a regular file and an ELF file; never wait for it.  Unless `all`, the file
 * must belong to root and be writable by root alone, or belong to the caller, and a symbolic link
 * must belong to one of them.  True: it is open. */
bool fo_trusted_file_open(struct fo_trusted_file *file, const char *path, bool all);

/* The same check for a file that is open already. */
bool fo_trusted_file_check(struct fo_trusted_file *file, bool all);

#endif
