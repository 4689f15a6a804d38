# Where do the instructions of a handshake go? Reads two callgrind files (written with
# --compress-strings=no --compress-pos=no), of fewer and of more handshakes, and takes the difference:
# what starts and ends the process drops out. (callgrind's own --toggle-collect does not do it: the
# call counts go on outside.)
#   -v handshakes=N    by how many the second run has more
#   -v pairs=N         allocations of a handshake; calls do not tell: NULL is freed, and reallocated
#   -v report=sum      prints "total own": instructions of a handshake, and those in the library
#   -v report=profile  prints tables per handshake, and the cost of an allocation with its free
# The library is every object whose name begins with libfreeonce.

function base(path)        { sub(/^.*\//, "", path); return path }
function is_own(object)    { return object ~ /^libfreeonce/ }
function is_libc(object)   { return object ~ /^libc[.-]/ }
function is_allocator(fn)  { return fn ~ /^(malloc|calloc|realloc|free|aligned_alloc|posix_memalign)$/ }
function is_pair(fn)       { return fn ~ /^CRYPTO_(malloc|zalloc|realloc|free)$/ }
# Names that callgrind makes up for recursion ("f'2") and symbol versions are not of interest here.
function plain(fn)         { sub(/'[0-9]+$/, "", fn); sub(/@.*$/, "", fn); return fn }

function edge(cost,    key, side)
{
    key = callee_object SUBSEP callee
    if (is_own(callee_object) && !is_own(object))
        side = "into"
    else if (is_libc(callee_object) && is_allocator(callee) && !is_libc(object))
        side = is_own(object) ? "below" : "into"
    else if (is_own(object) && !is_own(callee_object))
        side = "below"
    else
        return
    edge_calls[side, key] += calls * sign
    edge_cost[side, key] += cost
    # OpenSSL's functions are the callers of what the library or libc does, or the library's own.
    if (side == "into" && (is_pair(fn) || (is_own(callee_object) && is_pair(callee))))
        pair_cost += cost
}

FNR == 1  { sign = NR == 1 ? -1 : 1; callee_object = object = fn = "" }
/^ob=/    { object = base(substr($0, 4)); next }
/^fn=/    { fn = plain(substr($0, 4)); callee_object = object; next }
/^cob=/   { callee_object = base(substr($0, 5)); next }
/^cfn=/   { callee = plain(substr($0, 5)); next }
/^calls=/ { split(substr($0, 7), field, " "); calls = field[1]; in_call = 1; next }
/^totals:/ { total += $2 * sign; next }
/^[0-9]/ {
    cost = $2 * sign
    if (in_call) {
        edge(cost)
        in_call = 0
        callee_object = object
        next
    }
    by_object[object] += cost
    by_function[object, fn] += cost
    if (is_own(object))
        own += cost
}

function per(n) { return n / handshakes }

# Sorted by the first column through sort(1): mawk has no sort of its own.
function table_end() { close(sorter); print "" }

function print_self(    key, part)
{
    printf "%12s %6s  %s\n", "Ir", "share", "object, itself"
    for (key in by_object)
        if (per(by_object[key]) >= 1)
            printf "%12.0f %5.2f%%  %s\n", per(by_object[key]), 100 * by_object[key] / total, key | sorter
    table_end()
    printf "%12s %6s  %s\n", "Ir", "share", "function, itself"
    for (key in by_function) {
        split(key, part, SUBSEP)
        if ((is_own(part[1]) && by_function[key] > 0) || by_function[key] >= total / 100)
            printf "%12.0f %5.2f%%  %s [%s]\n", per(by_function[key]), \
                100 * by_function[key] / total, part[2], part[1] | sorter
    }
    table_end()
}

function print_edges(wanted, title,    key, part)
{
    printf "%12s %10s %8s  %s\n", "Ir", "calls", "Ir/call", title
    for (key in edge_calls) {
        split(key, part, SUBSEP)
        if (part[1] == wanted && per(edge_calls[key]) >= 0.5)
            printf "%12.0f %10.1f %8.1f  %s [%s]\n", per(edge_cost[key]), per(edge_calls[key]), \
                edge_cost[key] / edge_calls[key], part[3], part[2] | sorter
    }
    table_end()
}

END {
    if (report == "sum") {
        printf "%.0f %.0f\n", per(total), per(own)
        exit
    }
    sorter = "sort -k1,1nr"
    printf "instructions per handshake: %.0f, in the library itself: %.0f\n\n", per(total), per(own)
    print_self()
    print_edges("into", "entered from outside, with all that it calls")
    if (own)
        print_edges("below", "called by the library, with all that it calls")
    printf "bench: pair variant=%s pairs_per_handshake=%d instructions_per_pair=%.1f " \
        "own_per_pair=%.1f share_of_handshake=%.4f\n", variant, pairs, per(pair_cost) / pairs, \
        per(own) / pairs, pair_cost / total
}
