/* See description.h.  A constant: nothing of it is written or read while the process runs. */
#include "load/description.h"

#include "block/registry.h"
#include "block/sample.h"
#include "heap/layout.h"
#include "heap/region.h"
#include "options/options.h"
#include "process/process.h"
#include "process/tree.h"
#include "report/counts.h"
#include "report/how.h"
#include "report/stacks.h"

#define FIELD(type, member)                                                                        \
    {                                                                                              \
        offsetof(struct type, member), sizeof(((struct type *)NULL)->member)                       \
    }
#define POINTER(type, member)                                                                      \
    {                                                                                              \
        offsetof(struct type, member), sizeof(void *)                                              \
    }
#define ROWS(type, member, number)                                                                 \
    {                                                                                              \
        offsetof(struct type, member), sizeof(((struct type *)NULL)->member[0]), number            \
    }

/* --- options -----------------------------------------------------------------------------------
 */

static const char option_names[] =
#define FO_OPTION(member, NAME, kind, choices, fallback, help, ...)                                \
#NAME "\0" #kind "\0" choices "\0"
#include "options/options.def"
#undef FO_OPTION
    ;

static const struct fo_field option_places[] = {
#define FO_OPTION(member, NAME, kind, choices, fallback, help, ...) FIELD(fo_options, member),
#include "options/options.def"
#undef FO_OPTION
};

/* --- size classes ------------------------------------------------------------------------------
 */

/* fo_class_slot() for a constant; test cli.heap has blocks of each class. */
#define FINE(class)           (((class) + 1) * 16 + 16)
#define BYTES(doubling, step) ((256 << (doubling)) + (step) * (32 << (doubling)))
#define SLOT(doubling, step)                                                                       \
    (BYTES(doubling, step) <= FO_REGION_WHOLE || BYTES(doubling, step) == FO_REGION_SMALL          \
         ? BYTES(doubling, step) + 16                                                              \
         : BYTES(doubling, step))
#define DOUBLING(d)                                                                                \
    SLOT(d, 1), SLOT(d, 2), SLOT(d, 3), SLOT(d, 4), SLOT(d, 5), SLOT(d, 6), SLOT(d, 7), SLOT(d, 8)
_Static_assert(FO_REGION_CLASSES == 56, "those of the table below");
_Static_assert((int)FO_DESCRIBED_CLASSES == (int)FO_CLASS_NUMBERS, "a place for each");

/* --- the description ---------------------------------------------------------------------------
 */

_Static_assert(sizeof(struct fo_description) == 856, "its version counts changes");

