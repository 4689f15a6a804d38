/* See terminal.h.  Plain redraw: the cursor goes home, each row is written over the one before. */
#include "cli/inspect/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/message.h"
#include "cli/write_all.h"

enum { ROWS_DEFAULT = 24, COLUMNS_DEFAULT = 80 };

static struct termios before, during;
static volatile sig_atomic_t has_keys, has_begun;
static sigset_t while_waiting; /* signals that are blocked then */

/* --- settings ----------------------------------------------------------------------------------
 */

/* Of a command in the background the shell has set them already, and would stop it here. */
static bool has_terminal(void)
{
    return has_keys && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

/* Called by signal handlers, too: tcsetattr(3) and write(2) may be. */
static void restore(void)
{
    if (has_terminal())
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    if (has_begun && write(STDOUT_FILENO, "\n", 1) < 0)
        return;
}

static void end_by(int number)
{
    restore();
    raise(number); /* the handler is gone by now (SA_RESETHAND) */
}

static void handle(int number, void (*handler)(int), bool once)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NODEFER}, old;

    action.sa_flags |= once ? (int)SA_RESETHAND : 0;
    if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

static void stop(int number)
{
    int error = errno;

    restore();
    raise(number);
    handle(number, stop, true); /* here the command goes on */
    if (has_terminal())
        tcsetattr(STDIN_FILENO, TCSANOW, &during);
    errno = error;
}

static void draw_again(int number)
{
    (void)number; /* ppoll(2) ends */
}

static void restore_at_exit(void)
{
    restore();
    has_begun = has_keys = 0;
}

bool fo_terminal_is_there(void)
{
    const char *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && term != NULL && *term != '\0' && strcmp(term, "dumb") != 0;
}

void fo_terminal_begin(void)
{
    static const int ends[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE,
                               SIGSEGV, SIGABRT, SIGBUS,  SIGFPE,  SIGALRM};

    has_keys = tcgetattr(STDIN_FILENO, &before) == 0;
    during = before;
    during.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    during.c_cc[VMIN] = 1;
    during.c_cc[VTIME] = 0;
    atexit(restore_at_exit);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        handle(ends[i], end_by, true);
    handle(SIGTSTP, stop, true);
    handle(SIGWINCH, draw_again, false);
    sigset_t outside; /* these two are delivered in ppoll(2) alone, which ends then */
    sigemptyset(&outside);
    sigaddset(&outside, SIGTSTP);
    sigaddset(&outside, SIGWINCH);
    sigprocmask(SIG_BLOCK, &outside, &while_waiting);
    has_begun = 1;
    if (has_keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &during);
}

void fo_terminal_end(void)
{
    restore_at_exit();
}

/* --- drawing -----------------------------------------------------------------------------------
 */

void fo_terminal_size(unsigned *rows, unsigned *columns)
{
    struct winsize size;

    *rows = ROWS_DEFAULT;
    *columns = COLUMNS_DEFAULT;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row != 0 && size.ws_col != 0) {
        *rows = size.ws_row;
        *columns = size.ws_col;
    }
}

/* So many bytes have at most so many characters of UTF-8. */
static size_t cut(const char *line, size_t length, unsigned columns)
{
    size_t at = 0;
    unsigned characters = 0;

    while (at < length && ((line[at] & 0xc0) == 0x80 || characters++ < columns))
        at++;
    return at;
}

void fo_terminal_draw(const char *text)
{
    unsigned rows, columns;
    char *screen = NULL;
    size_t size;
    FILE *out = open_memstream(&screen, &size);

    fo_terminal_size(&rows, &columns);
    if (out == NULL) {
        fo_error("there is no memory");
        exit(FO_EXIT_SOFTWARE);
    }
    fputs("\033[H", out);
    for (unsigned row = 1; row < rows && *text != '\0'; row++) { /* the last row stays free */
        size_t length = strcspn(text, "\n");
        fwrite(text, 1, cut(text, length, columns), out);
        fputs("\033[K\n", out);
        text += length;
        text += *text == '\n';
    }
    fputs("\033[J", out);
    fclose(out);
    bool is_written = fo_write_all(STDOUT_FILENO, screen);
    free(screen);
    if (!is_written) {
        fo_error("the output cannot be written: %s", strerror(errno));
        exit(FO_EXIT_CANNOT_WRITE);
    }
}

/* --- keys --------------------------------------------------------------------------------------
 */

int fo_terminal_key(double seconds)
{
    struct pollfd keys = {.fd = has_keys ? STDIN_FILENO : -1, .events = POLLIN};
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    unsigned char key;

    if (ppoll(&keys, 1, &left, &while_waiting) <= 0)
        return 0;
    ssize_t n = read(STDIN_FILENO, &key, 1);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    return n == 1 ? key : FO_KEY_NONE_MORE;
}
