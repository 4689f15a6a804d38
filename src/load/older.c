/* See older.h.  LibreSSL and BoringSSL have functions of the same names as OpenSSL 1.1; the version
 * number distinguishes them. */
#include "load/older.h"

#include "base/elf.h"
#include "base/say.h"
#include "load/engine.h"
#include "options/options.h"
#include "report/journal.h"
#include "report/output.h"

enum { OPENSSL_1_1 = 0x101 };

/* Called under the dynamic linker's lock. */
static void check_module(const struct fo_module *module, void *data)
{
    unsigned long (*number)(void);
    enum { SERIES_SHIFT = 20 };
    bool *found = data;

    *(void **)&number = fo_elf_function(module, "OpenSSL_version_num");
    if (number != NULL && fo_elf_function(module, "CRYPTO_set_mem_functions") != NULL &&
        fo_elf_function(module, "OPENSSL_version_major") == NULL)
        *found = *found || number() >> SERIES_SHIFT == OPENSSL_1_1;
}

void fo_older_check(void)
{
    static unsigned long long seen;
    static bool is_counted;
    bool found = false;

    fo_elf_each(check_module, &found, &seen);
    if (!found)
        return;
    if (!fo_options.require) {
        if (!__atomic_exchange_n(&is_counted, true, __ATOMIC_RELAXED)) /* relaxed: once */
            fo_journal_count_older();
        return;
    }
    fo_output_open();
    fo_journal_record_guard(FO_JOURNAL_UNPROTECTED, "OpenSSL 1.1");
    fo_say_words("this process uses OpenSSL 1.1, which the library does not guard (OpenSSL 3 and 4 "
                 "only)",
                 NULL);
    fo_engine_refuse();
}
