/* The bounds of the process that reads ELF files for the command. */
#ifndef FO_CLI_SYMBOLS_CONFINE_H
#define FO_CLI_SYMBOLS_CONFINE_H

enum {
    FO_CONFINE_MEMORY = 1 << 30,      /* bytes of address space, at most */
    FO_CONFINE_MEMORY_BASE = 1 << 26, /* that each file gets, and then this often its size: */
    FO_CONFINE_MEMORY_TIMES = 16,     /* what grows more is no debug information, but a bomb */
    FO_CONFINE_SECONDS = 20,          /* of processor time */
    FO_CONFINE_USER = 65534,          /* instead of root; its group, too */
    FO_CONFINE_SOCKET = 3,            /* the descriptors that are left, beside 0 to 2, which */
    FO_CONFINE_FILE = 4,              /* lead to /dev/null */
};

/* Called in a child, once: from then on it can open nothing, has no right of root's and no
 * capability, and the limits above.  NULL, or what could not be done: then nothing may be read. */
const char *fo_confine(int socket, int file);

/* Memory for one more file. */
void fo_confine_add_memory(int file);

/* The bytes of address space that there may be now. */
unsigned long fo_confine_memory(void);

/* May descriptors be received?  Otherwise each new one is refused: libdw would open what an ELF
 * file names. */
void fo_confine_descriptors(int allowed);

#endif
