/* The system's memory beneath the region heap: addresses for it, and what lies there. */
#ifndef FO_HEAP_SYSTEM_H
#define FO_HEAP_SYSTEM_H

#include "base/base.h"

/* fo_apart_map_near() for private memory without huge pages, which FREEONCE_DUMP=0 keeps out of
 * core dumps; 0: none. */
uintptr_t fo_system_map_apart(uintptr_t wish, size_t size);

/* As fo_system_map_apart(), at this address, if it is free. */
enum fo_mapped {
    FO_MAPPED,
    FO_MAPPED_NOT,  /* no memory, or no addresses */
    FO_MAPPED_TAKEN /* the addresses are in use */
};
enum fo_mapped fo_system_map_at(uintptr_t start, size_t size);

/* The addresses that the limits of a process must leave at start: the library maps fewer, the rest
 * is for the program.  With less it does not guard the process.  In MiB. */
enum { FO_SYSTEM_NEEDS = 32 };

/* Could so many bytes of addresses be mapped, under the limits of this process?  Where all memory
 * is locked (MCL_FUTURE), that counts, too. */
bool fo_system_has_room(uint64_t size);

/* Map so many bytes at a multiple of FO_PAGE_SIZE, behind a page that cannot be touched; returns
 * the address.  If possible, little is mapped within `room` bytes behind it.  0: no memory. */
uintptr_t fo_system_find_place(size_t size, uint64_t room, uint64_t random);
void fo_system_release_place(uintptr_t start, size_t size);

/* Map memory that all processes forked later share: at a multiple of FO_PAGE_SIZE, between two
 * pages that cannot be touched, and in no core dump.  The place is random, if `room` more bytes of
 * addresses can be mapped for a moment.  0: no addresses. */
uintptr_t fo_system_map_shared(size_t size, uint64_t room, uint64_t random);

/* This part of it cannot be touched from now on.  False: no memory. */
bool fo_system_close(uintptr_t start, size_t size);

/* Include this in core dumps of this process, unless FREEONCE_DUMP=0. */
void fo_system_dump(uintptr_t start, size_t size);

/* Give memory back to the system; the addresses stay mapped, and read as zero. */
void fo_system_release(uintptr_t start, size_t size, bool shared);

/* The same for private memory of another allocator.  False: it stays as it is. */
bool fo_system_try_release(uintptr_t start, size_t size);

/* Make the system provide the memory at once, if it can: otherwise, shared memory costs each
 * process a fault for every 4 KiB. */
void fo_system_populate(uintptr_t start, size_t size);

/* FREEONCE_DUMP=0: keep it out of core dumps. */
void fo_system_hide(uintptr_t start, size_t size);

/* FREEONCE_LOCK=1: keep it in memory.  A forked process does not inherit the locks. */
void fo_system_lock(uintptr_t start, size_t size);

/* Did all locks succeed?  If not, a message had the reason. */
bool fo_system_is_locked(void);

#endif
