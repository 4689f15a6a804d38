/* Is the process that reads ELF files without rights, without descriptors and within its limits,
 * and is nothing believed that it says? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/symbols/confine.h"
#include "cli/symbols/talk.h"

static int pair[2], file;

static int set_up(void **state)
{
    (void)state;
    file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    return file < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int tear_down(void **state)
{
    (void)state;
    return close(pair[0]) | close(pair[1]) | close(file);
}

static bool is_limited(__rlimit_resource_t resource, rlim_t value)
{
    struct rlimit limit;

    return getrlimit(resource, &limit) == 0 && limit.rlim_cur <= value && limit.rlim_max <= value;
}

static bool has_limits(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
    if (!is_limited(RLIMIT_AS, 1 << 30))
        return false;
#endif
    return is_limited(RLIMIT_CPU, 20) && is_limited(RLIMIT_CORE, 0) && is_limited(RLIMIT_FSIZE, 0);
}

static bool has_no_rights(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    gid_t groups[1];

    if (syscall(SYS_capget, &head, sets) != 0)
        return false;
    for (int i = 0; i < 2; i++)
        if ((sets[i].effective | sets[i].permitted | sets[i].inheritable) != 0)
            return false;
    return getuid() != 0 && geteuid() != 0 && getegid() != 0 && setuid(0) != 0 &&
           (getgroups(1, groups) <= 0 || groups[0] != 0) &&
           prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

/* 0: all is as it should be; or the number of what is not. */
static int child(int inherited)
{
    char byte;

    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0); /* as a caller that is not root may have some */
    if (fo_confine(pair[1], file) != NULL)
        return 1;
    if (!has_no_rights())
        return 2;
    if (!has_limits())
        return 3;
    if (fcntl(inherited, F_GETFD) >= 0)
        return 4;
    if (open("/dev/null", O_RDONLY) >= 0 || errno != EMFILE || socket(AF_UNIX, SOCK_STREAM, 0) >= 0)
        return 5;
    if (pread(FO_CONFINE_FILE, &byte, 1, 1) != 1 || byte != 'E')
        return 6;
    return fo_talk_send(FO_CONFINE_SOCKET, (struct fo_talk_head){.kind = FO_TALK_END}, NULL, NULL)
               ? 0
               : 7;
}

static void the_reading_process_has_no_rights_and_limits(void **state)
{
    struct fo_talk talk;
    int status, inherited = fcntl(STDERR_FILENO, F_DUPFD, 100);
    pid_t pid = fork();

    (void)state;
    if (pid == 0)
        _exit(child(inherited));
    close(inherited);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(fo_talk_receive(pair[0], &talk));
    assert_int_equal(talk.head.kind, FO_TALK_END);
}

static void a_descriptor_is_received_only_when_allowed(void **state)
{
    int status;
    uint32_t next;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        if (fo_confine(pair[1], file) != NULL)
            _exit(1);
        int first = fo_talk_receive_file(FO_CONFINE_SOCKET, &next);
        fo_confine_descriptors(1);
        int second = fo_talk_receive_file(FO_CONFINE_SOCKET, &next);
        fo_confine_descriptors(0);
        _exit(first < 0 && second >= 0 && next == 2 && open("/dev/null", O_RDONLY) < 0 ? 0 : 2);
    }
    assert_true(fo_talk_send_file(pair[0], 1, file));
    assert_true(fo_talk_send_file(pair[0], 2, file));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void texts_arrive(void **state)
{
    static const char *const rows[][2] = {
        {NULL, NULL}, {"", NULL}, {NULL, "b"}, {"a", ""}, {"function", "/file.c"}};
    struct fo_talk talk;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fo_talk_head head = {.kind = FO_TALK_ANSWER, .number = 7, .line = 9};
        assert_true(fo_talk_send(pair[1], head, rows[i][0], rows[i][1]));
        assert_true(fo_talk_receive(pair[0], &talk));
        assert_int_equal(talk.head.number, 7);
        assert_int_equal(talk.head.line, 9);
        for (int j = 0; j < 2; j++)
            if (rows[i][j] == NULL)
                assert_null(fo_talk_text(&talk, j));
            else
                assert_string_equal(fo_talk_text(&talk, j), rows[i][j]);
    }
}

static void a_long_text_is_cut_off(void **state)
{
    static char text[3 * FO_TALK_TEXT_MAX];
    struct fo_talk talk;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    assert_true(fo_talk_send(pair[1], (struct fo_talk_head){.kind = FO_TALK_ANSWER}, text, text));
    assert_true(fo_talk_receive(pair[0], &talk));
    assert_int_equal(strlen(fo_talk_text(&talk, 0)), FO_TALK_TEXT_MAX - 1);
    assert_int_equal(strlen(fo_talk_text(&talk, 1)), FO_TALK_TEXT_MAX - 1);
}

static void a_message_that_is_none_is_refused(void **state)
{
    static const struct {
        char fill;
        size_t size; /* of the texts that are sent */
        uint32_t length[2];
    } rows[] = {
        {'x', 4, {3, 1}}, /* no NUL */
        {0, 0, {1, 0}},
        {0, 4, {4, 1}},
        {0, 4, {UINT32_MAX, 5}},
        {0, 4, {0, UINT32_MAX}},
        {0, 4, {2, 1}}, /* more than they say */
        {0, FO_TALK_TEXT_MAX + 1, {FO_TALK_TEXT_MAX + 1, 0}},
        {0, 3 * FO_TALK_TEXT_MAX, {FO_TALK_TEXT_MAX, FO_TALK_TEXT_MAX}},
    };
    static unsigned char data[sizeof(struct fo_talk) + 2 * FO_TALK_TEXT_MAX];
    struct fo_talk talk;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fo_talk_head head = {.kind = FO_TALK_ANSWER,
                                    .length = {rows[i].length[0], rows[i].length[1]}};
        memset(data, rows[i].fill, sizeof data);
        memcpy(data, &head, sizeof head);
        size_t size = sizeof head + rows[i].size;
        assert_int_equal(send(pair[1], data, size, 0), (ssize_t)size);
        assert_false(fo_talk_receive(pair[0], &talk));
    }
    assert_int_equal(send(pair[1], data, 3, 0), 3);
    assert_false(fo_talk_receive(pair[0], &talk));
    shutdown(pair[1], SHUT_WR);
    assert_false(fo_talk_receive(pair[0], &talk));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_reading_process_has_no_rights_and_limits, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_descriptor_is_received_only_when_allowed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(texts_arrive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_text_is_cut_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_message_that_is_none_is_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
