/* What can a process that a file has taken over do to the command that asked it?  It is played by
 * fo_reader_run() here, which says what the test at hand wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/symbols/lookup.h"
#include "cli/symbols/talk.h"

enum { CODES = 4 };

static void (*played)(int socket);

/* The command waits for us, and must not. */
static void end_the_test(int number)
{
    (void)number;
    kill(getppid(), SIGABRT);
    _exit(1);
}

_Noreturn void fo_reader_run(const struct fo_symbols_wanted *wanted, int socket, int file)
{
    (void)wanted, (void)file;
    signal(SIGALRM, end_the_test);
    alarm(60);
    played(socket);
    _exit(0);
}

static bool say(int socket, enum fo_talk_kind kind, uint32_t number, const char *first,
                const char *second)
{
    return fo_talk_send(socket,
                        (struct fo_talk_head){.kind = kind, .number = number, .line = number + 1},
                        first, second);
}

static struct fo_code codes[CODES];
static struct fo_model model;
static struct fo_lookup_bounds bounds;

static void look_up(void (*play)(int socket))
{
    struct fo_code *list[CODES];

    played = play;
    memset(&model, 0, sizeof model);
    bounds = (struct fo_lookup_bounds){.text = 100000};
    for (uint64_t i = 0; i < CODES; i++) { /* the last two are the same */
        list[i] = &codes[i];
        codes[i] = (struct fo_code){.module = "/proc/self/exe",
                                    .address = 100 + (i < CODES - 1 ? i : i - 1)};
    }
    fo_lookup(&model, &(struct fo_symbols_wanted){list, CODES}, &bounds);
}

static int tear_down(void **state)
{
    (void)state;
    fo_model_free(&model);
    return 0;
}

static void answer_all(int socket)
{
    say(socket, FO_TALK_ANSWER, 0, "f@VERSION", "/f.c");
    say(socket, FO_TALK_ANSWER, 2, "g\033\n", NULL);
    say(socket, FO_TALK_END, 0, NULL, NULL);
}

static void answers_are_taken_and_cleaned(void **state)
{
    (void)state;
    look_up(answer_all);
    assert_int_equal(bounds.failures, 0);
    assert_string_equal(codes[0].function, "f");
    assert_string_equal(codes[0].file, "/f.c");
    assert_int_equal(codes[0].line, 1);
    assert_null(codes[1].function);
    for (int i = 2; i < CODES; i++) { /* one answer for one address */
        assert_string_equal(codes[i].function, "g??");
        assert_null(codes[i].file);
        assert_int_equal(codes[i].line, 0);
    }
}

static void answer_again(int socket)
{
    say(socket, FO_TALK_ANSWER, 1, "first", NULL);
    say(socket, FO_TALK_ANSWER, 1, "second", NULL);
}

static void an_address_is_answered_once(void **state)
{
    (void)state;
    look_up(answer_again);
    assert_int_equal(bounds.failures, 1);
    assert_string_equal(codes[1].function, "first");
}

static void answer_more(int socket)
{
    say(socket, FO_TALK_ANSWER, CODES, "f", NULL);
}

static void there_is_no_answer_for_more_addresses(void **state)
{
    (void)state;
    look_up(answer_more);
    assert_int_equal(bounds.failures, 1);
}

static void answer_at_length(int socket)
{
    static char text[FO_TALK_TEXT_MAX];

    memset(text, 'x', sizeof text - 1);
    for (uint32_t i = 0; i < CODES; i++)
        say(socket, FO_TALK_ANSWER, i, text, text);
    say(socket, FO_TALK_END, 0, NULL, NULL);
}

static void all_texts_together_are_bounded(void **state)
{
    (void)state;
    look_up(answer_at_length);
    assert_int_equal(bounds.failures, 0);
    struct fo_code *list[CODES] = {&codes[0], &codes[1], &codes[2], &codes[3]};
    fo_lookup(&model, &(struct fo_symbols_wanted){list, CODES}, &bounds);
    assert_int_equal(bounds.failures, 1);
}

static void want_often(int socket)
{
    uint32_t next;

    for (int i = 0; i < 1000; i++) {
        if (!say(socket, FO_TALK_WANT_DEBUG, 0, "exe.debug", "abcdef"))
            return;
        int file = fo_talk_receive_file(socket, &next);
        if (file >= 0)
            close(file);
    }
    say(socket, FO_TALK_END, 0, NULL, NULL);
}

