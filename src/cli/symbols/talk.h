/* The messages between the command and the process that reads an ELF file, through a socket.  The
 * command trusts no message: the file may have exploited a fault in libdw. */
#ifndef FO_CLI_SYMBOLS_TALK_H
#define FO_CLI_SYMBOLS_TALK_H

#include <stdbool.h>
#include <stdint.h>

enum fo_talk_kind {
    FO_TALK_ANSWER = 1, /* number: of the address; line; texts: function, file */
    FO_TALK_WANT_DEBUG, /* number: of the candidate; texts: name of the link, build-id */
    FO_TALK_WANT_ALT,   /* the same, for the file that several debug files share (dwz) */
    FO_TALK_COMPLAINT,  /* the first text: what is wrong */
    FO_TALK_REFUSED,    /* the first text: why nothing is read */
    FO_TALK_END,        /* the file was read */
};

enum { FO_TALK_TEXT_MAX = 8192 }; /* bytes of a text, with its NUL; a longer text is cut */

struct fo_talk {
    struct fo_talk_head {
        uint32_t kind, number, line;
        uint32_t length[2]; /* of the texts, with their NUL; 0: there is none */
    } head;
    char text[2 * FO_TALK_TEXT_MAX];
};

/* False: the other process has closed the socket. */
bool fo_talk_send(int socket, struct fo_talk_head head, const char *first, const char *second);

/* Fill in *talk, whose lengths then are right.  False: the other process has closed the socket, or
 * the message is invalid. */
bool fo_talk_receive(int socket, struct fo_talk *talk);

/* A text of a message that was received; NULL: there is none. */
const char *fo_talk_text(const struct fo_talk *talk, int index);

/* The answer to FO_TALK_WANT_...: a descriptor, or -1 for none, and the number of the next
 * candidate. */
bool fo_talk_send_file(int socket, uint32_t next, int file);
int fo_talk_receive_file(int socket, uint32_t *next);

#endif
