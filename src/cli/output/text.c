/* Text for people: the library's own report, with function, file and line if they are known. */
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/output/describe.h"
#include "cli/output/format.h"
#include "cli/message.h"
#include "cli/model/source_path.h"
#include "cli/output/suppress.h"
#include "report/journal_format.h"

enum { LABEL_WIDTH = 13, PLACE_WIDTH = 26, UNEXPLAINED_MAX = 10 };

struct page {
    FILE *out;
    bool colours;
};

static void put_colour(const struct page *page, const char *code)
{
    if (page->colours)
        fprintf(page->out, "\033[%sm", code);
}

__attribute__((format(printf, 3, 4))) static void append(char *out, size_t size, const char *format,
                                                         ...)
{
    size_t used = strlen(out);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(out + used, size - used, format, arguments);
    va_end(arguments);
}

/* A path beneath the working directory, relative to it; other paths unchanged. */
static const char *shown_file(const char *path)
{
    char folder[4096];
    const char *rest = getcwd(folder, sizeof folder) != NULL ? fo_path_beneath(path, folder) : NULL;

    return rest != NULL ? rest : path;
}

/* "worker_shutdown() worker.c:88", "sipd+0x41". */
static void append_code(char *out, size_t size, const struct fo_code *code)
{
    const char *slash = code->module != NULL ? strrchr(code->module, '/') : NULL;

    if (code->function != NULL) {
        append(out, size, "%s()", code->function);
        if (code->file != NULL)
            append(out, size, " %s:%u", shown_file(code->file), code->line);
        return;
    }
    if (code->module != NULL)
        append(out, size, "%s+", slash != NULL ? slash + 1 : code->module);
    append(out, size, "0x%llx", (unsigned long long)code->address);
}

static void append_process(char *out, size_t size, const struct fo_place_shown *place)
{
    const struct fo_process_shown *p = place->process;

    if (place->pid == 0)
        append(out, size, "pid ?");
    else
        append(out, size, "pid %u", place->pid);
    if (p != NULL)
        append(out, size, " (%s)", p->name);
    if (place->thread != 0)
        append(out, size, " thread %u", place->thread);
    if (p == NULL || !p->is_fork)
        return;
    append(out, size, ", forked from %u", p->parent_pid);
    if (p->forked.address != 0) {
        append(out, size, " at ");
        append_code(out, size, &p->forked);
    }
}

static void put_stack(const struct page *page, const struct fo_place_shown *place)
{
    for (size_t i = 0; i < place->frames; i++) {
        char code[1024] = "";
        append_code(code, sizeof code, &place->stack[i]);
        fprintf(page->out, "    #%zu %s", i, code);
        if (place->stack[i].function == NULL && place->stack[i].build_id != NULL)
            fprintf(page->out, " build-id %s", place->stack[i].build_id);
        fputc('\n', page->out);
    }
}

static void put_place(const struct page *page, const char *label,
                      const struct fo_place_shown *place)
{
    char where[1024] = "", process[1024] = "";

    if (!place->known)
        return;
    if (place->file != NULL)
        append(where, sizeof where, "%s:%u", place->file, place->line);
    else if (place->caller.address == 0)
        append(where, sizeof where, "?");
    if (place->caller.address != 0) {
        append(where, sizeof where, "%sby ", where[0] != '\0' ? " " : "");
        append_code(where, sizeof where, &place->caller);
    }
    append_process(process, sizeof process, place);
    fprintf(page->out, "  %-*s%-*s %s\n", LABEL_WIDTH, label, PLACE_WIDTH - 1, where, process);
    put_stack(page, place);
}

static void put_time(const struct page *page, uint64_t when)
{
    time_t seconds = (time_t)(when / 1000000000u);
    struct tm t;
    char text[64] = "?";

    if (localtime_r(&seconds, &t) != NULL)
        strftime(text, sizeof text, "%F %T", &t);
    fputs(text, page->out);
}

