/* The bounds of the process that reads ELF files for the command. */
#ifndef FO_CLI_SYMBOLS_CONFINE_H
#define FO_CLI_SYMBOLS_CONFINE_H

enum {
    FO_CONFINE_MEMORY = 1 << 30,      /* bytes of address space, at most */
    FO_CONFINE_MEMORY_BASE = 1 << 26, /* for each file, and in addition its size times */
    FO_CONFINE_MEMORY_TIMES = 16,     /* this: debug information does not expand more */
    FO_CONFINE_SECONDS = 20,          /* of processor time */
    FO_CONFINE_USER = 65534,          /* instead of root; its group, too */
    FO_CONFINE_SOCKET = 3,            /* the two descriptors that stay open; 0 to 2 are */
    FO_CONFINE_FILE = 4,              /* /dev/null */
};

/* Called in a child, once: from then on it can open no file, has no rights of root and no
 * capabilities, and has the limits above.  NULL, or the step that failed: then the child must read
 * nothing. */
const char *fo_confine(int socket, int file);

/* Raise the limit of memory for one more file. */
void fo_confine_add_memory(int file);

/* The limit of address space now, in bytes. */
unsigned long fo_confine_memory(void);

/* Allow new descriptors, or refuse them: libdw would open the files that an ELF file names. */
void fo_confine_descriptors(int allowed);

#endif