static void debug_files_are_not_asked_for_without_end(void **state)
{
    (void)state;
    look_up(want_often);
    assert_int_equal(bounds.failures, 1);
}

static void complain_twice(int socket)
{
    say(socket, FO_TALK_COMPLAINT, 0, "a complaint", NULL);
    say(socket, FO_TALK_COMPLAINT, 0, "a second", NULL);
    say(socket, FO_TALK_ANSWER, 0, "f", NULL);
    say(socket, FO_TALK_END, 0, NULL, NULL);
}

static void one_complaint_is_enough(void **state)
{
    (void)state;
    look_up(complain_twice);
    assert_int_equal(bounds.failures, 1);
    assert_null(codes[0].function);
}

static void say_nothing_known(int socket)
{
    say(socket, 77, 0, NULL, NULL);
    say(socket, FO_TALK_END, 0, NULL, NULL);
}

static void send_three_bytes(int socket)
{
    send(socket, "abc", 3, 0);
    pause();
}

static void want_without_texts(int socket)
{
    say(socket, FO_TALK_WANT_DEBUG, 0, NULL, NULL);
    pause();
}

static void complain_without_text(int socket)
{
    say(socket, FO_TALK_COMPLAINT, 0, NULL, NULL);
    pause();
}

static void end_at_once(int socket)
{
    (void)socket;
}

static void close_and_wait(int socket)
{
    close(socket);
    pause();
}

static void what_is_no_message_is_a_failure(void **state)
{
    static void (*const plays[])(int) = {say_nothing_known,  send_three_bytes,
                                         want_without_texts, complain_without_text,
                                         end_at_once,        close_and_wait};

    (void)state;
    for (size_t i = 0; i < sizeof plays / sizeof plays[0]; i++) {
        look_up(plays[i]);
        assert_int_equal(bounds.failures, 1);
        fo_model_free(&model);
    }
}

static void end_and_wait(int socket)
{
    say(socket, FO_TALK_END, 0, NULL, NULL);
    pause();
}

static void a_process_that_does_not_end_is_ended(void **state)
{
    (void)state;
    look_up(end_and_wait);
    assert_int_equal(bounds.failures, 0);
}

static void refuse(int socket)
{
    say(socket, FO_TALK_REFUSED, 0, "a reason", NULL);
    say(socket, FO_TALK_END, 0, NULL, NULL);
}

static void what_cannot_be_confined_is_not_tried_again(void **state)
{
    (void)state;
    look_up(refuse);
    assert_true(bounds.is_stopped);
}

static int descriptors(void)
{
    int n = 0;
    DIR *folder = opendir("/proc/self/fd");

    assert_non_null(folder);
    while (readdir(folder) != NULL)
        n++;
    closedir(folder);
    return n;
}

static void send_descriptors(int socket)
{
    for (int i = 0; i < 10; i++)
        fo_talk_send_file(socket, 0, STDIN_FILENO);
    say(socket, FO_TALK_END, 0, NULL, NULL);
}

static void descriptors_are_not_received(void **state)
{
    int before = descriptors();

    (void)state;
    look_up(send_descriptors);
    assert_int_equal(descriptors(), before);
    look_up(want_often);
    assert_int_equal(descriptors(), before);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(answers_are_taken_and_cleaned, tear_down),
        cmocka_unit_test_teardown(an_address_is_answered_once, tear_down),
        cmocka_unit_test_teardown(there_is_no_answer_for_more_addresses, tear_down),
        cmocka_unit_test_teardown(all_texts_together_are_bounded, tear_down),
        cmocka_unit_test_teardown(debug_files_are_not_asked_for_without_end, tear_down),
        cmocka_unit_test_teardown(one_complaint_is_enough, tear_down),
        cmocka_unit_test_teardown(what_is_no_message_is_a_failure, tear_down),
        cmocka_unit_test_teardown(a_process_that_does_not_end_is_ended, tear_down),
        cmocka_unit_test_teardown(what_cannot_be_confined_is_not_tried_again, tear_down),
        cmocka_unit_test_teardown(descriptors_are_not_received, tear_down),
    };

    unsetenv("DEBUGINFOD_URLS");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