static void put_finding(const struct page *page, const struct fo_finding_shown *f)
{
    put_colour(page, f->suppressed != NULL ? "2" : "1;31");
    fprintf(page->out, "freeonce: %s, %s", f->headline, f->answer);
    put_colour(page, "0");
    fputc('\n', page->out);
    put_place(page, "allocated", &f->allocated);
    if (f->racing)
        fputs("  freed first  at this moment, by another thread or process\n", page->out);
    else
        put_place(page, "freed first", &f->freed);
    if (f->neighbour_block != 0)
        fprintf(page->out,
                "  overwritten  from block 0x%llx (%llu bytes) in front, allocated %s:%u\n",
                (unsigned long long)f->neighbour_block, (unsigned long long)f->neighbour_size,
                f->neighbour_file != NULL ? f->neighbour_file : "?", f->neighbour_line);
    put_place(page, f->label, &f->now);
    fprintf(page->out, "  seen         %llu time%s, ", (unsigned long long)f->count,
            f->count == 1 ? "" : "s");
    if (f->count > 1) {
        fputs("first ", page->out);
        put_time(page, f->first);
        fputs(", last ", page->out);
    }
    put_time(page, f->last);
    if (f->advice != NULL && f->suppressed == NULL)
        fprintf(page->out, "\n  %-*s%s", LABEL_WIDTH, "what to do", f->advice);
    if (f->suppressed != NULL)
        fprintf(page->out, "\n  suppressed   by [%s], %s:%u", f->suppressed->name,
                f->suppressed->file, f->suppressed->line);
    fputs("\n\n", page->out);
}

static void put_unprotected(const struct page *page, const struct fo_model *model)
{
    for (size_t i = 0; i < model->process_count; i++) {
        const struct fo_process_shown *p = &model->processes[i];
        if (p->guard == FO_JOURNAL_UNPROTECTED)
            fprintf(page->out, "freeonce: pid %u (%s) ran unprotected: %s\n", p->pid, p->name,
                    p->how);
    }
}

/* Signals that are nearly always sent by the processor or the program itself. */
static bool is_fault(int signal)
{
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE ||
           signal == SIGABRT || signal == SIGTRAP || signal == SIGSYS;
}

/* These are not findings: a process that a signal of another process ended has no fault. */
static void put_unexplained(const struct page *page, const struct fo_model *model)
{
    size_t shown = 0, count = fo_model_unexplained(model);

    for (size_t i = 0; i < model->process_count && shown < UNEXPLAINED_MAX; i++) {
        const struct fo_process_shown *p = &model->processes[i];
        if (!fo_process_is_unexplained(model, p))
            continue;
        fprintf(page->out, "freeonce: pid %u (%s) was killed by signal %d (%s)%s\n", p->pid,
                p->name, p->signal, strsignal(p->signal),
                is_fault(p->signal)
                    ? "; the reason is not known: freeonce --ci looks at such a fault, and --set "
                      "BACKEND=guard stops at the first wrong access"
                    : ", which another process or the kernel sent");
        shown++;
    }
    if (count > shown)
        fprintf(page->out, "freeonce: %zu more processes were killed by signals\n", count - shown);
}

/* Nor are these: what they lost is not known. */
static void put_unlooked(const struct page *page, const struct fo_model *model)
{
    size_t shown = 0, count = fo_model_unlooked(model);

    for (size_t i = 0; i < model->process_count && shown < UNEXPLAINED_MAX; i++) {
        const struct fo_process_shown *p = &model->processes[i];
        if (!fo_process_is_unlooked(model, p))
            continue;
        fprintf(page->out, "freeonce: pid %u (%s) was not looked at for leaks: %s\n", p->pid,
                p->name, fo_process_why_unlooked(p));
        shown++;
    }
    if (count > shown)
        fprintf(page->out, "freeonce: %zu more processes were not looked at for leaks\n",
                count - shown);
}

