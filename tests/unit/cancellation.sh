#!/bin/sh
# Does anything that can run within an allocation, a free, a report or a fork call one of glibc's
# cancellation points?  A thread whose cancellation is pending would end there.  And does anything call
# what libsocket-wrapper or fakeroot put in place of glibc's?  The library's constructor runs before
# theirs.  src/base/raw.h has what to call instead.
# Usage: cancellation.sh OBJECT...
set -eu

# pthreads(7), "Cancellation points", with glibc's own additions and other names.
points='accept accept4 aio_suspend clock_nanosleep close closedir connect copy_file_range creat dprintf epoll_pwait
    epoll_wait fclose fcntl fcntl64 fdatasync fflush fgets fopen fopen64 fprintf fputs fread fscanf fsync fwrite
    getaddrinfo getline getrandom lockf lockf64 mq_receive mq_send msgrcv msgsnd msync nanosleep open open64
    openat openat64 opendir pause poll popen ppoll pread pread64 preadv preadv2 printf pselect
    pthread_cond_timedwait pthread_cond_wait pthread_join pthread_testcancel puts pwrite pwrite64 pwritev pwritev2
    read readdir readv recv recvfrom recvmmsg recvmsg select sem_timedwait sem_wait send sendmmsg sendmsg sendto
    sigpause sigsuspend sigtimedwait sigwait sigwaitinfo sleep splice sync_file_range syslog system tcdrain tee
    usleep vmsplice vsyslog wait wait3 wait4 waitid waitpid write writev'

replaced='socket socketpair bind geteuid getuid getegid getgid readlink readlinkat stat fstat lstat'

# This runs at the start alone, before the program has a thread that could be cancelled.
starting='conf.c.o'

nm -uA "$@" | awk -v points="$points" -v replaced="$replaced" -v starting="$starting" '
    BEGIN {
        split(points, list, " ")
        for (i in list) is_point[list[i]] = 1
        split(replaced, list, " ")
        for (i in list) is_replaced[list[i]] = 1
        split(starting, list, " ")
        for (i in list) is_excused[list[i]] = 1
    }
    {
        object = $1
        sub(/:$/, "", object)
        sub(/.*\//, "", object)
        sub(/@.*/, "", $NF)
        sub(/^__/, "", $NF) # with _FORTIFY_SOURCE: __read_chk, __open_2
        sub(/_(chk|2)$/, "", $NF)
        seen++
        if (is_point[$NF] && !is_excused[object]) {
            print object " calls " $NF ", a cancellation point"
            failed = 1
        }
        if (is_replaced[$NF]) {
            print object " calls " $NF ", which another library may replace"
            failed = 1
        }
    }
    END { exit failed || seen == 0 }'