extern const struct fo_description freeonce_description;
FO_EXPORT const struct fo_description freeonce_description = {
    .magic = {'F', 'R', 'E', 'E', 'O', 'N', 'C', 'E'},
    .version = FO_DESCRIPTION_VERSION,
    .size = sizeof(struct fo_description),
    .library = FREEONCE_VERSION,
    .hot = (uintptr_t)&fo_hot,
    .layout = (uintptr_t)&fo_layout,
    .region = (uintptr_t)&fo_region,
    .findings = (uintptr_t)&fo_counts,
    .how = (uintptr_t)&fo_how,
    .options = (uintptr_t)&fo_options,
    .option_names = (uintptr_t)option_names,
    .option_places = (uintptr_t)option_places,
    .option_count = FO_OPTION_COUNT,
    .option_names_size = sizeof option_names,
    .in_hot = {.secret = FIELD(fo_hot, secret),
               .direct = FIELD(fo_hot, direct),
               .shared = FIELD(fo_hot, shared),
               .guard = FIELD(fo_hot, guard),
               .entered = POINTER(fo_hot, entered),
               .tree = POINTER(fo_hot, tree),
               .process = POINTER(fo_hot, process)},
    .process_row = FIELD(fo_process, index),
    .in_layout = {.base = FIELD(fo_layout, base),
                  .key = FIELD(fo_layout, key),
                  .page_count = FIELD(fo_layout, page_count),
                  .shared = FIELD(fo_layout, shared),
                  .groups = ROWS(fo_layout, pages, FO_PAGE_GROUPS)},
    .region_committed = FIELD(fo_region, committed),
    .region_pages = FIELD(fo_region, pages),
    .in_group = {.pages = ROWS(fo_page_group, page, FO_GROUP_PAGES),
                 .bitmaps = ROWS(fo_page_group, bitmap, FO_GROUP_PAGES),
                 .what = FIELD(fo_page, what),
                 .class = FIELD(fo_page, class),
                 .used = FIELD(fo_page, used),
                 .word = FIELD(fo_page, word)},
    .value = {.run_shift = FO_PAGE_RUN_SHIFT,
              .run_mask = (1u << (FO_PAGE_TURN_SHIFT - FO_PAGE_RUN_SHIFT)) - 1,
              .state_mask = 0xffff,
              .block = FO_PAGE_BLOCK,
              .slots = FO_PAGE_FULL,
              .page_shift = FO_PAGE_SHIFT,
              .freed = FO_REGION_FREED,
              .held = FO_REGION_HELD,
              .large = FO_REGION_LARGE,
              .clear = FO_HEADER_CLEAR},
    .class_slot = {FINE(0),     FINE(1),     FINE(2),    FINE(3),  FINE(4),     FINE(5),
                   FINE(6),     FINE(7),     FINE(8),    FINE(9),  FINE(10),    FINE(11),
                   FINE(12),    FINE(13),    FINE(14),   FINE(15), DOUBLING(0), DOUBLING(1),
                   DOUBLING(2), DOUBLING(3), DOUBLING(4)},
    .word = {.size_shift = FO_SIZE_SHIFT,
             .process_shift = FO_META_SHIFT,
             .process_bits = FO_PROCESS_BITS,
             .check_bits = FO_CHECK_BITS,
             .live = FO_STATE_LIVE << FO_STATE_SHIFT},
    .registry = {.claims = ROWS(fo_root, claim, FO_ROOT_COUNT),
                 .leaves = ROWS(fo_root, leaf, FO_ROOT_COUNT),
                 .leaf_shift = FO_LEAF_SHIFT,
                 .granule_shift = FO_GRANULE_SHIFT,
                 .live = FO_SLOT_LIVE,
                 .busy = FO_SLOT_BUSY,
                 .freed = FO_SLOT_FREED,
                 .damaged = FO_SLOT_DAMAGED},
    .processes = ROWS(fo_tree, processes, FO_PROCESSES),
    .in_process = {.pid = FIELD(fo_lineage, pid),
                   .parent = FIELD(fo_lineage, parent),
                   .name = ROWS(fo_lineage, name.raw, sizeof(struct fo_shared_name))},
    .in_findings = {.rows = ROWS(fo_counts, table, FO_KINDS_OF_FINDING),
                    .key = FIELD(fo_seen, key),
                    .count = FIELD(fo_seen, count)},
    .in_stacks = {.samples = (uintptr_t)&fo_samples,
                  .depot = (uintptr_t)&fo_stack_depot,
                  .rows = ROWS(fo_samples, rows, FO_SAMPLES),
                  .payload = FIELD(fo_sample, payload),
                  .stack = FIELD(fo_sample, stack),
                  .full = FIELD(fo_samples, full),
                  .words = ROWS(fo_stack_depot, words, FO_STACK_WORDS),
                  .count = FIELD(fo_stack_depot, count),
                  .one_in = FIELD(fo_options, sample),
                  .all = FIELD(fo_options, stacks),
                  .tail = FIELD(fo_hot, tail),
                  .backend_shift = FO_BACKEND_SHIFT,
                  .backend_bits = FO_BACKEND_BITS,
                  .sampled = FO_BACKEND_SAMPLED,
                  .frames = FO_STACK_MAX},
    .how_guard = FIELD(fo_how, guard),
    .how_text = ROWS(fo_how, text, sizeof fo_how.text),
};

/* The note, which the dynamic linker maps with the beginning of the file, so that a core file has
 * it as well.  The distance is the assembler's: a constant of C has no difference of two addresses.
 */
extern const struct fo_description fo_description
    __attribute__((alias("freeonce_description"), visibility("hidden")));

#define STRING_OF(number) #number
#define NOTE(type, version)                                                                        \
    __asm__(                                                                                       \
        ".pushsection .note.freeonce, \"a\", %note\n"                                              \
        ".balign 4\n"                                                                              \
        ".long 9, 8, " STRING_OF(type) "\n"                                                        \
                                       ".asciz \"" FO_NOTE_NAME "\"\n"                             \
                                       ".balign 4\n"                                               \
                                       ".long " STRING_OF(version) "\n"                            \
                                                                   ".long fo_description - .\n"    \
                                                                   ".popsection\n")
NOTE(1, 2);
_Static_assert(FO_NOTE_DESCRIPTION == 1 && FO_DESCRIPTION_VERSION == 2 && sizeof FO_NOTE_NAME == 9,
               "what the note says");