static void put_process(const struct page *page, const struct fo_model *model,
                        const struct fo_process_shown *p, int depth)
{
    char where[1024] = "";

    if (p->is_fork && p->forked.address != 0) {
        append(where, sizeof where, "forked at ");
        append_code(where, sizeof where, &p->forked);
    } else if (p->is_fork) {
        append(where, sizeof where, "forked");
    }
    fprintf(page->out, "  %*s%u %s: %s%s%s%s\n", 2 * depth, "", p->pid, p->name, where,
            where[0] != '\0' && p->how[0] != '\0' ? ", " : "",
            p->how[0] != '\0' || p->is_fork ? p->how : "OpenSSL was not used",
            p->guard == FO_JOURNAL_LEFT ? "; then it executed another program" : "");
    for (size_t i = 0; i < model->process_count && depth < 40; i++)
        if (model->processes[i].parent == p)
            put_process(page, model, &model->processes[i], depth + 1);
}

static void put_processes(const struct page *page, const struct fo_model *model)
{
    fputs("processes\n", page->out);
    for (size_t i = 0; i < model->process_count; i++)
        if (model->processes[i].parent == NULL)
            put_process(page, model, &model->processes[i], 0);
    fputc('\n', page->out);
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static void put_counts(const struct page *page, const struct fo_model *model)
{
    size_t counting = fo_model_counting(model), suppressed = model->finding_count - counting;
    size_t unexplained = fo_model_unexplained(model);

    put_colour(page, fo_model_has_findings(model) || model->excluded != 0 || unexplained != 0
                         ? "1;31"
                         : "1;32");
    fputs("freeonce: ", page->out);
    if (!fo_model_has_findings(model) && unexplained != 0)
        fprintf(page->out, "nothing found before a signal ended %zu guarded process%s", unexplained,
                unexplained == 1 ? "" : "es");
    else if (!fo_model_has_findings(model))
        fputs("no findings", page->out);
    else
        fprintf(page->out, "%zu finding%s", counting, plural(counting));
    put_colour(page, "0");
    if (suppressed != 0)
        fprintf(page->out, ", %zu suppressed", suppressed);
    if (model->dropped != 0) {
        fputs("; ", page->out);
        fo_describe_dropped(page->out, model->dropped);
    }
    if (model->excluded != 0) {
        fputs("; ", page->out);
        fo_describe_excluded(page->out, model->excluded);
    }
    if (model->nameless != 0) {
        fputs("; ", page->out);
        fo_describe_nameless(page->out, model->nameless);
    }
    if (model->unguarded.reason != NULL) {
        fputs("; ", page->out);
        fo_describe_unguarded(page->out, model);
    } else if (model->guarded == 0)
        fputs("; no process used OpenSSL with the library in front: nothing was checked",
              page->out);
    else
        fprintf(page->out, "; %llu process%s guarded", (unsigned long long)model->guarded,
                model->guarded == 1 ? "" : "es");
    if (model->unprotected != 0)
        fprintf(page->out, ", %llu unprotected", (unsigned long long)model->unprotected);
    if (model->left != 0)
        fprintf(page->out, ", %llu left to execute another program",
                (unsigned long long)model->left);
}

void fo_text_summary(FILE *out, const struct fo_model *model, const struct fo_run_shown *run)
{
    const struct page page = {out, fo_colours(out)};

    put_unprotected(&page, model);
    put_unexplained(&page, model);
    put_unlooked(&page, model);
    put_counts(&page, model);
    if (run->ended && run->signal != 0)
        fprintf(out, "; the command was ended by signal %d (%s)", run->signal,
                strsignal(run->signal));
    else if (run->ended)
        fprintf(out, "; the command ended with status %d", run->status);
    fputc('\n', out);
}

void fo_format_text(FILE *out, const struct fo_model *model, const struct fo_run_shown *run)
{
    const struct page page = {out, fo_colours(out)};

    for (size_t i = 0; i < model->finding_count; i++)
        put_finding(&page, &model->findings[i]);
    if (model->show_processes)
        put_processes(&page, model);
    fo_text_summary(out, model, run);
}
