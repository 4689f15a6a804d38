#!/bin/sh
# Does the library export exactly the names of the list, need nothing but libc, and no symbol that
# is newer than glibc 2.17, the first on arm64?  The functions of OpenSSL's objects are left out: scripts/objects
# compares them with OpenSSL's headers (test objects.table); CRYPTO_free with them.
# Usage: exports.sh libfreeonce.so exports.expected
set -eu
library=$1 expected=$2 newest=GLIBC_2.17
failed=0

# And the functions of src/load/changes.def: test changes.table.
load=$(dirname "$0")/../../src/load
tables=$(sed -n 's/^FO_\(CHANGE\|OBJECT\)(\([A-Za-z0-9_]*\),.*/\2/p' "$load/changes.def" "$load/objects.def"; echo CRYPTO_free)

exported=$(readelf -W --dyn-syms "$library" |
    awk '$7 != "UND" && $5 != "LOCAL" && $8 != "" && $1 ~ /^[0-9]+:$/ { print $8, $4 }' |
    awk -v tables="$tables" 'BEGIN { n = split(tables, names, "\n"); while (n > 0) row[names[n--]] }
                            { split($1, name, "@") } !($1 ~ /@OPENSSL_/ && name[1] in row)' |
    LC_ALL=C sort)
if ! printf '%s\n' "$exported" | diff -u "$expected" -; then
    echo "the exported names differ from $(basename "$expected")"
    failed=1
fi

# The dynamic linker has its list of modules, and on arm64 the stack protector's canary.
needed=$(readelf -W -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vx "ld-linux-.*")
if [ "$needed" != libc.so.6 ]; then
    echo "needed libraries: $needed"
    failed=1
fi

# readelf reads the files of other architectures, too, which objdump does not.
versions=$(readelf -W --dyn-syms "$library" | grep -o 'GLIBC_[A-Z0-9._]*' | LC_ALL=C sort -u)
if [ "$(printf '%s\n' "$versions" "$newest" | sort -V | tail -n 1)" != "$newest" ] ||
    printf '%s\n' "$versions" | grep -q PRIVATE; then
    echo "a symbol is newer than $newest, or glibc's own; needed:"
    readelf -W --dyn-syms "$library" | sed -n 's/.* UND \(.*@GLIBC_.*\)/\1/p' | sort -t @ -k 2 -V | tail -n 5
    failed=1
fi
exit $failed
